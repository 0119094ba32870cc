package screen

import (
	"strings"
	"time"

	"horcrux/engine/model"
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

// NewNotices says that the console said something: the log has more lines.
type NewNotices struct{}

// Log is the page of what the console did and what the hosts said, newest
// first. It is read from the saved log, so it goes back beyond this start.
type Log struct {
	env    *Env
	lines  []model.LogEntry
	shown  []model.LogEntry
	err    error
	read   bool
	list   widget.List
	input  widget.Input
	typing bool
	open   bool // the line under the cursor in full
}

// NewLog makes the page.
func NewLog(e *Env) *Log { return &Log{env: e} }

// Title implements Screen.
func (s *Log) Title() string { return "log" }

// Typing implements Screen.
func (s *Log) Typing() bool { return s.typing }

// Update implements Screen.
func (s *Log) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.env = m
	case Opened, NewNotices, Acted:
		return s, []Intent{AskLog{}}
	case LogArrived:
		grown := len(m.Lines) - len(s.lines)
		s.lines, s.err, s.read = m.Lines, m.Err, true
		if grown > 0 && (s.list.Cursor > 0 || s.open) && s.input.Empty() { // the cursor stays on its line
			s.list.Cursor += grown
		}
		s.refilter()
	case Typed:
		switch m.Key {
		case "enter":
			s.typing = false
		case "esc", "ctrl+c":
			s.typing, s.input = false, widget.Input{}
		default:
			s.input, _ = s.input.Key(m.Key, m.Text)
		}
		s.refilter()
	case Pasted:
		s.input = s.input.Insert(m.Text)
		s.refilter()
	case Wheel:
		s.list = s.list.Scroll(m.Lines, len(s.shown), s.page())
	case Click:
		if i := s.list.Hit(m.Y, len(s.shown), s.page()+1); i >= 0 {
			s.list.Cursor = i
		}
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

func (s *Log) page() int { return max(1, s.env.H-1) }

func (s *Log) refilter() {
	words := strings.Fields(strings.ToLower(s.input.Value()))
	s.shown = s.shown[:0:0]
	for _, l := range s.lines {
		all := strings.ToLower(strings.Join([]string{l.Text, string(l.Node), l.VM, string(l.Kind), string(l.Verdict), l.By}, " "))
		ok := true
		for _, w := range words {
			w, not := strings.CutPrefix(w, "!")
			ok = ok && strings.Contains(all, w) != not
		}
		if ok {
			s.shown = append(s.shown, l)
		}
	}
	s.list = s.list.Clamp(len(s.shown), s.page())
}

func (s *Log) do(id string) []Intent {
	if l, ok := s.list.Move(id, len(s.shown), s.page()); ok {
		s.list = l
		return nil
	}
	switch id {
	case "filter":
		s.typing = true
	case "open":
		s.open = !s.open
	case "copy":
		return []Intent{Copy{Name: "line", Text: s.shown[s.list.Cursor].Text}}
	case "esc":
		switch {
		case s.open:
			s.open = false
		case !s.input.Empty():
			s.input = widget.Input{}
			s.refilter()
		default:
			return []Intent{Back{}}
		}
	}
	return nil
}

// Hint implements Hinter.
func (s *Log) Hint() (esc, words string) {
	return "show all", "words, !not, act, host, fail, a node, a VM"
}

// Scope implements Screen.
func (s *Log) Scope() bind.Scope {
	none := ""
	if len(s.shown) == 0 {
		none = "there is no line here"
	}
	return append(bind.Scope{
		{ID: "open", Keys: []string{"enter"}, Title: "in full", Help: "show the whole line, or close it", Group: "look", Rank: 1, Disabled: none},
		{ID: "filter", Keys: []string{"/"}, Title: "filter", Help: "show lines that match as you type: words, !not; also act, host, fail, a node, a VM", Group: "look", Rank: 2},
		{ID: "copy", Keys: []string{"y"}, Title: "copy", Help: "copy the line to the terminal's clipboard", Group: "look", Rank: 3, Disabled: none},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "take the filter away, then go back", Group: "look", Rank: 4},
	}, bind.Move()...)
}

// View implements Screen.
func (s *Log) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	th := s.env.Theme
	head := " " + th.Muted.Render(text.Count(len(s.shown), "line")+", newest first")
	switch {
	case s.typing:
		head += "  " + th.Accent.Render("/") + s.input.View(th, max(1, w-text.Width(head)-4))
	case !s.input.Empty():
		head += "  " + th.Accent.Render("/"+name(s.input.Value())) + th.Faint.Render("  esc shows all")
	}
	lines := []string{text.Fit(head, w)}
	switch {
	case s.err != nil:
		lines = append(lines, " "+th.Bad.Render(theme.SignFail+" the saved log cannot be read: "+name(s.err.Error())))
	case len(s.shown) == 0 && s.read:
		lines = append(lines, " "+th.Muted.Render("nothing: what is asked of hosts, and what they answer, is kept here"))
	}
	room := h - len(lines)
	list := s.list.Clamp(len(s.shown), room)
	for i := list.Offset; i < len(s.shown) && len(lines) < h; i++ {
		lines = append(lines, s.line(s.shown[i], w, i == list.Cursor)...)
	}
	return text.Block(strings.Join(lines, "\n"), w, h)
}

func (s *Log) line(l model.LogEntry, w int, cursor bool) []string {
	th := s.env.Theme
	v := look{sign: theme.SignNone, style: th.Accent}
	if l.Verdict != "" {
		v = verdictLook(th, l.Verdict)
	}
	when := l.Time.Format("15:04:05")
	if s.env.Now.Sub(l.Time) > 20*time.Hour {
		when = l.Time.Format("01-02 15:04")
	}
	from := text.Or(name(l.Node), map[model.LogKind]string{model.LogSaid: "console"}[l.Kind])
	what := name(l.Text)
	if l.VM != "" && !strings.Contains(what, name(l.VM)) {
		what = name(l.VM) + ": " + what
	}
	if l.Took > 0 {
		what += " (" + text.Duration(l.Took) + ")"
	}
	var bg theme.Style
	sign := " "
	if cursor {
		bg, sign = th.Select, theme.SignCursor
	}
	lead := th.Accent.On(bg).Render(sign) + th.Muted.On(bg).Render(text.Fit(when, 11)+" ") + v.style.On(bg).Render(v.sign+" ") +
		th.Muted.On(bg).Render(text.Fit(from, 9)+" ")
	room := max(1, w-25)
	if !cursor || !s.open {
		return []string{lead + th.Text.On(bg).Render(text.Fit(what, room))}
	}
	var out []string
	for i, p := range text.Wrap(what+map[bool]string{true: " — by " + name(l.By)}[l.By != ""], room) {
		if i > 0 {
			lead = text.Spaces(25)
			bg = theme.Style{}
		}
		out = append(out, lead+th.Text.On(bg).Render(p))
	}
	return out
}
