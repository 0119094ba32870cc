package widget

import (
	"slices"
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// gap is the space between two columns; prefix the cells for cursor and mark.
const (
	gap    = 2
	prefix = 3
)

// Column is one column of a table.
type Column struct {
	ID, Title string
	// Width is what it wants, Min what it can live with (Width if 0), Grow its
	// share of what is left over.
	Width, Min, Grow int
	Right            bool
	// Rank orders the columns for dropping: the highest goes first, 0 stays.
	Rank int
	// Hidden leaves the column out at any width.
	Hidden bool
}

// Cell is one field of a row.
type Cell struct {
	Text  string
	Short string // stands for Text where that does not fit
	// Tail keeps the end of what does not fit, as of a path.
	Tail  bool
	Style theme.Style
	// Draw, if set, makes the field itself: w cells on a background.
	Draw func(w int, background theme.Style) string
	// Rest lets the field take the place of all columns after it.
	Rest bool
}

// Row is one line of a table.
type Row struct {
	Cells     []Cell // one for each column of the table, shown or not
	Mark      string
	MarkStyle theme.Style
}

// Table draws rows in columns that adapt to the width. It asks for the rows
// that are seen and no others.
type Table struct {
	Columns []Column
	Sorted  string // ID of the column the rows are sorted by
	Reverse bool
	Focus   bool
	Empty   string // what to say instead of no rows
	// Heading makes the title of the first column the heading of the table.
	Heading bool
	// Plain leaves the cursor out.
	Plain bool
}

// Layout returns the width of each column in w cells; 0 for one that is
// dropped. It depends on nothing else.
func (t Table) Layout(w int) []int {
	out := make([]int, len(t.Columns))
	least := func(c Column) int {
		if c.Min > 0 {
			return c.Min
		}
		return c.Width
	}
	used := prefix
	for i, c := range t.Columns {
		if !c.Hidden {
			out[i] = least(c)
			used += out[i] + gap
		}
	}
	used -= gap
	for used > w {
		worst := -1
		for i, c := range t.Columns {
			if out[i] > 0 && c.Rank > 0 && (worst < 0 || c.Rank >= t.Columns[worst].Rank) {
				worst = i
			}
		}
		if worst < 0 {
			break
		}
		used -= out[worst] + gap
		out[worst] = 0
	}
	for _, growing := range []bool{true, false} { // first what each wants, those that grow before others
		for i, c := range t.Columns {
			if out[i] > 0 && out[i] < c.Width && used < w && (c.Grow > 1) == growing {
				more := min(c.Width-out[i], w-used)
				out[i] += more
				used += more
			}
		}
	}
	shares := 0
	for i, c := range t.Columns {
		if out[i] > 0 {
			shares += c.Grow
		}
	}
	for i, c := range t.Columns {
		if out[i] > 0 && c.Grow > 0 && used < w {
			more := (w - used) * c.Grow / shares
			shares -= c.Grow
			out[i] += more
			used += more
		}
	}
	return out
}

// Shows tells whether a column is seen in w cells.
func (t Table) Shows(id string, w int) bool {
	for i, n := range t.Layout(w) {
		if t.Columns[i].ID == id {
			return n > 0
		}
	}
	return false
}

// View draws the header and the rows of l that fit in h lines.
func (t Table) View(th *theme.Theme, w, h int, l List, n int, row func(int) Row) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	widths := t.Layout(w)
	lines := make([]string, 0, h)
	lines = append(lines, t.header(th, widths, w))
	if n == 0 && h > 1 {
		lines = append(lines, th.Muted.Render(text.Fit("   "+t.Empty, w)))
	}
	l = l.Clamp(n, h-1)
	for i := l.Offset; i < n && len(lines) < h; i++ {
		lines = append(lines, t.line(th, widths, w, row(i), i == l.Cursor && !t.Plain))
	}
	for len(lines) < h {
		lines = append(lines, text.Spaces(w))
	}
	return strings.Join(lines, "\n")
}

func (t Table) header(th *theme.Theme, widths []int, w int) string {
	var b strings.Builder
	lead := text.Spaces(prefix)
	if t.Heading {
		lead = " "
		if t.Focus {
			lead = th.Accent.Render(theme.SignCursor)
		}
		widths = slices.Clone(widths)
		if len(widths) > 0 {
			widths[0] += prefix - 1
		}
	}
	b.WriteString(lead)
	first := true
	for i, c := range t.Columns {
		if widths[i] == 0 {
			continue
		}
		if !first {
			b.WriteString(text.Spaces(gap))
		}
		first = false
		s := c.Title
		if c.ID == t.Sorted && c.ID != "" {
			sign := theme.SignUp
			if t.Reverse {
				sign = theme.SignDown
			}
			air := " "
			if text.Width(s)+2 > widths[i] { // the sign matters more than the last letters
				air, s = "", text.Cut(s, widths[i]-1)
			}
			if c.Right {
				s = sign + air + s
			} else {
				s += air + sign
			}
		}
		s = align(s, widths[i], c.Right)
		look := th.Muted
		if t.Heading && i == 0 {
			look = th.Strong
			if t.Focus {
				look = th.Lead
			}
		}
		b.WriteString(look.Render(s))
	}
	return text.Fit(b.String(), w)
}

func (t Table) line(th *theme.Theme, widths []int, w int, r Row, cursor bool) string {
	var bg theme.Style
	sign := " "
	if cursor {
		bg = th.SelectQuiet
		if t.Focus {
			bg, sign = th.Select, theme.SignCursor
		}
	}
	var b strings.Builder
	b.WriteString(th.Accent.On(bg).Render(sign))
	b.WriteString(r.MarkStyle.On(bg).Render(text.Fit(r.Mark, prefix-1)))
	used := prefix
	for i, c := range t.Columns {
		if widths[i] == 0 || i >= len(r.Cells) {
			continue
		}
		if used > prefix {
			b.WriteString(bg.Render(text.Spaces(gap)))
			used += gap
		}
		cell, cw := r.Cells[i], widths[i]
		if cell.Rest {
			cw = max(0, w-used)
		}
		if cell.Draw != nil {
			b.WriteString(cell.Draw(cw, bg))
		} else {
			if cell.Short != "" && text.Width(cell.Text) > cw {
				cell.Text = cell.Short
			}
			if cell.Tail {
				cell.Text = text.CutLeft(cell.Text, cw)
			}
			b.WriteString(cell.Style.On(bg).Render(align(cell.Text, cw, c.Right && !cell.Rest)))
		}
		used += cw
		if cell.Rest {
			break
		}
	}
	b.WriteString(bg.Render(text.Spaces(w - used)))
	if used > w {
		return text.Cut(b.String(), w)
	}
	return b.String()
}

func align(s string, w int, right bool) string {
	if right {
		return text.FitRight(s, w)
	}
	return text.Fit(s, w)
}

// Hit tells which row a click on line y of a table of h lines meets, or -1.
func (l List) Hit(y, n, h int) int {
	l = l.Clamp(n, h-1)
	if i := l.Offset + y - 1; y >= 1 && y < h && i < n {
		return i
	}
	return -1
}
