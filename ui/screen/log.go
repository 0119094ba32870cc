package screen

import (
	"strings"
	"time"

	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// Notice is one line that the console said, with its time.
type Notice struct {
	At   time.Time
	Kind Kind
	Text string
}

// Render draws a notice in one line of w cells.
func (n Notice) Render(th *theme.Theme, w int) string {
	sign, look := n.sign(th)
	return text.Fit(look.Render(sign)+" "+th.Text.Render(name(n.Text)), w)
}

func (n Notice) sign(th *theme.Theme) (string, theme.Style) {
	switch n.Kind {
	case Good:
		return theme.SignPass, th.OK
	case Caution:
		return theme.SignWarn, th.Warn
	case Problem:
		return theme.SignFail, th.Bad
	}
	return theme.SignNone, th.Accent
}

// NewNotices carries all notices to the page of the log, oldest first.
type NewNotices struct{ List []Notice }

// Log is the page of what the console did and was told, in full.
type Log struct {
	env    *Env
	list   []Notice
	scroll int
}

// NewLog makes the page.
func NewLog(e *Env, list []Notice) *Log { return &Log{env: e, list: list} }

// Title implements Screen.
func (s *Log) Title() string { return "log" }

// Typing implements Screen.
func (s *Log) Typing() bool { return false }

// Update implements Screen.
func (s *Log) Update(msg any) (Screen, []Intent) {
	last := max(0, len(s.lines(s.env.W))-s.env.H)
	switch m := msg.(type) {
	case *Env:
		s.env = m
	case NewNotices:
		s.list = m.List
	case Wheel:
		s.scroll = max(0, min(s.scroll+m.Lines, last))
	case Do:
		if m.ID == "esc" {
			return s, []Intent{Back{}}
		}
		l, _ := widget.List{Cursor: s.scroll}.Move(m.ID, last+1, s.env.H)
		s.scroll = l.Cursor
	}
	return s, nil
}

// Scope implements Screen.
func (s *Log) Scope() bind.Scope {
	return append(bind.Scope{
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back", Group: "look", Rank: 1},
	}, bind.Move()...)
}

func (s *Log) lines(w int) []string {
	th := s.env.Theme
	var lines []string
	for i := len(s.list) - 1; i >= 0; i-- {
		n := s.list[i]
		sign, look := n.sign(th)
		for k, part := range text.Wrap(name(n.Text), max(1, w-14)) {
			lead := text.Spaces(12)
			if k == 0 {
				lead = " " + th.Muted.Render(n.At.Format("15:04:05")) + " " + look.Render(sign) + " "
			}
			lines = append(lines, lead+th.Text.Render(part))
		}
	}
	return lines
}

// View implements Screen.
func (s *Log) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	lines := s.lines(w)
	if len(lines) == 0 {
		lines = []string{" " + s.env.Theme.Muted.Render("nothing yet: what is asked of the engine, and what came of it, is kept here")}
	}
	seen, _ := widget.Window(lines, s.scroll, h)
	return text.Block(strings.Join(seen, "\n"), w, h)
}
