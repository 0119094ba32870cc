package widget

import (
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Item is one entry of a Menu.
type Item struct {
	ID, Title, Note string
	Key             string // picks it at once
	// Disabled says why it cannot be picked now.
	Disabled string
}

// Menu is a short list to pick one entry from.
type Menu struct {
	Title  string
	Items  []Item
	Cursor int
}

// menuFrame is what a line of a menu has besides title and note: the frame, the
// cursor, the key, two gaps.
const menuFrame = 4 + 1 + 3 + 2

// moveIn applies the keys of moving about to the cursor of a short list of n.
func moveIn(at int, key string, n int) (int, bool) {
	switch key {
	case "j", "down", "tab", "ctrl+n":
		at++
	case "k", "up", "shift+tab", "ctrl+p":
		at--
	case "g", "home":
		at = 0
	case "G", "end":
		at = n - 1
	case "ctrl+d", "pgdown":
		at += 5
	case "ctrl+u", "pgup":
		at -= 5
	default:
		return at, false
	}
	return max(0, min(at, n-1)), true
}

// Key implements Modal.
func (m Menu) Key(key, _ string) (Modal, Answer) {
	for i, it := range m.Items {
		if it.Key == "" || it.Key != key {
			continue
		}
		if it.Disabled != "" { // the reason is what the cursor comes to stand on
			m.Cursor = i
			return m, Answer{}
		}
		return m, Answer{Done: true, Yes: true, Value: it.ID}
	}
	if at, ok := moveIn(m.Cursor, key, len(m.Items)); ok {
		m.Cursor = at
		return m, Answer{}
	}
	switch key {
	case "esc", "q", "ctrl+c":
		return m, refused
	case "enter":
		if m.Cursor < len(m.Items) && m.Items[m.Cursor].Disabled != "" {
			return m, Answer{}
		}
		if m.Cursor < len(m.Items) {
			return m, Answer{Done: true, Yes: true, Value: m.Items[m.Cursor].ID}
		}
		return m, refused
	}
	return m, Answer{}
}

// Paste implements Modal; there is no field.
func (m Menu) Paste(string) Modal { return m }

// View implements Modal.
func (m Menu) View(th *theme.Theme, w, h int) string {
	title, notes := 14, 0
	for _, it := range m.Items {
		title = max(title, text.Width(it.Title))
		note := text.Width(it.Note)
		if it.Disabled != "" {
			note = text.Width("not now: " + it.Disabled)
		}
		notes = max(notes, note)
	}
	bw := min(boxWidth(max(46, notes+title+menuFrame), w), boxWidth(84, w))
	l := List{Cursor: m.Cursor}.Clamp(len(m.Items), max(1, h-4))
	lines := []string{""}
	for i := l.Offset; i < len(m.Items) && len(lines) < max(1, h-3); i++ {
		it := m.Items[i]
		key := text.Fit(it.Key, 2)
		note, look, keys := it.Note, th.Text, th.Accent
		if it.Disabled != "" {
			note, look, keys = "not now: "+it.Disabled, th.Faint, th.Faint
		}
		var bg theme.Style
		sign := " "
		if i == m.Cursor {
			bg, sign = th.Select, theme.SignCursor
		}
		s := th.Accent.On(bg).Render(sign) + keys.On(bg).Render(key+" ") + look.On(bg).Render(text.Fit(it.Title, title)+"  ") +
			th.Muted.On(bg).Render(text.Fit(note, max(0, bw-title-menuFrame)))
		lines = append(lines, s)
	}
	return Box(th, bw, m.Title, th.Accent, append(lines, ""))
}

// Prompt asks for one line.
type Prompt struct {
	Title, Hint string
	Input       Input
	// Check says what is wrong with a value; empty when it can be taken.
	Check func(string) string
	wrong string
}

// Key implements Modal.
func (p Prompt) Key(key, typed string) (Modal, Answer) {
	switch key {
	case "esc", "ctrl+c":
		return p, refused
	case "enter":
		v := strings.TrimSpace(p.Input.Value())
		if p.Check != nil {
			if p.wrong = p.Check(v); p.wrong != "" {
				return p, Answer{}
			}
		}
		return p, Answer{Done: true, Yes: true, Value: v}
	}
	p.Input, _ = p.Input.Key(key, typed)
	p.wrong = ""
	return p, Answer{}
}

// Paste implements Modal.
func (p Prompt) Paste(s string) Modal {
	p.Input = p.Input.Insert(strings.TrimSpace(s))
	return p
}

// View implements Modal.
func (p Prompt) View(th *theme.Theme, w, _ int) string {
	bw := boxWidth(60, w)
	lines := []string{"", " " + th.Accent.Render("› ") + p.Input.View(th, max(1, bw-8)), ""}
	note, look := p.Hint, th.Muted
	if p.wrong != "" {
		note, look = theme.SignWarn+" "+p.wrong, th.Warn
	}
	for _, l := range text.Wrap(note, bw-5) {
		lines = append(lines, " "+look.Render(l))
	}
	return Box(th, bw, p.Title, th.Accent, append(lines, " "+th.Faint.Render("enter takes it, esc leaves it"), ""))
}
