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

// VM is the page of one VM. It follows the VM from node to node.
type VM struct {
	env    *Env
	vm     model.VM
	gone   bool
	scroll int
}

// NewVM makes the page of a VM.
func NewVM(e *Env, id model.UUID, node model.NodeName) *VM {
	s := &VM{vm: model.VM{UUID: id, Node: node, Name: string(id)}}
	s.setEnv(e)
	return s
}

func (s *VM) setEnv(e *Env) {
	s.env = e
	v, ok := e.VM(s.vm.UUID, s.vm.Node)
	s.gone = !ok
	if ok {
		s.vm = v
	}
}

// Title implements Screen.
func (s *VM) Title() string { return name(s.vm.Name) }

// Typing implements Screen.
func (s *VM) Typing() bool { return false }

// Update implements Screen.
func (s *VM) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.setEnv(m)
	case Wheel:
		s.scroll = max(0, s.scroll+m.Lines)
	case Answered:
		if m.ID == "copy" {
			return s, []Intent{Copy{Name: m.Value, Text: s.copies()[m.Value]}}
		}
	case Do:
		switch m.ID {
		case "esc":
			return s, []Intent{Back{}}
		case "migrate":
			return s, []Intent{OpenMigrate{VMs: []model.VM{s.vm}}}
		case "node":
			return s, []Intent{OpenNode{s.vm.Node}}
		case "job":
			return s, []Intent{OpenJob{s.vm.Job}}
		case "copy":
			return s, []Intent{Choose{ID: "copy", Menu: widget.Menu{Title: "copy", Items: []widget.Item{
				{ID: "name", Key: "n", Title: "name"},
				{ID: "UUID", Key: "u", Title: "UUID"},
				{ID: "address", Key: "a", Title: "address"},
			}}}}
		case "down":
			s.scroll++
		case "up":
			s.scroll = max(0, s.scroll-1)
		case "half-down":
			s.scroll += max(1, s.env.H/2)
		case "half-up":
			s.scroll = max(0, s.scroll-max(1, s.env.H/2))
		case "top":
			s.scroll = 0
		}
	}
	return s, nil
}

func (s *VM) copies() map[string]string {
	m := map[string]string{"name": name(s.vm.Name), "UUID": name(s.vm.UUID)}
	if len(s.vm.Addresses) > 0 {
		m["address"] = name(s.vm.Addresses[0])
	}
	return m
}

// Scope implements Screen.
func (s *VM) Scope() bind.Scope {
	why := cannotMove(s.env, []model.VM{s.vm})
	noJob := ""
	if _, ok := s.env.Job(s.vm.Job); !ok {
		noJob = "no move of this console has hold of it"
	}
	if s.gone {
		why = "it is on no node that answers"
	}
	return append(bind.Scope{
		{ID: "migrate", Keys: []string{"m"}, Title: "migrate", Help: "move this VM to another node", Group: "VM", Class: bind.Asked, Rank: 1, Disabled: why},
		{ID: "job", Keys: []string{"enter"}, Title: "its move", Help: "open the move that has hold of it", Group: "look", Rank: 2, Disabled: noJob},
		{ID: "node", Keys: []string{"o"}, Title: "its node", Help: "open the node it is on", Group: "look", Rank: 3},
		{ID: "copy", Keys: []string{"y"}, Title: "copy", Help: "copy its name, UUID or address to the terminal's clipboard", Group: "look", Rank: 4},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back", Group: "look", Rank: 5},
	}, bind.Move()...)
}

// View implements Screen.
func (s *VM) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	th := s.env.Theme
	left := w
	if w >= 120 {
		left = max(54, w*2/5)
	}
	var facts []string
	if s.gone {
		facts = append(facts, " "+th.Warn.Render(theme.SignWarn+" on no node that answers; this is what was last seen"), "")
	}
	facts = append(append(facts, " "+th.Strong.Render("OVERVIEW"), ""), vmFacts(s.env, s.vm, left)...)
	right := w
	if w >= 120 {
		right = w - left - 3
	}
	devices := append(s.diskLines(right), "")
	devices = append(devices, s.nicLines(right)...)
	if w < 120 {
		seen := widget.Scrolled(th, append(append(facts, ""), devices...), s.scroll, h)
		return text.Block(strings.Join(seen, "\n"), w, h)
	}
	seen, _ := widget.Window(devices, s.scroll, h)
	return text.Block(text.Beside(strings.Join(facts, "\n"), left, 3, strings.Join(seen, "\n")), w, h)
}

func (s *VM) diskLines(w int) []string {
	t := widget.Table{Heading: true, Plain: true, Empty: "no disk", Columns: []widget.Column{
		{Title: "DISKS", Width: 10},
		{Title: "size", Width: 9, Right: true},
		{Title: "taken", Width: 9, Right: true, Rank: 2},
		{Title: "format", Width: 7},
		{Title: "cache", Width: 9, Rank: 3},
		{Title: "source", Width: 24, Min: 16, Grow: 1},
	}}
	th := s.env.Theme
	n := len(s.vm.Disks)
	return strings.Split(t.View(th, w, max(2, n+1), widget.List{}, n, func(i int) widget.Row {
		d := s.vm.Disks[i]
		source := name(d.Source)
		switch {
		case source == "":
			source = "(empty)"
		case d.ReadOnly:
			source += " (read only)"
		}
		size, taken := "-", "-"
		if d.Capacity > 0 {
			size, taken = text.Bytes(d.Capacity), text.Bytes(d.Allocation)
		}
		what := name(d.Target)
		if d.Device != "" && d.Device != "disk" {
			what += " " + name(d.Device)
		}
		return widget.Row{Cells: []widget.Cell{
			{Text: what, Style: th.Strong},
			{Text: size, Style: th.Text},
			{Text: taken, Style: th.Muted},
			{Text: text.Or(name(d.Format), "-"), Style: th.Text},
			{Text: text.Or(name(d.Cache), "-"), Style: th.Muted},
			{Text: source, Style: th.Text},
		}}
	}), "\n")
}

func (s *VM) nicLines(w int) []string {
	t := widget.Table{Heading: true, Plain: true, Empty: "no interface", Columns: []widget.Column{
		{Title: "NETWORK", Width: 8},
		{Title: "MAC", Width: 17},
		{Title: "model", Width: 8, Rank: 3},
		{Title: "on", Width: 18, Min: 12},
		{Title: "addresses", Width: 18, Min: 12, Grow: 1, Rank: 2},
	}}
	th := s.env.Theme
	n := len(s.vm.NICs)
	return strings.Split(t.View(th, w, max(2, n+1), widget.List{}, n, func(i int) widget.Row {
		d := s.vm.NICs[i]
		return widget.Row{Cells: []widget.Cell{
			{Text: text.Or(name(d.Target), "-"), Style: th.Strong},
			{Text: name(d.MAC), Style: th.Text},
			{Text: name(d.Model), Style: th.Muted},
			{Text: fmt.Sprintf("%s %s", name(d.Type), name(d.Source)), Style: th.Text},
			{Text: text.Or(strings.Join(text.CleanAll(d.Addresses), ", "), "-"), Style: th.Text},
		}}
	}), "\n")
}

// UUID is the VM that the page shows.
func (s *VM) UUID() model.UUID { return s.vm.UUID }
