package screen

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
)

// TestSideTakesWhatFits draws the side column in all heights: what it has no room
// for it leaves out as a whole, and it never goes beyond its room.
func TestSideTakesWhatFits(t *testing.T) {
	e := env()
	for h := range 60 {
		facts := len(vmFacts(e, *e.Cluster.VMs[0], 48))
		vm, node := vmSide(e, e.Cluster.VMs[0], 48, h), nodeSide(e, e.Cluster.Nodes[0], 48, h)
		if len(vm) > max(h, facts) || len(node) > max(h, len(nodeFacts(e, e.Cluster.Nodes[0], 48))) {
			t.Errorf("%d and %d lines in %d", len(vm), len(node), h)
		}
	}
	all := ansi.Strip(strings.Join(vmSide(e, e.Cluster.VMs[0], 48, 60), "\n"))
	for _, want := range []string{"LOAD", "DISKS", "NETWORK", "web01.qcow2"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %s in\n%s", want, all)
		}
	}
}
