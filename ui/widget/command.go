package widget

import (
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Completion is one way in which a command line can go on.
type Completion struct {
	Line string // the whole line with it
	Word string // the part that is shown
	Note string
}

// CommandLine is a line with completions under it. Complete is asked at every
// key and must be quick; the answer is the line.
type CommandLine struct {
	Complete func(line string) []Completion
	Input    Input
	Wrong    string
	cursor   int
}

// Key implements Modal.
func (c CommandLine) Key(key, typed string) (Modal, Answer) {
	list := c.Complete(c.Input.Value())
	switch key {
	case "esc", "ctrl+c":
		return c, refused
	case "down", "ctrl+n":
		c.cursor = min(c.cursor+1, max(0, len(list)-1))
	case "up", "ctrl+p":
		c.cursor = max(c.cursor-1, 0)
	case "tab":
		if c.cursor < len(list) {
			c.Input, c.cursor = NewInput(list[c.cursor].Line), 0
		}
	case "enter":
		line := strings.TrimSpace(c.Input.Value())
		if c.cursor > 0 && c.cursor < len(list) || line == "" && len(list) > 0 {
			c.Input, c.cursor = NewInput(list[c.cursor].Line), 0
			return c, Answer{}
		}
		return c, Answer{Done: true, Yes: true, Value: line}
	case "backspace":
		if c.Input.Value() == "" {
			return c, refused
		}
		fallthrough
	default:
		c.Input, _ = c.Input.Key(key, typed)
		c.cursor, c.Wrong = 0, ""
	}
	return c, Answer{}
}

// Paste implements Modal.
func (c CommandLine) Paste(s string) Modal {
	c.Input = c.Input.Insert(s)
	return c
}

// View implements Modal.
func (c CommandLine) View(th *theme.Theme, w, h int) string {
	bw := boxWidth(76, w)
	inner := bw - 4
	lines := []string{" " + th.Accent.Render(": ") + c.Input.View(th, max(1, inner-4))}
	if c.Wrong != "" {
		for _, l := range text.Wrap(c.Wrong, inner-3) {
			lines = append(lines, " "+th.Warn.Render(theme.SignWarn+" "+l))
		}
	}
	list := c.Complete(c.Input.Value())
	room := max(0, min(10, h-len(lines)-3))
	l := List{Cursor: c.cursor}.Clamp(len(list), room)
	for i := l.Offset; i < len(list) && i < l.Offset+room; i++ {
		var bg theme.Style
		sign := " "
		if i == c.cursor {
			bg, sign = th.Select, theme.SignCursor
		}
		lines = append(lines, th.Accent.On(bg).Render(sign)+th.Text.On(bg).Render(text.Fit(list[i].Word, 22)+" ")+
			th.Muted.On(bg).Render(text.Fit(list[i].Note, max(0, inner-24))))
	}
	return Box(th, bw, "command", th.Accent, lines)
}
