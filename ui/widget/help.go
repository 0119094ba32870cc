package widget

import (
	"strings"

	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Help lists the actions of a screen by group, narrowed by what is typed;
// enter does the one under the cursor. Its answer is the ID of the action.
type Help struct {
	Title  string
	Scope  bind.Scope
	input  Input
	cursor int
}

func (m Help) matches() bind.Scope {
	want := strings.ToLower(strings.TrimSpace(m.input.Value()))
	var out bind.Scope
	for _, g := range m.Scope.Groups() {
		for _, a := range m.Scope {
			if a.Group != g {
				continue
			}
			hay := strings.ToLower(a.Label() + " " + a.Title + " " + a.Help + " " + a.Group)
			if want == "" || strings.Contains(hay, want) {
				out = append(out, a)
			}
		}
	}
	return out
}

// Key implements Modal.
func (m Help) Key(key, typed string) (Modal, Answer) {
	list := m.matches()
	switch key {
	case "esc", "?", "ctrl+c":
		return m, refused
	case "down", "tab", "ctrl+n":
		m.cursor = min(m.cursor+1, max(0, len(list)-1))
	case "up", "shift+tab", "ctrl+p":
		m.cursor = max(m.cursor-1, 0)
	case "pgdown":
		m.cursor = min(m.cursor+10, max(0, len(list)-1))
	case "pgup":
		m.cursor = max(m.cursor-10, 0)
	case "enter":
		if m.cursor < len(list) {
			return m, Answer{Done: true, Yes: true, Value: list[m.cursor].ID}
		}
	default:
		m.input, _ = m.input.Key(key, typed)
		m.cursor = 0
	}
	return m, Answer{}
}

// Paste implements Modal.
func (m Help) Paste(s string) Modal {
	m.input = m.input.Insert(s)
	return m
}

// View implements Modal.
func (m Help) View(th *theme.Theme, w, h int) string {
	bw := boxWidth(86, w)
	inner := bw - 4
	var lines []string
	at, group := 0, ""
	list := m.matches()
	keys := 0
	for _, a := range m.Scope {
		keys = max(keys, text.Width(a.Label()))
	}
	keys = min(keys, inner/3)
	for i, a := range list {
		if a.Group != group {
			if group != "" {
				lines = append(lines, "")
			}
			group = a.Group
			lines = append(lines, " "+th.Muted.Render(strings.ToUpper(group)))
		}
		if i == m.cursor {
			at = len(lines)
		}
		lines = append(lines, m.line(th, a, inner, keys, i == m.cursor)...)
	}
	if len(list) == 0 {
		lines = append(lines, " "+th.Muted.Render("no key does that here"))
	}
	room := max(1, h-7)
	seen, more := Window(lines, at-room/2, room)
	body := append([]string{"", " " + th.Accent.Render("› ") + m.input.View(th, max(1, inner-4)), ""}, seen...)
	note := "type to narrow, enter does it, esc closes"
	if more > 0 {
		note += ", more below"
	}
	return Box(th, bw, m.Title, th.Accent, append(body, " "+th.Faint.Render(note)))
}

func (m Help) line(th *theme.Theme, a bind.Action, w, keys int, cursor bool) []string {
	help := a.Help
	if c := a.Class.Mark(); c != "" {
		help += " (" + c + ")"
	}
	var bg theme.Style
	sign := " "
	if cursor {
		bg, sign = th.Select, theme.SignCursor
	}
	key, word := th.Accent, th.Text
	if a.Disabled != "" {
		key, word, help = th.Faint, th.Faint, a.Title+": not now, "+a.Disabled
	}
	room := max(1, w-keys-3)
	lead := th.Accent.On(bg).Render(sign) + key.On(bg).Render(text.Fit(a.Label(), keys)) + bg.Render("  ")
	var lines []string
	for _, p := range text.Wrap(help, room) {
		lines = append(lines, lead+word.On(bg).Render(text.Fit(p, room)))
		lead = bg.Render(text.Spaces(keys + 3))
	}
	return lines
}
