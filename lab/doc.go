// Package lab makes real libvirt hosts on one machine.
//
// A host is a set of namespaces (network, mount, uts, pid, ipc) over an overlay
// of the machine's own root. It has its own libvirtd, sshd, host keys, host
// UUID, host name, disk of limited size and address, so nothing that talks to
// it can tell it from a machine. Its guests run on QEMU's own CPU (TCG), boot in
// seconds, and write a heartbeat to their disk, from which a test proves that
// nothing was lost and nobody rebooted.
//
// A program that uses the lab calls InitIfChild first thing in main (a test in
// TestMain), because process 1 of each host is that same binary. Then:
//
//	l, err := lab.Up(ctx, lab.Options{Prefix: "t1", Subnet: "10.79.1.0/24", VMs: lab.MinimalVMs()})
//	defer l.Down(context.Background())
//	out, err := l.Node("node1").Virsh(ctx, "list", "--all")
//
// Guarantees: Up leaves nothing behind when it fails or its context ends; Down
// removes every process, namespace, mount, link and loop device of the lab, may
// be repeated, and works after a crash in the middle of Up. Labs with different
// prefixes and subnets live side by side. The hosts outlive the process that
// made them.
//
// The package never changes the machine outside of its own directory and its
// own network links, except that it installs missing Debian packages, which it
// names first.
package lab
