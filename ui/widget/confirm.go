package widget

import (
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Confirm is a question before an act. Its safe button has the focus, so enter
// alone never does the act. With Type set the name must be typed instead, and
// no single key can answer yes.
type Confirm struct {
	Title string
	// Facts name the object as it was when the key was pressed; Lines say what
	// will happen and what would be lost.
	Facts   []Fact
	Lines   []string
	Yes, No string // words on the buttons
	Type    string // the name to be typed, empty for a plain question
	Grave   bool   // draws it as a danger
	// Gone says why the act makes no sense any more; it takes the yes away.
	Gone string

	yes   bool
	input Input
	wrong bool // another name was typed
}

// Key implements Modal.
func (c Confirm) Key(key, typed string) (Modal, Answer) {
	if key == "esc" || key == "ctrl+c" {
		return c, refused
	}
	if c.Type != "" {
		if key == "enter" {
			if c.Gone == "" && c.input.Value() == c.Type {
				return c, Answer{Done: true, Yes: true}
			}
			c.wrong = c.Gone == "" && !c.input.Empty()
			return c, Answer{}
		}
		c.wrong = false
		c.input, _ = c.input.Key(key, typed)
		return c, Answer{}
	}
	switch key {
	case "n", "N", "q":
		return c, refused
	case "y", "Y":
		if c.Gone == "" {
			return c, Answer{Done: true, Yes: true}
		}
	case "tab", "shift+tab", "left", "right", "h", "l":
		c.yes = !c.yes && c.Gone == ""
	case "enter":
		return c, Answer{Done: true, Yes: c.yes && c.Gone == ""}
	}
	return c, Answer{}
}

// Paste implements Modal: a name may be pasted.
func (c Confirm) Paste(s string) Modal {
	if c.Type != "" {
		c.input = c.input.Insert(strings.TrimSpace(s))
	}
	return c
}

// View implements Modal.
func (c Confirm) View(th *theme.Theme, w, h int) string {
	bw := boxWidth(66, w)
	inner := bw - 4
	look := th.Accent
	if c.Grave {
		look = th.Bad
	}
	lines := []string{""}
	if len(c.Facts) > 0 {
		lines = append(append(lines, Facts(th, inner, c.Facts)...), "")
	}
	for _, l := range c.Lines {
		for _, p := range text.Wrap(l, inner-1) {
			lines = append(lines, " "+th.Text.Render(p))
		}
	}
	if c.Gone != "" {
		for _, p := range text.Wrap(c.Gone, inner-3) {
			lines = append(lines, " "+th.Warn.Render(theme.SignWarn+" "+p))
		}
	}
	lines = append(lines, "")
	if keep := max(0, h-2-3); len(lines) > keep {
		lines = lines[:keep]
	}
	if c.Type != "" {
		lines = append(lines, " "+th.Muted.Render("type ")+th.Strong.Render(c.Type)+th.Muted.Render(" and enter; esc leaves everything as it is"),
			" "+th.Accent.Render("› ")+c.input.View(th, max(1, inner-4)))
		if c.wrong {
			return Box(th, bw, c.Title, look, append(lines, " "+th.Warn.Render(text.Cut(theme.SignWarn+" that is another name; nothing was done", inner-1))))
		}
	} else {
		lines = append(lines, c.buttons(th, inner))
	}
	return Box(th, bw, c.Title, look, append(lines, ""))
}

func (c Confirm) buttons(th *theme.Theme, w int) string {
	button := func(word, key string, focus bool) string {
		s := " " + word + " (" + key + ") "
		if focus {
			return theme.Reverse.Render("[" + s + "]")
		}
		return th.Muted.Render(" " + s + " ")
	}
	no := button(text.Or(c.No, "no"), "n", !c.yes)
	if c.Gone != "" {
		return text.Fit(" "+no, w)
	}
	return text.Fit(" "+no+"  "+button(text.Or(c.Yes, "yes"), "y", c.yes), w)
}
