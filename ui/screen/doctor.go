package screen

import (
	"slices"
	"strings"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// Doctor is the page of what every node needs to be fit, and lacks.
type Doctor struct {
	env     *Env
	reports map[model.NodeName][]model.Finding
	running bool
	err     error
	at      time.Time
	lines   []doctorLine
	list    widget.List
	trouble bool // only what is not well
	wide    int  // the longest title
}

// doctorLine is a node, or one finding on it.
type doctorLine struct {
	node    model.NodeName
	finding *model.Finding
}

// NewDoctor makes the page.
func NewDoctor(e *Env) *Doctor { return &Doctor{env: e, reports: map[model.NodeName][]model.Finding{}} }

// Title implements Screen.
func (s *Doctor) Title() string { return "doctor" }

// Typing implements Screen.
func (s *Doctor) Typing() bool { return false }

// Update implements Screen.
func (s *Doctor) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.env = m
		s.lay()
	case Opened:
		return s, s.again()
	case DoctorNews:
		if m.Done {
			s.running, s.err, s.at = false, m.Err, s.env.Now
		} else {
			s.reports[m.Node] = m.Findings
		}
		s.lay()
	case Wheel:
		s.list = s.list.Scroll(m.Lines, len(s.lines), s.page())
	case Click:
		if i := s.list.Hit(m.Y, len(s.lines), s.page()+1); i >= 0 {
			s.list.Cursor = i
		}
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

func (s *Doctor) page() int { return max(1, s.env.H-8) }

func (s *Doctor) again() []Intent {
	if s.running {
		return nil
	}
	s.running, s.err, s.reports = true, nil, map[model.NodeName][]model.Finding{}
	s.lay()
	return []Intent{AskDoctor{}}
}

// lay makes the lines, the nodes in their order, what is worst first.
func (s *Doctor) lay() {
	s.lines, s.wide = s.lines[:0:0], 20
	for _, n := range s.env.Cluster.Nodes {
		s.lines = append(s.lines, doctorLine{node: n.Name})
		fs := slices.Clone(s.reports[n.Name])
		slices.SortStableFunc(fs, func(a, b model.Finding) int { return rankOf(b.Verdict) - rankOf(a.Verdict) })
		for i := range fs {
			if s.trouble && fs[i].Verdict != model.Fail && fs[i].Verdict != model.Warn {
				continue
			}
			s.lines = append(s.lines, doctorLine{n.Name, &fs[i]})
			s.wide = min(30, max(s.wide, text.Width(name(fs[i].Title))))
		}
	}
	s.list = s.list.Clamp(len(s.lines), s.page())
}

func rankOf(v model.Verdict) int {
	switch v {
	case model.Fail:
		return 3
	case model.Warn:
		return 2
	case model.Skip:
		return 1
	}
	return 0
}

func (s *Doctor) current() (doctorLine, bool) {
	if s.list.Cursor < len(s.lines) {
		return s.lines[s.list.Cursor], true
	}
	return doctorLine{}, false
}

func (s *Doctor) do(id string) []Intent {
	if l, ok := s.list.Move(id, len(s.lines), s.page()); ok {
		s.list = l
		return nil
	}
	l, some := s.current()
	switch id {
	case "esc":
		return []Intent{Back{}}
	case "again":
		return s.again()
	case "trouble":
		s.trouble = !s.trouble
		s.lay()
	case "open":
		if some {
			return []Intent{OpenNode{l.node}}
		}
	case "reconnect":
		if some {
			return []Intent{Reconnect{l.node}}
		}
	case "copy":
		if some && l.finding != nil {
			return []Intent{Copy{Name: "remedy", Text: text.Or(l.finding.Remedy, l.finding.Detail)}}
		}
	}
	return nil
}

// Scope implements Screen.
func (s *Doctor) Scope() bind.Scope {
	l, some := s.current()
	none, noFinding, busy := "", "", ""
	if !some {
		none = "there is no node"
	}
	if l.finding == nil {
		noFinding = "the cursor is on no finding"
	}
	if s.running {
		busy = "the nodes are being looked at"
	}
	return append(bind.Scope{
		{ID: "open", Keys: []string{"enter"}, Title: "open node", Help: "open the node", Group: "look", Rank: 1, Disabled: none},
		{ID: "copy", Keys: []string{"y"}, Title: "copy remedy", Help: "copy the remedy to the terminal's clipboard", Group: "look", Rank: 2, Disabled: noFinding},
		{ID: "trouble", Keys: []string{"o"}, Title: "only trouble", Help: "show only what is not well, or all", Group: "look", Rank: 3},
		{ID: "again", Keys: []string{"r"}, Title: "look again", Help: "look at every node again", Group: "look", Rank: 4, Disabled: busy},
		{ID: "reconnect", Keys: []string{"t"}, Title: "reconnect", Help: "try to reach the node now", Group: "look", Disabled: none},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back", Group: "look", Rank: 5},
	}, bind.Move()...)
}

// View implements Screen.
func (s *Doctor) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	th := s.env.Theme
	fails, warns := 0, 0
	for _, fs := range s.reports {
		for _, f := range fs {
			switch f.Verdict {
			case model.Fail:
				fails++
			case model.Warn:
				warns++
			}
		}
	}
	head := " " + th.Muted.Render(text.Count(len(s.reports), "node")+" looked at, ") + countLook(th.Bad, th, fails, "failure") + th.Muted.Render(", ") + countLook(th.Warn, th, warns, "warning")
	if s.running {
		head = " " + th.Accent.Render(theme.SignActive) + th.Text.Render(" looking at every node, ") + th.Muted.Render(text.Count(len(s.reports), "node")+" done")
	} else if s.err != nil {
		head = " " + th.Bad.Render(theme.SignFail+" "+name(s.err.Error()))
	}
	foot := s.foot(w)
	room := max(1, h-1-len(foot))
	lines := []string{text.Fit(head, w)}
	list := s.list.Clamp(len(s.lines), room)
	for i := list.Offset; i < len(s.lines) && len(lines) < room+1; i++ {
		lines = append(lines, s.line(s.lines[i], w, i == list.Cursor))
	}
	return text.Block(text.Block(strings.Join(lines, "\n"), w, h-len(foot))+"\n"+strings.Join(foot, "\n"), w, h)
}

func countLook(look theme.Style, th *theme.Theme, n int, of string) string {
	if n == 0 {
		look = th.Muted
	}
	return look.Render(text.Count(n, of))
}

func (s *Doctor) line(l doctorLine, w int, cursor bool) string {
	th := s.env.Theme
	var bg theme.Style
	sign := " "
	if cursor {
		bg, sign = th.Select, theme.SignCursor
	}
	lead := th.Accent.On(bg).Render(sign)
	if l.finding == nil {
		n, _ := s.env.Node(l.node)
		st := nodeLook(th, n.State)
		note := ""
		if _, done := s.reports[l.node]; !done && s.running {
			note = "being looked at …"
		}
		return lead + th.Strong.On(bg).Render(text.Fit(name(l.node), 16)) + st.style.On(bg).Render(text.Fit(st.String(), 16)) + th.Muted.On(bg).Render(text.Fit(note, max(0, w-33)))
	}
	v := verdictLook(th, l.finding.Verdict)
	return lead + bg.Render("  ") + v.style.On(bg).Render(text.Fit(v.String(), 7)) + th.Text.On(bg).Render(text.Fit(name(l.finding.Title), s.wide)+"  ") +
		th.Muted.On(bg).Render(text.Fit(name(l.finding.Detail), max(0, w-12-s.wide)))
}

// foot is the finding under the cursor in full, with its remedy.
func (s *Doctor) foot(w int) []string {
	th := s.env.Theme
	l, ok := s.current()
	out := []string{widget.RuleLine(th, w)}
	if !ok || l.finding == nil {
		return append(out, " "+th.Muted.Render("a line under the cursor is shown here in full, with what to do"), "", "", "")
	}
	for _, p := range text.Wrap(name(l.finding.Title)+": "+name(l.finding.Detail), w-2) {
		out = append(out, " "+th.Text.Render(p))
	}
	for _, p := range text.Wrap("remedy: "+text.Or(name(l.finding.Remedy), "none is needed"), w-2) {
		out = append(out, " "+th.OK.Render(p))
	}
	for len(out) < 5 {
		out = append(out, "")
	}
	return out[:min(len(out), 7)]
}
