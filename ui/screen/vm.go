package screen

import (
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// Looker is a page about one VM.
type Looker interface{ LooksAt() Target }

// vmPage is one page of the screen of a VM.
type vmPage int

const (
	vmOverview vmPage = iota
	vmDisks
	vmSnapshots
	vmXML
	vmHistory
	vmHealth
)

var vmPages = []string{"overview", "disks", "snapshots", "XML", "history", "health"}

// VM is the screen of one VM. It follows the VM from node to node.
type VM struct {
	env    *Env
	vm     model.VM
	gone   bool
	page   vmPage
	scroll int

	asked   Target // whose details were asked for; zero while none are
	again   bool   // a person asked for them anew
	details *model.VMDetails
	err     error

	snaps  widget.List
	moves  []model.Job
	job    widget.List
	xml    document
	health healthView
}

// NewVM makes the screen of a VM.
func NewVM(e *Env, id model.UUID, node model.NodeName) *VM {
	s := &VM{vm: model.VM{UUID: id, Node: node, Name: string(id)}}
	s.setEnv(e)
	return s
}

// On begins with another page than the first.
func (s *VM) On(page int) *VM {
	s.turn(page)
	return s
}

func (s *VM) setEnv(e *Env) {
	themed := s.env == nil || s.env.Theme != e.Theme
	s.env = e
	v, ok := e.VM(s.vm.UUID, s.vm.Node)
	s.gone = !ok
	if ok {
		s.vm = v
	}
	s.moves = s.moves[:0:0]
	for _, j := range e.Jobs {
		if j.VM == s.vm.UUID {
			s.moves = append(s.moves, j)
		}
	}
	s.job = s.job.Clamp(len(s.moves), s.env.H-4)
	if themed && s.details != nil {
		s.xml = s.xml.load(e.Theme, s.details.XML)
	}
}

// Title implements Screen.
func (s *VM) Title() string { return name(s.vm.Name) }

// Typing implements Screen.
func (s *VM) Typing() bool { return s.page == vmXML && s.xml.typing }

// UUID is the VM that the screen shows.
func (s *VM) UUID() model.UUID { return s.vm.UUID }

// LooksAt implements Looker.
func (s *VM) LooksAt() Target { return Target{s.vm.UUID, s.vm.Node} }

// answeredAnew tells that what is shown was asked for again: often it looks the
// same.
func answeredAnew(n model.NodeName) Intent {
	return Say{Note, name(n) + " was asked anew; this is its answer"}
}

// ask wants the details anew.
func (s *VM) ask() []Intent {
	s.asked = s.LooksAt()
	return []Intent{AskVM{s.asked}}
}

// Update implements Screen.
func (s *VM) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.setEnv(m)
		if s.asked.Node != "" && s.asked.Node != s.vm.Node && !s.gone { // it has moved
			return s, s.ask()
		}
	case Opened:
		return s, s.ask()
	case VMArrived:
		if m.Target == s.asked {
			s.err = m.Err
			if m.Err == nil {
				s.details = &m.Details
				s.xml = s.xml.load(s.env.Theme, m.Details.XML)
				s.snaps = s.snaps.Clamp(len(m.Details.Snapshots), s.env.H-4)
			}
			again := s.again
			s.again = false
			if again && m.Err == nil {
				return s, []Intent{answeredAnew(m.Node)}
			}
		}
	case Acted:
		if m.Target == s.LooksAt() {
			return s, s.ask()
		}
	case HealthNews:
		if m.Target.UUID == s.vm.UUID {
			s.health = s.health.news(m, s.env.Now)
		}
	case Typed:
		s.xml = s.xml.typed(m, s.body()).reveal(s.env.W)
	case Pasted:
		s.xml = s.xml.pasted(m.Text, s.body()).reveal(s.env.W)
	case Wheel:
		s.move(map[bool]string{true: "down", false: "up"}[m.Lines > 0], max(m.Lines, -m.Lines))
	case Click:
		if m.Y == 0 {
			s.turn((int(s.page) + 1) % len(vmPages))
		}
	case Answered:
		return s, s.answered(m)
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

func (s *VM) answered(m Answered) []Intent {
	if m.ID == "copy" {
		return []Intent{Copy{Name: m.Value, Text: s.copies()[m.Value]}}
	}
	out, _ := powerAnswered(s.env, m, []model.VM{s.vm})
	return out
}

func (s *VM) turn(to int) { s.page, s.scroll = vmPage(to), 0 }

// body is the lines under the names of the pages.
func (s *VM) body() int {
	if s.gone {
		return max(1, s.env.H-4)
	}
	return max(1, s.env.H-2)
}

// scrolled are all lines of a page that scrolls as one.
func (s *VM) scrolled(w int) []string {
	switch s.page {
	case vmDisks:
		return s.disksPage(w)
	case vmHealth:
		return s.health.lines(s.env, s.vm, w)
	}
	if w >= sideBySide {
		_, right := overviewSides(w)
		return s.overviewSide(right)
	}
	return s.overviewLines(w)
}

func (s *VM) move(id string, times int) bool {
	ok := false
	for range times {
		switch s.page {
		case vmSnapshots:
			if s.details != nil {
				s.snaps, ok = s.snaps.Move(id, len(s.details.Snapshots), s.body()-2)
			}
		case vmHistory:
			s.job, ok = s.job.Move(id, len(s.moves), s.body()-1)
		case vmXML:
			s.xml, ok = s.xml.move(id, s.body())
		default:
			s.scroll, ok = widget.ScrollBy(s.scroll, id, len(s.scrolled(s.env.W)), s.body())
		}
	}
	return ok
}

func (s *VM) do(id string) []Intent {
	if s.move(id, 1) {
		return nil
	}
	if out, ok := power(s.env, id, []model.VM{s.vm}); ok {
		return out
	}
	switch id {
	case "esc":
		if s.page == vmXML && s.xml.query != "" {
			s.xml = s.xml.search("", s.body())
			return nil
		}
		return []Intent{Back{}}
	case "next-page":
		s.turn((int(s.page) + 1) % len(vmPages))
	case "previous-page":
		s.turn((int(s.page) + len(vmPages) - 1) % len(vmPages))
	case "page1", "page2", "page3", "page4", "page5", "page6":
		s.turn(int(id[4] - '1'))
	case "migrate":
		return []Intent{OpenMigrate{VMs: []model.VM{s.vm}}}
	case "matrix":
		return []Intent{OpenMatrix{VMs: []model.VM{s.vm}}}
	case "node":
		return []Intent{OpenNode{s.vm.Node}}
	case "job":
		if s.page == vmHistory && len(s.moves) > 0 {
			return []Intent{OpenJob{s.moves[s.job.Cursor].ID}}
		}
		return []Intent{OpenJob{s.vm.Job}}
	case "again":
		if s.page == vmHealth {
			return s.startHealth()
		}
		s.again = true
		return s.ask()
	case "health":
		s.turn(int(vmHealth))
		return s.startHealth()
	case "search":
		s.turn(int(vmXML))
		s.xml.typing = true
	case "next-hit", "previous-hit":
		s.xml = s.xml.hit(map[string]int{"next-hit": 1, "previous-hit": -1}[id], s.body()).reveal(s.env.W)
	case "right", "left":
		s.xml = s.xml.sideways(map[string]int{"right": wideStep, "left": -wideStep}[id], s.env.W)
	case "revert", "delete":
		return s.onSnapshot(id)
	case "copy":
		return []Intent{Choose{ID: "copy", Menu: widget.Menu{Title: "copy", Items: []widget.Item{
			{ID: "name", Key: "n", Title: "name", Note: name(s.vm.Name)},
			{ID: "UUID", Key: "u", Title: "UUID", Note: name(s.vm.UUID)},
			{ID: "address", Key: "a", Title: "address", Note: s.copies()["address"]},
			{ID: "XML", Key: "x", Title: "XML", Note: "its whole definition"},
			{ID: "error", Key: "e", Title: "error", Note: "the last error in libvirt's words"},
		}}}}
	}
	return nil
}

func (s *VM) startHealth() []Intent {
	s.health = healthView{running: true, began: s.env.Now}
	return []Intent{AskHealth{s.LooksAt()}}
}

func (s *VM) copies() map[string]string {
	m := map[string]string{"name": name(s.vm.Name), "UUID": name(s.vm.UUID)}
	if len(s.vm.Addresses) > 0 {
		m["address"] = name(s.vm.Addresses[0])
	}
	if s.details != nil {
		m["XML"] = s.details.XML
	}
	if s.err != nil {
		m["error"] = s.err.Error()
	}
	return m
}

// Hint implements Hinter.
func (s *VM) Hint() (esc, words string) {
	return "end the search", "↓ ↑ from hit to hit; after enter n and N"
}

// Scope implements Screen.
func (s *VM) Scope() bind.Scope {
	why := cannotMove(s.env, []model.VM{s.vm})
	noJob := ""
	if _, ok := s.env.Job(s.vm.Job); !ok && (s.page != vmHistory || len(s.moves) == 0) {
		noJob = "no move of this console has hold of it"
	}
	if s.gone {
		why = "it is on no node that answers"
	}
	noXML := ""
	if s.page != vmXML {
		noXML = "that is for the page XML"
	}
	rank := func(here bool, r int) int {
		if here {
			return r
		}
		return 0
	}
	noHealth := ""
	if s.health.running {
		noHealth = "the checks are being made"
	}
	sc := bind.Scope{
		{ID: "migrate", Keys: []string{"m"}, Title: "migrate", Help: "move this VM to another node", Group: "VM", Class: bind.Asked, Rank: 1, Disabled: why},
		{ID: "matrix", Keys: []string{"x"}, Title: "where to", Help: "each node with what stands against a move there", Group: "VM", Disabled: why},
		{ID: "revert", Keys: []string{"R"}, Title: "revert", Help: "put the VM back to the snapshot under the cursor", Group: "VM", Class: bind.Typed, Rank: rank(s.page == vmSnapshots, 2), Disabled: s.noSnapshot()},
		{ID: "delete", Keys: []string{"X"}, Title: "delete", Help: "delete the snapshot under the cursor", Group: "VM", Class: bind.Typed, Rank: rank(s.page == vmSnapshots, 3), Disabled: s.noSnapshot()},
		{ID: "health", Keys: []string{"e"}, Title: "health now", Help: "make the eight checks now", Group: "VM", Rank: rank(s.page != vmHealth, 5), Disabled: noHealth},
		{ID: "job", Keys: []string{"enter"}, Title: "its move", Help: "open the move that has hold of it, or the one under the cursor", Group: "look", Rank: 2, Disabled: noJob},
		{ID: "node", Keys: []string{"o"}, Title: "its node", Help: "open the node it is on", Group: "look", Rank: 7},
		{ID: "copy", Keys: []string{"y"}, Title: "copy", Help: "copy its name, UUID, address, XML or last error to the terminal's clipboard", Group: "look", Rank: 6},
		{ID: "search", Keys: []string{"/"}, Title: "search", Help: "search in the XML", Group: "look", Rank: rank(s.page == vmXML, 2)},
		{ID: "next-hit", Keys: []string{"n"}, Title: "next hit", Help: "next hit of the search", Group: "look", Rank: rank(s.page == vmXML && s.xml.query != "", 2), Disabled: noXML},
		{ID: "previous-hit", Keys: []string{"N"}, Title: "previous hit", Help: "hit before", Group: "look", Disabled: noXML},
		{ID: "right", Keys: []string{">"}, Title: "right", Help: "the rest of long lines of the XML", Group: "look", Disabled: noXML},
		{ID: "left", Keys: []string{"<"}, Title: "left", Help: "back to the beginning of the lines", Group: "look", Disabled: noXML},
		{ID: "again", Keys: []string{"r"}, Title: "refresh", Help: "ask the node anew, or make the checks again", Group: "look"},
		{ID: "next-page", Keys: []string{"tab", "l", "right"}, Title: "page", Help: "next page", Group: "look", Rank: 3},
		{ID: "previous-page", Keys: []string{"shift+tab", "h", "left"}, Show: "shift-tab", Title: "page back", Help: "page before", Group: "look"},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "end the search, then go back", Group: "look", Rank: 9},
	}
	for i, p := range vmPages {
		k := string(rune('1' + i))
		sc = append(sc, bind.Action{ID: "page" + k, Keys: []string{k}, Title: p, Help: "the page " + p, Group: "look"})
	}
	return append(append(sc, powerScope(s.env, []model.VM{s.vm})...), bind.Move()...)
}

// View implements Screen.
func (s *VM) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	th := s.env.Theme
	tabs := widget.Tabs(th, w, vmPages, int(s.page))
	if h < 3 {
		return tabs
	}
	body := h - 2
	var lines []string
	if s.gone {
		lines = append(lines, " "+th.Warn.Render(theme.SignWarn+" on no node that answers; this is what was last seen"), "")
		body = max(1, body-2)
	}
	var page string
	switch s.page {
	case vmSnapshots:
		page = s.snapshotsPage(w, body)
	case vmXML:
		page = s.xmlPage(w, body)
	case vmHistory:
		page = s.historyPage(w, body)
	case vmOverview:
		page = s.overview(w, body)
	default:
		page = strings.Join(widget.Scrolled(th, s.scrolled(w), s.scroll, body), "\n")
	}
	return text.Block(tabs+"\n\n"+strings.Join(append(lines, page), "\n"), w, h)
}
