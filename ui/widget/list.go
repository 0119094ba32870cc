// Package widget holds the parts that screens are drawn with: lists, tables,
// gauges, spark lines, the rail of phases, questions, prompts, menus.
//
// A widget is a value. It knows text and looks, and nothing of engines, hosts
// or VMs; it does no I/O and reads no clock. Every View takes its size and
// returns exactly that many cells, or nothing when there is no room at all.
package widget

// List is a cursor in a list and the first line that is shown of it.
type List struct{ Cursor, Offset int }

// Move applies one of the moves of bind.Move to a list of n lines of which
// page are shown, and tells whether it was one.
func (l List) Move(id string, n, page int) (List, bool) {
	half := max(1, page/2)
	switch id {
	case "down":
		l.Cursor++
	case "up":
		l.Cursor--
	case "top":
		l.Cursor = 0
	case "bottom":
		l.Cursor = n - 1
	case "half-down":
		l.Cursor += half
	case "half-up":
		l.Cursor -= half
	default:
		return l, false
	}
	return l.Clamp(n, page), true
}

// Scroll moves by d lines, as a wheel does.
func (l List) Scroll(d, n, page int) List {
	l.Cursor += d
	return l.Clamp(n, page)
}

// Clamp returns the list with its cursor on one of n lines, and that line among
// the page lines shown.
func (l List) Clamp(n, page int) List {
	l.Cursor = max(0, min(l.Cursor, n-1))
	page = max(1, page)
	if l.Cursor < l.Offset {
		l.Offset = l.Cursor
	}
	if l.Cursor >= l.Offset+page {
		l.Offset = l.Cursor - page + 1
	}
	l.Offset = max(0, min(l.Offset, n-page))
	return l
}
