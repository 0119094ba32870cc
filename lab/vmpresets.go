package lab

import "fmt"

// DemoVMs are the VMs of the demonstration: one of each kind that a move
// treats differently, and few enough for two cores without KVM. They need three
// nodes; VMs of nodes that are not there go to node1.
func DemoVMs() []VMSpec {
	return []VMSpec{
		{Name: "web", Node: "node1", Agent: true, HTTP: true, Disks: []DiskSpec{{SizeMiB: 96, FillMiB: 16}}},
		{Name: "churn", Node: "node1", Agent: true, DirtyMiB: 48, DirtyRate: 10},
		{Name: "big", Node: "node1", Agent: true, Disks: []DiskSpec{{}, {SizeMiB: 1024, FillMiB: 48}}},
		{Name: "shared1", Node: "node1", Agent: true, HTTP: true, Disks: []DiskSpec{{Pool: "shared", Format: "raw"}}},
		{Name: "bare", Node: "node2", Disks: []DiskSpec{{Format: "raw"}}},
		{Name: "attic", Node: "node2", Agent: true, State: VMOff, Disks: []DiskSpec{{FillMiB: 8}}},
		{Name: "web2", Node: "node3", Agent: true, HTTP: true},
	}
}

// MinimalVMs is one VM with agent and web server on node1.
func MinimalVMs() []VMSpec {
	return []VMSpec{{Name: "web", Node: "node1", Agent: true, HTTP: true}}
}

// Preset gives the VMs behind a name: demo, minimal or none. VMs of nodes that
// a smaller lab does not have go to node1.
func Preset(name string, nodes int) ([]VMSpec, error) {
	var specs []VMSpec
	switch name {
	case "demo":
		specs = DemoVMs()
	case "minimal":
		specs = MinimalVMs()
	case "none":
	default:
		return nil, fmt.Errorf("cannot find the set of VMs %q: demo, minimal and none are there", name)
	}
	for i := range specs {
		if nodeIndex(specs[i].Node) > nodes {
			specs[i].Node = nodeName(1)
		}
	}
	return specs, nil
}
