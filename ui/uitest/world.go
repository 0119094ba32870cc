package uitest

import (
	"fmt"
	"time"

	"horcrux/engine/model"
)

// Epoch is the moment at which the world is looked at.
var Epoch = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

const gib = 1 << 30

// UUID makes a UUID out of a number.
func UUID(n int) model.UUID { return model.UUID(fmt.Sprintf("5e1f0000-0000-4000-8000-%012d", n)) }

// World is a small cluster with a bit of everything, as seen at a moment.
func World(now time.Time) model.Cluster {
	node := func(n int, name string, cpu, mem float64, cpus int, total uint64, vms [2]int) model.Node {
		return model.Node{
			Name: model.NodeName(name), Address: fmt.Sprintf("10.77.0.%d", 10+n), State: model.NodeUp,
			Since: now.Add(-26 * time.Hour), Seen: now.Add(-200 * time.Millisecond),
			Hostname: name + ".rack4.example.net", HostUUID: fmt.Sprintf("0c5a%04d-1111-4222-8333-000000000000", n),
			Libvirt: "9.0.0", QEMU: "7.2.22", CPUModel: "EPYC-Milan", CPUs: cpus, CPUPercent: cpu,
			MemTotal: total, MemFree: uint64(float64(total) * (1 - mem)), Running: vms[0], Defined: vms[1],
			Pools: []model.Pool{
				{Name: "default", Type: "dir", Path: "/var/lib/libvirt/images", Active: true, Capacity: 900 * gib, Available: uint64(310+60*n) * gib},
				{Name: "fast", Type: "logical", Path: "/dev/vg_fast", Active: true, Capacity: 1800 * gib, Available: 212 * gib},
				{Name: "iso", Type: "netfs", Path: "/srv/iso"},
			},
			Networks: []string{"default", "lan", "dmz"},
		}
	}
	c := model.Cluster{At: now, Nodes: []model.Node{
		node(1, "node1", 41, 0.71, 32, 128*gib, [2]int{6, 7}),
		node(2, "node2", 12, 0.38, 32, 128*gib, [2]int{4, 4}),
		node(3, "node3", 88, 0.93, 16, 64*gib, [2]int{4, 6}),
		{
			Name: "node4", Address: "10.77.0.14", State: model.NodeUnreachable, Since: now.Add(-12 * time.Minute),
			Reason: "ssh: connect to 10.77.0.14 port 22: no route to host; is the host up?", Seen: now.Add(-12 * time.Minute),
			Hostname: "node4.rack4.example.net", Libvirt: "9.0.0", QEMU: "7.2.22", CPUs: 16, MemTotal: 64 * gib, Running: 1, Defined: 2,
		},
	}}
	c.VMs = worldVMs(now)
	return c
}

type vmSpec struct {
	name, node, state, reason string
	vcpus, mem                int
	cpu, disk, net            float64
	agent                     model.AgentState
	ip                        string
}

var specs = []vmSpec{
	{"web01", "node1", "running", "booted", 4, 4, 37, 1.2e6, 8.4e6, "connected", "10.20.0.11"},
	{"web02", "node1", "running", "booted", 4, 4, 22, 0.4e6, 5.1e6, "connected", "10.20.0.12"},
	{"web10", "node2", "running", "migrated", 4, 4, 8, 0, 2.2e6, "connected", "10.20.0.20"},
	{"db01", "node1", "running", "booted", 16, 48, 512, 96e6, 31e6, "connected", "10.20.1.5"},
	{"db02", "node3", "running", "booted", 16, 32, 340, 61e6, 12e6, "connected", "10.20.1.6"},
	{"queue", "node2", "running", "booted", 2, 8, 64, 9e6, 4e6, "disconnected", "10.20.1.30"},
	{"mail", "node2", "running", "booted", 2, 8, 11, 0.8e6, 0.3e6, "connected", "10.20.2.2"},
	{"git", "node1", "running", "booted", 4, 8, 3, 0, 0, "connected", "10.20.2.9"},
	{"ci-runner-1", "node3", "running", "booted", 8, 16, 780, 210e6, 3e6, "connected", "10.20.3.1"},
	{"ci-runner-2", "node3", "running", "booted", 8, 8, 122, 44e6, 1e6, "connected", "10.20.3.2"},
	{"monitor", "node1", "running", "booted", 2, 4, 18, 3e6, 6e6, "connected", "10.20.2.30"},
	{"win-ad", "node1", "paused", "user", 4, 8, 0, 0, 0, "disconnected", "10.20.0.2"},
	{"legacy-erp", "node3", "crashed", "panicked", 2, 4, 0, 0, 0, "none", ""},
	{"template-deb12", "node1", "shutoff", "shutdown", 2, 2, 0, 0, 0, "none", ""},
	{"sandbox", "node3", "shutoff", "destroyed", 2, 2, 0, 0, 0, "none", ""},
	{"backup", "node2", "running", "booted", 2, 4, 45, 120e6, 90e6, "connected", "10.20.2.40"},
	{"old-dns", "node4", "running", "booted", 1, 1, 2, 0, 0, "connected", "10.20.9.9"},
}

func worldVMs(now time.Time) []*model.VM {
	var out []*model.VM
	for i, s := range specs {
		v := &model.VM{
			UUID: UUID(i + 1), Name: s.name, Node: model.NodeName(s.node), State: model.DomainState(s.state), Reason: s.reason,
			Seen: now.Add(-200 * time.Millisecond), Persistent: true, Autostart: i%2 == 0,
			VCPUs: s.vcpus, Memory: uint64(s.mem) * gib, CPUPercent: s.cpu,
			DiskRead: s.disk * 0.4, DiskWrite: s.disk * 0.6, NetRx: s.net * 0.7, NetTx: s.net * 0.3,
			Started: now.Add(-time.Duration(3+i) * 31 * time.Hour), Agent: s.agent,
			Disks: []model.Disk{
				{Target: "vda", Device: "disk", Type: "file", Source: "/var/lib/libvirt/images/" + s.name + ".qcow2", Format: "qcow2", Cache: "none", Capacity: 40 * gib, Allocation: 18 * gib},
				{Target: "vdb", Device: "disk", Type: "block", Source: "/dev/vg_fast/" + s.name + "-data", Format: "raw", Cache: "none", Capacity: 100 * gib, Allocation: 100 * gib},
				{Target: "sda", Device: "cdrom", ReadOnly: true},
			},
			NICs: []model.NIC{{Target: fmt.Sprintf("vnet%d", i), MAC: fmt.Sprintf("52:54:00:5e:1f:%02x", i), Model: "virtio", Type: "bridge", Source: "br-lan"}},
		}
		if s.ip != "" {
			v.Addresses = []string{s.ip}
			v.NICs[0].Addresses = v.Addresses
		}
		if s.node == "node4" {
			v.Seen = now.Add(-12 * time.Minute)
		}
		out = append(out, v)
	}
	return out
}

// Many is a cluster of n VMs on eight nodes, for timing.
func Many(now time.Time, n int) model.Cluster {
	c := model.Cluster{At: now}
	for i := range 8 {
		c.Nodes = append(c.Nodes, model.Node{
			Name: model.NodeName(fmt.Sprintf("node%d", i+1)), State: model.NodeUp, Seen: now, MemTotal: 512 * gib,
			MemFree: uint64(100+i) * gib, CPUPercent: float64(10 * i), Running: n / 8, Defined: n / 8, Libvirt: "9.0.0", QEMU: "7.2.22",
		})
	}
	for i := range n {
		c.VMs = append(c.VMs, &model.VM{
			UUID: UUID(i), Name: fmt.Sprintf("vm-%05d", (i*7919)%n), Node: c.Nodes[i%8].Name, State: model.StateRunning, Reason: "booted",
			Seen: now, VCPUs: 2, Memory: 4 * gib, CPUPercent: float64(i*31%200) / 2, DiskRead: float64(i%97) * 1e5, NetRx: float64(i%89) * 1e4,
			Addresses: []string{fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255)}, Agent: model.AgentConnected,
		})
	}
	return c
}
