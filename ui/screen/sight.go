package screen

import (
	"time"

	"horcrux/engine/model"
)

// Sight is what a page shows of the inventory now. What it does not show is read
// seldom.
type Sight struct {
	VMs   []model.Place
	Nodes []model.NodeName
	// All is set if what is shown depends on the figures of all VMs.
	All bool
	// Seen are the moments from which these facts are.
	Seen []time.Time
}

// Seer is a page that shows figures of VMs or nodes; other pages show none.
type Seer interface{ Sees() Sight }

func (s *Sight) vm(v *model.VM) {
	s.VMs = append(s.VMs, model.Place{UUID: v.UUID, Node: v.Node})
	s.Seen = append(s.Seen, v.Seen)
}

func (s *Sight) node(n *model.Node) {
	s.Nodes = append(s.Nodes, n.Name)
	s.Seen = append(s.Seen, n.Seen)
}

func (s *Sight) named(e *Env, names ...model.NodeName) {
	for _, name := range names {
		if n, ok := e.Node(name); ok {
			s.node(&n)
		}
	}
}

// everyNode is what a page that weighs all nodes sees.
func everyNode(e *Env) Sight {
	var s Sight
	for i := range e.Cluster.Nodes {
		s.node(&e.Cluster.Nodes[i])
	}
	return s
}

// measured are the orders that follow from what all VMs do at the moment.
var measured = map[string]bool{"cpu": true, "mem": true, "disk": true, "net": true}

// Sees implements Seer.
func (c *Cluster) Sees() Sight {
	s := Sight{All: measured[c.sort] && !c.fuzzy}
	box := c.layout(c.env.W, c.env.H)
	nodes := c.env.Cluster.Nodes
	from := c.nodes.Clamp(len(nodes), box.nodes-1).Offset
	for i := from; i < min(len(nodes), from+max(0, box.nodes-1)); i++ {
		s.node(&nodes[i])
	}
	from = c.vms.Clamp(len(c.order), box.vms-2).Offset
	for i := from; i < min(len(c.order), from+max(0, box.vms-2)); i++ {
		s.vm(c.env.Cluster.VMs[c.order[i]])
	}
	return s
}

// Sees implements Seer.
func (s *Node) Sees() Sight {
	var out Sight
	out.named(s.env, s.node.Name)
	for _, v := range s.vms {
		out.vm(v)
	}
	return out
}

// Sees implements Seer.
func (s *VM) Sees() Sight {
	var out Sight
	out.vm(&s.vm)
	out.named(s.env, s.vm.Node)
	return out
}

// Sees implements Seer.
func (s *Job) Sees() Sight {
	var out Sight
	if j, ok := s.env.Job(s.id); ok {
		out.named(s.env, j.From, j.To)
		for _, n := range []model.NodeName{j.From, j.To} {
			if v, ok := s.env.VM(j.VM, n); ok && v.Node == n {
				out.vm(&v)
			}
		}
	}
	return out
}

// Sees implements Seer.
func (s *Migrate) Sees() Sight { return everyNode(s.env) }

// Sees implements Seer.
func (s *Matrix) Sees() Sight { return everyNode(s.env) }
