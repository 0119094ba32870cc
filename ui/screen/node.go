package screen

import (
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// nodePage is one page of the screen of a node.
type nodePage int

const (
	nodeVMs nodePage = iota
	nodeStorage
	nodeNetworks
	nodeCapabilities
)

var nodePages = []string{"VMs", "storage", "networks", "capabilities"}

// Node is the screen of one node: its facts and VMs, its pools and volumes, its
// networks, what it can do.
type Node struct {
	env   *Env
	node  model.Node
	vms   []*model.VM
	list  widget.List
	on    model.UUID
	names names
	page  nodePage

	again   bool // a person asked for them anew
	details *model.NodeDetails
	err     error
	volumes widget.List
	scroll  int
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
	sorted := make([]*model.VM, len(s.vms))
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
	s.list = s.list.Clamp(len(s.vms), s.vmLines(s.env.W, s.env.H-2)-1)
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
	case Opened:
		return s, []Intent{AskNode{s.node.Name}}
	case NodeArrived:
		if m.Node == s.node.Name {
			again := s.again
			s.again = false
			if s.err = m.Err; m.Err == nil {
				s.details = &m.Details
				if again {
					return s, []Intent{answeredAnew(m.Node)}
				}
			}
		}
	case Wheel:
		s.move(map[bool]string{true: "down", false: "up"}[m.Lines > 0], max(m.Lines, -m.Lines))
	case Click:
		if m.Y == 0 {
			s.page = (s.page + 1) % nodePage(len(nodePages))
		}
	case Answered:
		if m.ID == "maintenance" {
			return s, []Intent{Maintain{Node: s.node.Name, On: true, Why: m.Value}}
		}
		out, _ := powerAnswered(s.env, m, s.current())
		return s, out
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

// current is the VM under the cursor, on the page that has one.
func (s *Node) current() []model.VM {
	if s.page != nodeVMs || s.list.Cursor >= len(s.vms) {
		return nil
	}
	return []model.VM{*s.vms[s.list.Cursor]}
}

func (s *Node) move(id string, times int) bool {
	ok := false
	for range times {
		switch s.page {
		case nodeVMs:
			s.list, ok = s.list.Move(id, len(s.vms), s.vmLines(s.env.W, s.env.H-2)-1)
		case nodeStorage:
			n := 0
			if s.details != nil {
				n = len(s.details.Volumes)
			}
			s.volumes, ok = s.volumes.Move(id, n, s.volumeLines(s.env.H-2))
		default:
			s.scroll, ok = widget.ScrollBy(s.scroll, id, len(s.scrolled(s.env.W)), s.env.H-2)
		}
	}
	s.settle()
	return ok
}

func (s *Node) do(id string) []Intent {
	if s.move(id, 1) {
		return nil
	}
	if out, ok := power(s.env, id, s.current()); ok {
		return out
	}
	switch id {
	case "esc":
		return []Intent{Back{}}
	case "next-page":
		s.page, s.scroll = (s.page+1)%nodePage(len(nodePages)), 0
	case "previous-page":
		s.page, s.scroll = (s.page+nodePage(len(nodePages))-1)%nodePage(len(nodePages)), 0
	case "page1", "page2", "page3", "page4":
		s.page, s.scroll = nodePage(id[4]-'1'), 0
	case "again":
		s.again = true
		return []Intent{AskNode{s.node.Name}}
	case "reconnect":
		return []Intent{Reconnect{s.node.Name}}
	case "maintenance":
		return s.maintenance()
	}
	if vms := s.current(); len(vms) > 0 {
		switch id {
		case "open":
			return []Intent{OpenVM{UUID: s.on, Node: s.node.Name}}
		case "migrate":
			return []Intent{OpenMigrate{VMs: vms}}
		case "all":
			return []Intent{OpenMatrix{VMs: s.movable()}}
		}
	}
	return nil
}

// movable are the VMs of the node that a move could take away.
func (s *Node) movable() []model.VM {
	var out []model.VM
	for _, v := range s.vms {
		if !v.Tombstone && !v.Arriving {
			out = append(out, *v)
		}
	}
	return out
}

func (s *Node) maintenance() []Intent {
	if s.node.Maintenance != nil {
		return []Intent{Maintain{Node: s.node.Name}}
	}
	return []Intent{Enter{ID: "maintenance", Prompt: widget.Prompt{
		Title: "maintenance of " + name(s.node.Name),
		Hint:  "why, for whoever looks next (may be empty); no VM is sent to it until you end it, and what runs there stays",
	}}}
}

// Scope implements Screen.
func (s *Node) Scope() bind.Scope {
	none, why := "", ""
	vms := s.current()
	if len(vms) == 0 {
		none = "no VM is known here"
		if s.page != nodeVMs {
			none = "that is for the page VMs"
		}
		why = none
	} else {
		why = cannotMove(s.env, vms)
	}
	word, class := "maintenance", bind.Asked
	if s.node.Maintenance != nil {
		word, class = "end maintenance", bind.Free // M sets it again
	}
	sc := bind.Scope{
		{ID: "open", Keys: []string{"enter"}, Title: "open", Help: "open the VM under the cursor", Group: "look", Rank: 1, Disabled: none},
		{ID: "migrate", Keys: []string{"m"}, Title: "migrate", Help: "move the VM under the cursor", Group: "VM", Class: bind.Asked, Rank: 2, Disabled: why},
		{ID: "all", Keys: []string{"x"}, Title: "where to", Help: "all VMs of this node, each with where it could go", Group: "VM", Disabled: none},
		{ID: "maintenance", Keys: []string{"M"}, Title: word, Help: "mark that no VM is to be sent here, or take the mark away", Group: "node", Class: class, Rank: 5},
		{ID: "reconnect", Keys: []string{"t"}, Title: "reconnect", Help: "try to reach it now, and ask again what was declined", Group: "node"},
		{ID: "again", Keys: []string{"r"}, Title: "refresh", Help: "ask the node anew", Group: "node"},
		{ID: "next-page", Keys: []string{"tab", "l", "right"}, Title: "page", Help: "next page", Group: "look", Rank: 3},
		{ID: "previous-page", Keys: []string{"shift+tab", "h", "left"}, Show: "shift-tab", Title: "page back", Help: "page before", Group: "look"},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back", Group: "look", Rank: 6},
	}
	for i, p := range nodePages {
		k := string(rune('1' + i))
		sc = append(sc, bind.Action{ID: "page" + k, Keys: []string{k}, Title: p, Help: "the page " + p, Group: "look"})
	}
	return append(append(sc, powerScope(s.env, vms)...), bind.Move()...)
}

func (s *Node) side(w int) int {
	if w >= 120 {
		return w * 2 / 5
	}
	return w
}

// top is the part over the table of VMs when there is one column only.
func (s *Node) top(w int) []string {
	lines := nodeFacts(s.env, s.node, w)
	if s.env.W < 120 {
		return lines
	}
	return append(append(lines, ""), nodeCharts(s.env, s.node, w)...)
}

func (s *Node) vmLines(w, h int) int {
	if w >= 120 {
		return max(2, h)
	}
	return max(5, h-min(len(s.top(w)), max(0, h-9))-1)
}

// View implements Screen.
func (s *Node) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	tabs := widget.Tabs(s.env.Theme, w, nodePages, int(s.page))
	if h < 3 {
		return tabs
	}
	var page string
	switch s.page {
	case nodeStorage:
		page = s.storage(w, h-2)
	case nodeVMs:
		page = s.first(w, h-2)
	default:
		page = strings.Join(widget.Scrolled(s.env.Theme, s.scrolled(w), s.scroll, h-2), "\n")
	}
	return text.Block(tabs+"\n\n"+page, w, h)
}

func (s *Node) first(w, h int) string {
	left := s.side(w)
	lines := s.vmLines(w, h)
	top := s.top(left)
	if w >= 120 {
		return text.Beside(text.Block(strings.Join(top, "\n"), left, h), left, 3, s.vmView(w-left-3, lines))
	}
	if room := h - lines - 1; len(top) > room { // the list matters more than the last facts
		top = top[:max(0, room)]
	}
	return strings.Join(top, "\n") + "\n\n" + s.vmView(w, lines)
}

func (s *Node) vmView(w, h int) string {
	t := vmTable(s.env, anyMove(s.vms))
	t.Heading, t.Focus, t.Empty = true, true, "no VM is known here"
	t.Columns[0].Title, t.Columns[1].Hidden = "VMS", true
	return t.View(s.env.Theme, w, h, s.list, len(s.vms), func(i int) widget.Row {
		return vmRow(s.env, *s.vms[i], false)
	})
}

func (s *Node) poolLines(w int) []string {
	th := s.env.Theme
	t := widget.Table{Heading: true, Plain: true, Empty: "no storage pool", Columns: []widget.Column{
		{Title: "POOLS", Width: 14, Min: 8},
		{Title: "type", Width: 8, Rank: 2},
		{Title: "in use", Width: 18, Min: 12, Grow: 1},
		{Title: "free", Width: 10, Right: true},
		{Title: "of", Width: 10, Right: true, Rank: 3},
		{Title: "path", Width: 20, Min: 19, Grow: 1, Rank: 1},
	}}
	n := len(s.node.Pools)
	fresh := s.env.Fresh(s.node.Seen)
	return strings.Split(t.View(th, w, max(2, n+1), widget.List{}, n, func(i int) widget.Row {
		p := s.node.Pools[i]
		use := widget.Cell{Text: theme.SignOff + " not active", Style: th.Muted}
		free, all := widget.Cell{Text: "-", Style: th.Muted}, widget.Cell{Text: "-", Style: th.Muted}
		if p.Active && p.Capacity > 0 {
			use = loadCell(s.env, fresh, 1-float64(min(p.Available, p.Capacity))/float64(p.Capacity), "")
			free = numberCell(s.env, fresh, text.Bytes(p.Available))
			all = numberCell(s.env, fresh, text.Bytes(p.Capacity))
		}
		return widget.Row{Cells: []widget.Cell{
			{Text: name(p.Name), Style: th.Strong},
			{Text: name(p.Type), Style: th.Muted},
			use, free, all,
			{Text: name(p.Path), Tail: true, Style: th.Muted},
		}}
	}), "\n")
}

// Name is the node that the page shows.
func (s *Node) Name() model.NodeName { return s.node.Name }
