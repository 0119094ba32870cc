package screen

import (
	"fmt"
	"slices"

	"horcrux/engine/model"
	"horcrux/ui/text"
)

// mark does the actions that mark VMs.
func (c *Cluster) mark(id string) {
	v := c.current()
	if v == nil {
		return
	}
	switch id {
	case "mark":
		if c.marks[v.UUID] {
			delete(c.marks, v.UUID)
		} else {
			c.marks[v.UUID] = true
		}
		c.last = keyOf(v)
		c.move("down")
	case "mark-range":
		from := slices.IndexFunc(c.order, func(i int) bool { return keyOf(c.env.Cluster.VMs[i]) == c.last })
		if from < 0 {
			from = c.vms.Cursor
		}
		for row := min(from, c.vms.Cursor); row <= max(from, c.vms.Cursor); row++ {
			c.marks[c.env.Cluster.VMs[c.order[row]].UUID] = true
		}
	case "mark-all":
		for _, i := range c.order {
			c.marks[c.env.Cluster.VMs[i].UUID] = true
		}
	case "unmark":
		clear(c.marks)
	}
}

// chosen is the marked VMs, or the one under the cursor if none is marked.
func (c *Cluster) chosen() []model.VM {
	var out []model.VM
	if len(c.marks) > 0 {
		for i := range c.env.Cluster.VMs {
			if v := c.env.Cluster.VMs[i]; c.marks[v.UUID] && !v.Tombstone {
				out = append(out, *v)
			}
		}
	}
	if v := c.current(); len(out) == 0 && v != nil {
		out = []model.VM{*v}
	}
	return out
}

// cannotMove says why VMs cannot be moved now; empty if they can.
func cannotMove(e *Env, vms []model.VM) string {
	if len(vms) == 0 {
		return "there is no VM here"
	}
	if len(e.Cluster.Nodes) < 2 {
		return "there is no other node"
	}
	for i := range vms {
		v := &vms[i]
		n, _ := e.Node(v.Node)
		switch {
		case v.Tombstone:
			return name(v.Name) + " on " + name(v.Node) + " is what a finished move left behind"
		case v.Job != "":
			return name(v.Name) + " has a move already"
		case n.State != model.NodeUp && n.State != model.NodeBusy:
			return fmt.Sprintf("needs %s: %s", name(v.Node), text.Or(name(n.Reason), string(n.State)))
		}
	}
	return ""
}
