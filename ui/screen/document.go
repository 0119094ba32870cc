package screen

import (
	"fmt"
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// document is a text that can be scrolled and searched.
type document struct {
	plain, coloured []string
	scroll          int
	query           string
	input           widget.Input
	typing          bool
	at              int // the line of the hit, -1 for none
}

func (d document) load(th *theme.Theme, xml string) document {
	d.plain, d.coloured = widget.XML(th, xml)
	if d.query == "" {
		d.at = -1
	}
	return d
}

func (d document) move(id string, h int) (document, bool) {
	l, ok := widget.List{Cursor: d.scroll}.Move(id, max(1, len(d.plain)-h+2), h)
	if ok {
		d.scroll = l.Cursor
	}
	return d, ok
}

func (d document) typed(m Typed, h int) document {
	switch m.Key {
	case "enter":
		d.typing = false
	case "esc", "ctrl+c":
		d.typing = false
		d.input = widget.Input{}
		return d.search("", h)
	case "down", "ctrl+n":
		return d.hit(1, h)
	case "up", "ctrl+p":
		return d.hit(-1, h)
	default:
		d.input, _ = d.input.Key(m.Key, m.Text)
		return d.search(d.input.Value(), h)
	}
	return d
}

func (d document) pasted(s string, h int) document {
	if !d.typing {
		return d
	}
	d.input = d.input.Insert(s)
	return d.search(d.input.Value(), h)
}

// search goes to the first hit from where the window is.
func (d document) search(q string, h int) document {
	d.query, d.at = q, -1
	if q == "" {
		d.input = widget.Input{}
		return d
	}
	return d.from(d.scroll, 1, h)
}

func (d document) hit(by, h int) document {
	if d.query == "" {
		return d
	}
	return d.from(d.at+by, by, h)
}

// from looks for the next line with the words, round the end.
func (d document) from(start, by, h int) document {
	n := len(d.plain)
	q := strings.ToLower(d.query)
	for i := range n {
		line := ((start+by*i)%n + n) % n
		if strings.Contains(strings.ToLower(d.plain[line]), q) {
			d.at = line
			if line < d.scroll || line >= d.scroll+h-2 {
				d.scroll = max(0, line-h/3)
			}
			return d
		}
	}
	d.at = -1
	return d
}

// hits counts the lines with the words; at is which of them the cursor is on.
func (d document) hits() (at, n int) {
	q := strings.ToLower(d.query)
	for i, l := range d.plain {
		if strings.Contains(strings.ToLower(l), q) {
			n++
			if i == d.at {
				at = n
			}
		}
	}
	return at, n
}

func (d document) found() string {
	switch at, n := d.hits(); {
	case d.query == "":
		return text.Count(len(d.plain), "line")
	case n == 0:
		return "no line has it"
	case at == 0:
		return text.Count(n, "line")
	default:
		return fmt.Sprintf("%d of %s", at, text.Count(n, "line"))
	}
}

func (d document) view(th *theme.Theme, w, h int) string {
	body := max(1, h-1)
	from := max(0, min(d.scroll, len(d.plain)-body))
	to := min(len(d.plain), from+body)
	digits := len(fmt.Sprint(len(d.plain)))
	lines := make([]string, 0, h)
	head := th.Muted.Render(fmt.Sprintf(" lines %d to %d of %d", min(from+1, to), to, len(d.plain)))
	switch {
	case d.typing:
		head = " " + th.Accent.Render("/") + d.input.View(th, max(1, w-20))
		fallthrough
	case d.query != "":
		if !d.typing {
			head = " " + th.Accent.Render("/"+text.Clean(d.query))
		}
		head += th.Muted.Render("  " + d.found())
	default:
		head += th.Faint.Render("   / searches, y copies")
	}
	lines = append(lines, text.Fit(head, w))
	for i := from; i < to; i++ {
		line := d.coloured[i]
		sign := " "
		if i == d.at {
			sign, line = th.Accent.Render(theme.SignCursor), th.Select.Render(text.Fit(d.plain[i], max(0, w-digits-3)))
		}
		lines = append(lines, text.Cut(sign+th.Faint.Render(text.FitRight(fmt.Sprint(i+1), digits))+"  "+line, w))
	}
	return strings.Join(lines, "\n")
}
