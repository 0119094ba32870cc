package screen

import (
	"fmt"
	"slices"
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// document is a text that can be scrolled and searched.
type document struct {
	plain, coloured []string
	scroll, left    int // the first line and the first column that are shown
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

// wideStep is how far a document goes sideways with one key.
const wideStep = 20

// gutter is how many cells stand before a line.
func (d document) gutter() int { return len(fmt.Sprint(len(d.plain))) + 3 }

// sideways goes to the right, or left if by is less than nothing, as far as some
// line goes on in a page of this width.
func (d document) sideways(by, w int) document {
	longest := 0
	for _, l := range d.plain {
		longest = max(longest, text.Width(l))
	}
	d.left = max(0, min(d.left+by, longest-(w-d.gutter())))
	return d
}

// reveal goes sideways to where the hit is.
func (d document) reveal(w int) document {
	if d.at < 0 || d.at >= len(d.plain) || d.query == "" {
		return d
	}
	line, q := strings.ToLower(d.plain[d.at]), strings.ToLower(d.query)
	at := strings.Index(line, q)
	if at < 0 {
		return d
	}
	from, room := text.Width(line[:at]), w-d.gutter()
	if to := from + text.Width(q); from < d.left || to > d.left+room {
		d.left = 0
		if to > room {
			d = d.sideways(from-room/3, w)
		}
	}
	return d
}

// part is what of a line is shown in so many cells; signs at its ends say that it
// goes on there.
func (d document) part(th *theme.Theme, line string, room int) string {
	if d.left > 0 {
		if line = text.From(line, d.left+1); line != "" {
			line = th.Faint.Render(theme.SignBack) + line
		}
	}
	return text.Cut(line, room)
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
	case d.left > 0:
		head += th.Muted.Render(fmt.Sprintf(", from column %d", d.left+1)) + th.Faint.Render("   < back, > further right")
	case d.wider(from, to, w):
		head += th.Faint.Render("   > more to the right, / searches, y copies")
	default:
		head += th.Faint.Render("   / searches, y copies")
	}
	lines = append(lines, text.Fit(head, w))
	for i := from; i < to; i++ {
		line := d.coloured[i]
		sign := " "
		if i == d.at {
			sign, line = th.Accent.Render(theme.SignCursor), th.Select.Render(text.Fit(d.plain[i], max(text.Width(d.plain[i]), d.left+w-d.gutter())))
		}
		lines = append(lines, text.Cut(sign+th.Faint.Render(text.FitRight(fmt.Sprint(i+1), digits))+"  "+d.part(th, line, w-d.gutter()), w))
	}
	return strings.Join(lines, "\n")
}

// wider tells that one of the lines does not fit.
func (d document) wider(from, to, w int) bool {
	return slices.ContainsFunc(d.plain[from:to], func(l string) bool { return text.Width(l) > w-d.gutter() })
}
