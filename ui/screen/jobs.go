package screen

import (
	"fmt"
	"slices"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/widget"
)

// Jobs is the page of all moves, newest first.
type Jobs struct {
	env    *Env
	list   widget.List
	on     model.JobID
	shown  []model.Job
	input  widget.Input
	typing bool
	open   bool // only those that are not over
}

// NewJobs makes the page of all moves.
func NewJobs(e *Env) *Jobs {
	s := &Jobs{}
	s.setEnv(e)
	return s
}

func (s *Jobs) setEnv(e *Env) {
	s.env = e
	f := parseFilter(s.input.Value())
	s.shown = nil
	for _, j := range s.all() {
		v := model.VM{Name: j.VMName + " " + string(j.ID), Node: j.From + " " + j.To, UUID: j.VM, State: model.DomainState(string(j.State) + " " + jobLook(e.Theme, j.State).word)}
		if (!s.open || !j.State.Ended()) && f.matches(&v) {
			s.shown = append(s.shown, j)
		}
	}
	if i := slices.IndexFunc(s.shown, func(j model.Job) bool { return j.ID == s.on }); i >= 0 {
		s.list.Cursor = i
	}
	s.settle()
}

// all are the moves of this console and those of others.
func (s *Jobs) all() []model.Job {
	if len(s.env.Elsewhere) == 0 {
		return s.env.Jobs
	}
	all := append(slices.Clone(s.env.Elsewhere), s.env.Jobs...)
	slices.SortStableFunc(all, func(a, b model.Job) int { return b.Started.Compare(a.Started) })
	return all
}

func (s *Jobs) settle() {
	s.list = s.list.Clamp(len(s.shown), s.env.H-2)
	s.on = ""
	if s.list.Cursor < len(s.shown) {
		s.on = s.shown[s.list.Cursor].ID
	}
}

// Title implements Screen.
func (s *Jobs) Title() string { return "moves" }

// Typing implements Screen.
func (s *Jobs) Typing() bool { return s.typing }

// Update implements Screen.
func (s *Jobs) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.setEnv(m)
	case Wheel:
		s.list.Cursor += m.Lines
		s.settle()
	case Click:
		if i := s.list.Hit(m.Y-1, len(s.shown), s.env.H-1); i >= 0 {
			s.list.Cursor = i
			s.settle()
		}
	case Pasted:
		s.input = s.input.Insert(m.Text)
		s.setEnv(s.env)
	case Typed:
		switch m.Key {
		case "enter":
			s.typing = false
		case "esc", "ctrl+c":
			s.typing, s.input = false, widget.Input{}
		default:
			s.input, _ = s.input.Key(m.Key, m.Text)
		}
		s.setEnv(s.env)
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

func (s *Jobs) do(id string) []Intent {
	if l, ok := s.list.Move(id, len(s.shown), s.env.H-2); ok {
		s.list = l
		s.settle()
		return nil
	}
	switch id {
	case "open":
		if s.on != "" {
			return []Intent{OpenJob{s.on}}
		}
	case "filter":
		s.typing = true
	case "unfinished":
		s.open = !s.open
		s.setEnv(s.env)
	case "esc":
		if s.input.Empty() {
			return []Intent{Back{}}
		}
		s.input = widget.Input{}
		s.setEnv(s.env)
	}
	return nil
}

// Hint implements Hinter.
func (s *Jobs) Hint() (esc, words string) { return "show all", "words, !not, node:x, state:x" }

// Scope implements Screen.
func (s *Jobs) Scope() bind.Scope {
	none := ""
	if len(s.shown) == 0 {
		none = "there is no move here"
	}
	return append(bind.Scope{
		{ID: "open", Keys: []string{"enter"}, Title: "open", Help: "open the move under the cursor", Group: "look", Rank: 1, Disabled: none},
		{ID: "filter", Keys: []string{"/"}, Title: "filter", Help: "show moves that match as you type: words, !not, node:x, state:x", Group: "look", Rank: 2},
		{ID: "unfinished", Keys: []string{"o"}, Title: "open ones", Help: "show only moves that are not over, or all", Group: "look", Rank: 3},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "take the filter away, then go back", Group: "look", Rank: 4},
	}, bind.Move()...)
}

// View implements Screen.
func (s *Jobs) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	th := s.env.Theme
	note := text.Count(len(s.shown), "move")
	if n := len(s.env.Jobs) + len(s.env.Elsewhere); n != len(s.shown) {
		note = fmt.Sprintf("%d of %s", len(s.shown), text.Count(n, "move"))
	}
	if s.open {
		note += ", those not over; o shows all"
	}
	head := " " + th.Muted.Render(note)
	switch {
	case s.typing:
		head += "  " + th.Accent.Render("/") + s.input.View(th, max(1, w-text.Width(head)-4))
	case !s.input.Empty():
		head += "  " + th.Accent.Render("/"+s.input.Value()) + th.Faint.Render("  esc shows all")
	}
	t := jobTable("MOVES")
	t.Focus = true
	if len(s.env.Jobs)+len(s.env.Elsewhere) > 0 {
		t.Empty = "no move matches; esc shows all"
		if s.open && s.input.Empty() {
			t.Empty = "every move is over; o shows them"
		}
	}
	t.Columns = append(t.Columns, widget.Column{Title: "begun", Width: 16, Rank: 4})
	return text.Fit(head, w) + "\n" + t.View(th, w, h-1, s.list, len(s.shown), func(i int) widget.Row {
		r := jobRow(s.env, s.shown[i])
		r.Cells = append(r.Cells, widget.Cell{Text: s.shown[i].Started.Format("2006-01-02 15:04"), Style: th.Muted})
		return r
	})
}
