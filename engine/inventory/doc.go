// Package inventory keeps what is known of all nodes and VMs, from many small
// questions to the hosts, and gives it out as values.
//
// Every node is watched by itself: quick figures at the polling interval, facts
// that rarely change when something hints at a change and now and then anyway.
// libvirt's events are such hints, never facts. Each fact has the time of the
// answer it came from; when a node is gone its facts stay, with their age, and
// the node's state says why they are old.
package inventory
