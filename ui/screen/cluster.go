package screen

import (
	"slices"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/widget"
)

// pane is a part of the cluster page that can have the focus.
type pane int

const (
	paneNodes pane = iota
	paneVMs
	paneJobs
)

// What Focus may be.
const (
	FocusNodes = Focus(paneNodes)
	FocusVMs   = Focus(paneVMs)
)

// rowKey is what a row of the table of VMs is: one domain on one node.
type rowKey struct {
	uuid model.UUID
	node model.NodeName
}

func keyOf(v *model.VM) rowKey { return rowKey{v.UUID, v.Node} }

// Cluster is the first page: nodes, VMs, running jobs.
type Cluster struct {
	env   *Env
	focus pane

	nodes, vms, jobs widget.List
	node             model.NodeName // what the cursors are on
	vm               rowKey
	job              model.JobID
	running          []model.Job

	names   names
	order   []int // the VMs shown, as indices into env.Cluster.VMs
	fuzzy   bool
	sort    string
	reverse bool
	grouped bool // by node, before any other order
	laid    laid // how order was made
	input   widget.Input
	typing  bool
	marks   map[model.UUID]bool
	last    rowKey // where a range of marks begins
	used    bool   // a person has done something here
}

// laid is what an order of the VMs depends on besides them.
type laid struct {
	sort             string
	reverse, grouped bool
}

// NewCluster makes the page with its cursor on the first VM.
func NewCluster(e *Env) *Cluster {
	c := &Cluster{focus: paneVMs, sort: "name", marks: map[model.UUID]bool{}}
	c.setEnv(e)
	return c
}

// Title implements Screen.
func (c *Cluster) Title() string { return "cluster" }

// Typing implements Screen.
func (c *Cluster) Typing() bool { return c.typing }

// Update implements Screen.
func (c *Cluster) Update(msg any) (Screen, []Intent) {
	var out []Intent
	if _, values := msg.(*Env); !values {
		c.used = true
	}
	switch m := msg.(type) {
	case *Env:
		c.setEnv(m)
	case Do:
		out = c.do(m.ID)
	case Typed:
		c.typed(m)
	case Pasted:
		if c.typing {
			c.input = c.input.Insert(m.Text)
			c.refilter()
		}
	case Answered:
		if acts, ok := powerAnswered(c.env, m, c.chosen()); ok {
			return c, acts
		}
		if m.ID == "columns" {
			return c, []Intent{Columns{Hidden: strings.FieldsFunc(m.Value, func(r rune) bool { return r == ',' })}}
		}
		if m.ID == "sort" {
			c.reverse = c.sort == m.Value && !c.reverse
			c.sort = m.Value
			c.refilter()
		}
	case Click:
		c.click(m.X, m.Y)
	case Focus:
		c.focus = pane(m)
		c.settle()
	case Wheel:
		c.scroll(m.Lines)
	}
	return c, out
}

// setEnv takes new values; each cursor stays on the thing it was on.
func (c *Cluster) setEnv(e *Env) {
	c.env = e
	c.running = e.Running()
	c.refilter()
	if i := slices.IndexFunc(e.Cluster.Nodes, func(n model.Node) bool { return n.Name == c.node }); i >= 0 {
		c.nodes.Cursor = i
	}
	if i := slices.IndexFunc(c.running, func(j model.Job) bool { return j.ID == c.job }); i >= 0 {
		c.jobs.Cursor = i
	}
	c.settle()
}

func (c *Cluster) refilter() {
	vms := c.env.Cluster.VMs
	f := parseFilter(c.input.Value())
	same := c.names.refresh(vms)
	by := laid{c.sort, c.reverse, c.grouped}
	switch {
	case f.empty() && len(c.order) == len(vms) && !c.fuzzy && same && by == c.laid && by == laid{sort: "name"}:
		// all were shown and all are, and nobody has another name
	default:
		if f.empty() && len(c.order) == len(vms) {
			c.fuzzy = false // the order was good a moment ago
		} else {
			c.order, c.fuzzy = f.apply(vms)
		}
		if !c.fuzzy {
			c.names.sort(vms, c.order, c.sort, c.reverse)
		}
		if c.grouped {
			byNode(vms, c.env.Cluster.Nodes, c.order)
		}
		c.laid = by
	}
	c.follow(vms)
	c.settle()
}

// follow keeps the cursor on its VM, wherever that is in the order now.
func (c *Cluster) follow(vms []*model.VM) {
	if v := c.current(); v != nil && keyOf(v) == c.vm && !v.Tombstone {
		return
	}
	exact, any := -1, -1
	for row, i := range c.order {
		if vms[i].UUID != c.vm.uuid {
			continue
		}
		if vms[i].Node == c.vm.node {
			exact = row
		}
		if any < 0 || !vms[i].Tombstone {
			any = row
		}
	}
	switch { // a VM that has moved is followed to where it is now
	case !c.used: // the first node to answer must not choose the row
	case exact >= 0 && !vms[c.order[exact]].Tombstone:
		c.vms.Cursor = exact
	case any >= 0:
		c.vms.Cursor = any
	}
}

// settle keeps the cursors inside their lists and remembers what they are on.
func (c *Cluster) settle() {
	box := c.layout(c.env.W, c.env.H)
	c.nodes = c.nodes.Clamp(len(c.env.Cluster.Nodes), box.nodes-1)
	c.vms = c.vms.Clamp(len(c.order), box.vms-2)
	c.jobs = c.jobs.Clamp(len(c.running), box.jobs-1)
	if c.focus == paneJobs && len(c.running) == 0 {
		c.focus = paneVMs
	}
	c.node, c.job = "", ""
	if c.nodes.Cursor < len(c.env.Cluster.Nodes) {
		c.node = c.env.Cluster.Nodes[c.nodes.Cursor].Name
	}
	if v := c.current(); v != nil {
		c.vm = keyOf(v)
	}
	if c.jobs.Cursor < len(c.running) {
		c.job = c.running[c.jobs.Cursor].ID
	}
}

// current is the VM under the cursor, or nil.
func (c *Cluster) current() *model.VM {
	if c.vms.Cursor < len(c.order) {
		return c.env.Cluster.VMs[c.order[c.vms.Cursor]]
	}
	return nil
}

func (c *Cluster) typed(m Typed) {
	switch m.Key {
	case "enter":
		c.typing = false
	case "esc", "ctrl+c":
		c.typing, c.input = false, widget.Input{}
		c.refilter()
	case "down", "up", "pgdown", "pgup":
		c.move(map[string]string{"down": "down", "up": "up", "pgdown": "half-down", "pgup": "half-up"}[m.Key])
	default:
		c.input, _ = c.input.Key(m.Key, m.Text)
		c.refilter()
	}
}

func (c *Cluster) move(id string) bool {
	box, ok := c.layout(c.env.W, c.env.H), false
	switch c.focus {
	case paneNodes:
		c.nodes, ok = c.nodes.Move(id, len(c.env.Cluster.Nodes), box.nodes-1)
	case paneVMs:
		c.vms, ok = c.vms.Move(id, len(c.order), box.vms-2)
	case paneJobs:
		c.jobs, ok = c.jobs.Move(id, len(c.running), box.jobs-1)
	}
	c.settle()
	return ok
}

func (c *Cluster) scroll(lines int) {
	id := "down"
	if lines < 0 {
		id, lines = "up", -lines
	}
	for range lines {
		c.move(id)
	}
}

func (c *Cluster) do(id string) []Intent {
	if c.move(id) {
		return nil
	}
	if c.focus == paneVMs {
		if out, ok := power(c.env, id, c.chosen()); ok {
			return out
		}
	}
	switch id {
	case "esc":
		switch {
		case !c.input.Empty():
			c.input = widget.Input{}
			c.refilter()
		case len(c.marks) > 0:
			clear(c.marks)
		default:
			return []Intent{Back{}}
		}
	case "next-pane":
		c.turn(1)
	case "previous-pane":
		c.turn(2)
	case "filter":
		c.focus, c.typing = paneVMs, true
	case "sort":
		return []Intent{Choose{ID: "sort", Menu: sortMenu(c.sort)}}
	case "reverse":
		c.reverse = !c.reverse
		c.refilter()
	case "group":
		c.grouped = !c.grouped
		c.refilter()
	case "columns":
		return []Intent{Choose{ID: "columns", Menu: widget.Checklist{Title: "columns", Items: c.columnItems(), Off: c.env.Hidden}}}
	case "matrix":
		if vms := c.chosen(); len(vms) > 0 {
			return []Intent{OpenMatrix{VMs: vms}}
		}
	case "open":
		return c.open()
	case "migrate":
		if vms := c.chosen(); len(vms) > 0 {
			return []Intent{OpenMigrate{VMs: vms}}
		}
	default:
		c.mark(id)
	}
	return nil
}

func (c *Cluster) turn(by int) {
	c.focus = (c.focus + pane(by)) % 3
	if c.focus == paneJobs && len(c.running) == 0 {
		c.focus = (c.focus + pane(by)) % 3
	}
}

func (c *Cluster) open() []Intent {
	switch c.focus {
	case paneNodes:
		if c.node != "" {
			return []Intent{OpenNode{c.node}}
		}
	case paneVMs:
		if v := c.current(); v != nil {
			return []Intent{OpenVM{UUID: v.UUID, Node: v.Node}}
		}
	case paneJobs:
		if c.job != "" {
			return []Intent{OpenJob{c.job}}
		}
	}
	return nil
}

// Hint implements Hinter.
func (c *Cluster) Hint() (esc, words string) {
	return "show all", "words, !not, node:x, state:x, tag:x"
}

// columnItems are the columns to choose from; what is wanted and has no room in
// this window says so.
func (c *Cluster) columnItems() []widget.Item {
	t := vmTable(c.env, anyMove(c.env.Cluster.VMs))
	items := slices.Clone(vmColumns)
	for i := range items {
		if id := items[i].ID; !c.env.Hidden[id] && !t.Shows(id, c.layout(c.env.W, c.env.H).main) {
			items[i].Note = "no room for it in this window"
		}
	}
	return items
}

// Scope implements Screen.
func (c *Cluster) Scope() bind.Scope {
	onVMs, why := "", ""
	if c.focus != paneVMs {
		onVMs = "the list of VMs has not the focus (tab)"
	}
	why = onVMs
	if why == "" {
		why = cannotMove(c.env, c.chosen())
	}
	s := bind.Scope{
		{ID: "migrate", Keys: []string{"m"}, Title: "migrate", Help: "move the VM under the cursor, or the marked ones", Group: "VMs", Class: bind.Asked, Rank: 1, Disabled: why},
		{ID: "open", Keys: []string{"enter"}, Title: "open", Help: "open what is under the cursor: a VM, a node, a job", Group: "look", Rank: 2},
		{ID: "filter", Keys: []string{"/"}, Title: "filter", Help: "show VMs that match as you type: words, !not, node:x, state:x, tag:x", Group: "look", Rank: 3},
		{ID: "sort", Keys: []string{"s"}, Title: "sort", Help: "choose the order of the VMs", Group: "look", Rank: 5},
		{ID: "reverse", Keys: []string{"S"}, Title: "reverse", Help: "turn the order round", Group: "look"},
		{ID: "group", Keys: []string{"N"}, Title: "by node", Help: "group the VMs by node, or not", Group: "look"},
		{ID: "columns", Keys: []string{"w"}, Title: "columns", Help: "choose the columns of the VMs", Group: "look"},
		{ID: "matrix", Keys: []string{"x"}, Title: "where to", Help: "for the marked VMs, each node with what stands against a move there", Group: "VMs", Disabled: onVMs},
		{ID: "next-pane", Keys: []string{"tab"}, Title: "pane", Help: "go to the next pane: nodes, VMs, jobs", Group: "move", Rank: 6},
		{ID: "previous-pane", Keys: []string{"shift+tab"}, Show: "shift-tab", Title: "pane back", Help: "go to the pane before", Group: "move"},
		{ID: "mark", Keys: []string{"space"}, Title: "mark", Help: "mark the VM under the cursor, and go on", Group: "VMs", Rank: 4, Disabled: onVMs},
		{ID: "mark-range", Keys: []string{"V"}, Title: "range", Help: "mark all from the last mark to the cursor", Group: "VMs", Disabled: onVMs},
		{ID: "mark-all", Keys: []string{"ctrl+a"}, Show: "ctrl-a", Title: "mark all", Help: "mark all VMs that are shown", Group: "VMs", Disabled: onVMs},
		{ID: "unmark", Keys: []string{"u"}, Title: "unmark", Help: "take all marks away", Group: "VMs"},
		{ID: "esc", Keys: []string{"esc"}, Title: "clear", Help: "take the filter away, then the marks", Group: "look"},
	}
	var vms []model.VM
	if c.focus == paneVMs {
		vms = c.chosen()
	}
	return append(append(s, powerScope(c.env, vms)...), bind.Move()...)
}

// LooksAt implements Looker.
func (c *Cluster) LooksAt() Target {
	if v := c.current(); v != nil {
		return Target{v.UUID, v.Node}
	}
	return Target{}
}
