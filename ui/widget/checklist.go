package widget

import (
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Checklist is a list of things of which any may be chosen. The answer is the
// IDs of those that are not, joined by commas.
type Checklist struct {
	Title, Note string
	Items       []Item
	Off         map[string]bool
	cursor      int
}

// Key implements Modal.
func (c Checklist) Key(key, _ string) (Modal, Answer) {
	if at, ok := moveIn(c.cursor, key, len(c.Items)); ok {
		c.cursor = at
		return c, Answer{}
	}
	switch key {
	case "esc", "q", "ctrl+c":
		return c, refused
	case "space", " ", "x":
		off := make(map[string]bool, len(c.Off)+1)
		for k, v := range c.Off {
			off[k] = v
		}
		if c.cursor < len(c.Items) {
			off[c.Items[c.cursor].ID] = !off[c.Items[c.cursor].ID]
		}
		c.Off = off
	case "enter":
		var off []string
		for _, it := range c.Items {
			if c.Off[it.ID] {
				off = append(off, it.ID)
			}
		}
		return c, Answer{Done: true, Yes: true, Value: strings.Join(off, ",")}
	}
	return c, Answer{}
}

// Paste implements Modal; there is no field.
func (c Checklist) Paste(string) Modal { return c }

// View implements Modal.
func (c Checklist) View(th *theme.Theme, w, h int) string {
	wide := 52
	for _, it := range c.Items {
		wide = max(wide, text.Width(it.Note)+4+20)
	}
	bw := boxWidth(wide, w)
	room := max(1, h-6)
	l := List{Cursor: c.cursor}.Clamp(len(c.Items), room)
	lines := []string{""}
	for i := l.Offset; i < len(c.Items) && i < l.Offset+room; i++ {
		it := c.Items[i]
		var bg theme.Style
		sign, box, look := " ", "["+theme.SignPass+"] ", th.Text
		if c.Off[it.ID] {
			box, look = "[ ] ", th.Muted
		}
		if i == c.cursor {
			bg, sign = th.Select, theme.SignCursor
		}
		lines = append(lines, th.Accent.On(bg).Render(sign+box)+look.On(bg).Render(text.Fit(it.Title, 14)+" ")+th.Muted.On(bg).Render(text.Fit(it.Note, max(0, bw-4-20))))
	}
	return Box(th, bw, c.Title, th.Accent, append(lines, "", " "+th.Faint.Render("space turns it, enter keeps, esc leaves")))
}
