// Package test moves real VMs between real hosts with the program as it is
// shipped, and judges the result from outside: by virsh on the nodes, the
// guest's heartbeat on its disk, the processes of the machine, and hashes.
//
// The tests carry the build tag lab and need root.
package test
