// Horcrux is a terminal console for a cluster of KVM/libvirt hosts: it lists
// nodes and VMs and moves VMs between nodes.
package main

import (
	"context"
	"os"

	"horcrux/cli"
	"horcrux/lab"
)

func main() {
	// Process 1 of a lab host is this same binary; it never returns from here.
	lab.InitIfChild()
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
