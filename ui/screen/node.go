package screen

import (
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// Node is the page of one node: its facts, its pools, its VMs.
type Node struct {
	env   *Env
	node  model.Node
	vms   []model.VM
	list  widget.List
	on    model.UUID
	names names
	// pools shows the storage in the place of the VMs where there is no room
	// for both.
	pools bool
}

// NewNode makes the page of a node.
func NewNode(e *Env, n model.NodeName) *Node {
	s := &Node{node: model.Node{Name: n}}
	s.setEnv(e)
	return s
}

func (s *Node) setEnv(e *Env) {
	s.env = e
	if n, ok := e.Node(s.node.Name); ok {
		s.node = n
	}
	s.vms = s.vms[:0:0]
	for i := range e.Cluster.VMs {
		if e.Cluster.VMs[i].Node == s.node.Name {
			s.vms = append(s.vms, e.Cluster.VMs[i])
		}
	}
	s.names.refresh(s.vms)
	sorted := make([]model.VM, len(s.vms))
	for i, j := range s.names.order {
		sorted[i] = s.vms[j]
		if sorted[i].UUID == s.on {
			s.list.Cursor = i
		}
	}
	s.vms = sorted
	s.settle()
}

func (s *Node) settle() {
	s.list = s.list.Clamp(len(s.vms), s.vmLines(s.env.W, s.env.H)-1)
	if s.list.Cursor < len(s.vms) {
		s.on = s.vms[s.list.Cursor].UUID
	}
}

// Title implements Screen.
func (s *Node) Title() string { return name(s.node.Name) }

// Typing implements Screen.
func (s *Node) Typing() bool { return false }

// Update implements Screen.
func (s *Node) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.setEnv(m)
	case Wheel:
		s.list.Cursor += m.Lines
		s.settle()
	case Do:
		if l, ok := s.list.Move(m.ID, len(s.vms), s.vmLines(s.env.W, s.env.H)-1); ok {
			s.list = l
			s.settle()
			return s, nil
		}
		switch {
		case m.ID == "esc":
			return s, []Intent{Back{}}
		case m.ID == "next-pane":
			s.pools = !s.pools
		case len(s.vms) == 0:
		case m.ID == "open":
			return s, []Intent{OpenVM{s.on, s.node.Name}}
		case m.ID == "migrate":
			return s, []Intent{OpenMigrate{VMs: []model.VM{s.vms[s.list.Cursor]}}}
		}
	}
	return s, nil
}

// Scope implements Screen.
func (s *Node) Scope() bind.Scope {
	none, why, wide := "", "", ""
	if s.env.W >= 120 {
		wide = "both are shown"
	}
	if len(s.vms) == 0 {
		none = "no VM is known here"
		why = none
	} else {
		why = cannotMove(s.env, s.vms[s.list.Cursor:s.list.Cursor+1])
	}
	return append(bind.Scope{
		{ID: "open", Keys: []string{"enter"}, Title: "open", Help: "open the VM under the cursor", Group: "look", Rank: 1, Disabled: none},
		{ID: "migrate", Keys: []string{"m"}, Title: "migrate", Help: "move the VM under the cursor", Group: "VM", Class: bind.Asked, Rank: 2, Disabled: why},
		{ID: "next-pane", Keys: []string{"tab"}, Title: "VMs or pools", Help: "show its VMs or its storage pools, in a window too narrow for both", Group: "look", Rank: 3, Disabled: wide},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back", Group: "look", Rank: 4},
	}, bind.Move()...)
}

func (s *Node) side(w int) int {
	if w >= 120 {
		return w * 2 / 5
	}
	return w
}

// top is the part over the table of VMs when there is one column only.
func (s *Node) top(w int) []string {
	th := s.env.Theme
	lines := append([]string{" " + th.Strong.Render("OVERVIEW"), ""}, nodeFacts(s.env, s.node, w)...)
	if s.env.W < 120 {
		return lines
	}
	return append(append(lines, ""), s.poolLines(w)...)
}

func (s *Node) vmLines(w, h int) int {
	if w >= 120 {
		return h
	}
	return max(5, h-len(s.top(w))-1)
}

// View implements Screen.
func (s *Node) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	left := s.side(w)
	lines := s.vmLines(w, h)
	top := s.top(left)
	if w >= 120 {
		return text.Block(text.Beside(strings.Join(top, "\n"), left, 3, s.vmView(w-left-3, lines)), w, h)
	}
	if room := h - lines - 1; len(top) > room { // the list matters more than the last facts
		top = top[:max(0, room)]
	}
	list := s.vmView(w, lines)
	if s.pools {
		list = strings.Join(s.poolLines(w), "\n")
	}
	return text.Block(strings.Join(top, "\n")+"\n\n"+list, w, h)
}

func (s *Node) vmView(w, h int) string {
	t := vmTable(anyMove(s.vms))
	t.Heading, t.Focus, t.Empty = true, true, "no VM is known here"
	t.Columns[0].Title, t.Columns[1].Hidden = "VMS", true
	return t.View(s.env.Theme, w, h, s.list, len(s.vms), func(i int) widget.Row {
		return vmRow(s.env, s.vms[i], false)
	})
}

func (s *Node) poolLines(w int) []string {
	th := s.env.Theme
	t := widget.Table{Heading: true, Plain: true, Empty: "no storage pool", Columns: []widget.Column{
		{Title: "POOLS", Width: 14, Min: 8},
		{Title: "type", Width: 8, Rank: 2},
		{Title: "in use", Width: 18, Min: 12, Grow: 1},
		{Title: "free", Width: 10, Right: true},
		{Title: "path", Width: 20, Min: 10, Grow: 1, Rank: 1},
	}}
	n := len(s.node.Pools)
	fresh := s.env.Fresh(s.node.Seen)
	return strings.Split(t.View(th, w, max(2, n+1), widget.List{}, n, func(i int) widget.Row {
		p := s.node.Pools[i]
		use := widget.Cell{Text: theme.SignOff + " not active", Style: th.Muted}
		free := widget.Cell{Text: "-", Style: th.Muted}
		if p.Active && p.Capacity > 0 {
			use = loadCell(s.env, fresh, 1-float64(min(p.Available, p.Capacity))/float64(p.Capacity), "")
			free = numberCell(s.env, fresh, text.Bytes(p.Available))
		}
		return widget.Row{Cells: []widget.Cell{
			{Text: name(p.Name), Style: th.Strong},
			{Text: name(p.Type), Style: th.Muted},
			use, free,
			{Text: fmt.Sprint(name(p.Path)), Style: th.Muted},
		}}
	}), "\n")
}

// Name is the node that the page shows.
func (s *Node) Name() model.NodeName { return s.node.Name }
