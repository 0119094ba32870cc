package lab

import (
	"context"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Status is what the lab looks like from outside, now.
type Status struct {
	Prefix string       `json:"prefix"`
	Dir    string       `json:"dir"`
	Subnet string       `json:"subnet"`
	Config string       `json:"config"`
	Nodes  []NodeStatus `json:"nodes"`
}

// NodeStatus is one host. A host that is off has no services and no VMs.
type NodeStatus struct {
	Name     string             `json:"name"`
	Address  string             `json:"address"`
	PID      int                `json:"pid"` // of its process 1, 0 if it is off
	LinkUp   bool               `json:"link_up"`
	Services map[Service]string `json:"services"` // running, frozen or down
	VMs      []VMStatus         `json:"vms"`
	Problem  string             `json:"problem,omitempty"` // why its VMs are not known
}

// VMStatus is a VM as the host's virsh lists it.
type VMStatus struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// statusTimeout is how long a host may take to say which VMs it has.
const statusTimeout = 5 * time.Second

// Status looks at every host.
func (l *Lab) Status(ctx context.Context) Status {
	st := Status{Prefix: l.Prefix, Dir: l.Dir, Subnet: l.Subnet, Config: l.ConfigPath(), Nodes: make([]NodeStatus, len(l.Nodes))}
	var g errgroup.Group
	for i, n := range l.Nodes {
		g.Go(func() error {
			st.Nodes[i] = n.status(ctx)
			return nil
		})
	}
	g.Wait() //nolint:errcheck // problems are part of the answer
	return st
}

func (n *Node) status(ctx context.Context) NodeStatus {
	st := NodeStatus{Name: n.Name, Address: n.Address, PID: n.PID(), LinkUp: n.LinkUp(), Services: map[Service]string{}}
	if st.PID == 0 {
		return st
	}
	for _, s := range Services() {
		st.Services[s] = n.serviceState(s)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	out, err := n.Virsh(ctx, "list", "--all")
	if err != nil {
		st.Problem = err.Error()
		return st
	}
	st.VMs = parseList(out)
	return st
}

func (n *Node) serviceState(s Service) string {
	procs, err := n.inside(Of(s).matches)
	if err != nil || len(procs) == 0 {
		return "down"
	}
	for _, p := range procs {
		if p.State == 'T' {
			return "frozen"
		}
	}
	return "running"
}

// parseList reads `virsh -q list --all`: id, name and a state of several words.
func parseList(out string) []VMStatus {
	var vms []VMStatus
	for line := range strings.Lines(out) {
		f := strings.Fields(line)
		if len(f) >= 3 {
			vms = append(vms, VMStatus{Name: f[1], State: strings.Join(f[2:], " ")})
		}
	}
	return vms
}
