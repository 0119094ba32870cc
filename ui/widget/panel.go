package widget

import (
	"strings"

	"github.com/charmbracelet/x/ansi"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Heading is the line over a part of a screen: its title, a note, and, when it
// has the focus, a sign for that.
func Heading(th *theme.Theme, w int, title, note string, focus bool) string {
	look, sign := th.Strong, " "
	if focus {
		look, sign = th.Lead, theme.SignCursor
	}
	s := th.Accent.Render(sign) + look.Render(strings.ToUpper(title))
	if note != "" {
		s += "  " + th.Muted.Render(note)
	}
	return text.Fit(s, w)
}

// RuleLine is a thin line of w cells.
func RuleLine(th *theme.Theme, w int) string {
	if w <= 0 {
		return ""
	}
	return th.Line.Render(strings.Repeat(theme.Rule, w))
}

// Box draws lines in a thin rounded frame with a title, w cells wide. The
// lines are cut to fit.
func Box(th *theme.Theme, w int, title string, look theme.Style, lines []string) string {
	if w < 4 {
		return ""
	}
	inner := w - 4
	var b strings.Builder
	head := ""
	if title != "" {
		head = " " + text.Cut(title, max(0, inner-2)) + " "
	}
	b.WriteString(look.Render("╭─") + th.Strong.Render(head) +
		look.Render(strings.Repeat("─", max(0, w-3-text.Width(head)))+"╮"))
	for _, l := range lines {
		b.WriteString("\n" + look.Render("│") + " " + text.Fit(l, inner) + " " + look.Render("│"))
	}
	b.WriteString("\n" + look.Render("╰"+strings.Repeat("─", w-2)+"╯"))
	return b.String()
}

// Over draws a box in the middle of a screen of w by h cells, with the screen
// behind it faint.
func Over(th *theme.Theme, back, box string, w, h int) string {
	top := strings.Split(box, "\n")
	if len(top) > h {
		top = top[:h]
	}
	bw := 0
	for _, l := range top {
		bw = max(bw, text.Width(l))
	}
	bw = min(bw, w)
	x, y := (w-bw)/2, max(0, (h-len(top))/2)
	lines := strings.Split(back, "\n")
	var b strings.Builder
	for i := range h {
		if i > 0 {
			b.WriteByte('\n')
		}
		plain := ""
		if i < len(lines) {
			plain = ansi.Strip(lines[i])
		}
		plain = text.Fit(plain, w)
		if i < y || i >= y+len(top) {
			b.WriteString(th.Faint.Render(plain))
			continue
		}
		left, right := ansi.Cut(plain, 0, x), ansi.Cut(plain, x+bw, w)
		b.WriteString(th.Faint.Render(text.Fit(left, x)))
		b.WriteString(text.Fit(top[i-y], bw))
		b.WriteString(th.Faint.Render(text.FitRight(right, w-x-bw)))
	}
	return b.String()
}

// Fact is a label with its value.
type Fact struct {
	Label, Value string
	Style        theme.Style
}

// Facts draws labels and values in two aligned columns, wrapping long values.
func Facts(th *theme.Theme, w int, facts []Fact) []string {
	label := 0
	for _, f := range facts {
		label = max(label, text.Width(f.Label))
	}
	label = min(label, w/2) // a name from a host may be as long as it likes
	var lines []string
	for _, f := range facts {
		parts := text.Wrap(f.Value, max(1, w-label-3))
		if len(parts) == 0 {
			parts = []string{"-"}
		}
		for i, p := range parts {
			l := f.Label
			if i > 0 {
				l = ""
			}
			lines = append(lines, text.Fit(" "+th.Muted.Render(text.Fit(l, label))+"  "+f.Style.Render(p), w))
		}
	}
	return lines
}

// Scrolled cuts h lines out of many and says in the last how many follow.
func Scrolled(th *theme.Theme, lines []string, offset, h int) []string {
	seen, more := Window(lines, offset, h)
	if more == 0 || h < 2 {
		return seen
	}
	seen, more = Window(lines, offset, h-1)
	note := theme.SignDown + " " + text.Count(more, "more line") + ", pgdn"
	return append(seen[:len(seen):len(seen)], " "+th.Faint.Render(note))
}

// ScrollBy applies one of the moves of bind.Move to the offset of n lines of
// which h are shown, and tells whether it was one. It ends where the last line is
// seen, so that the next key the other way has an effect.
func ScrollBy(offset int, id string, n, h int) (int, bool) {
	l, ok := List{Cursor: offset}.Move(id, max(1, n-h+1), h)
	return l.Cursor, ok
}

// Window cuts h lines out of many, beginning at offset, and says how many
// more there are below by its second result.
func Window(lines []string, offset, h int) (seen []string, more int) {
	offset = max(0, min(offset, len(lines)-h))
	end := min(len(lines), offset+max(0, h))
	return lines[offset:end], len(lines) - end
}
