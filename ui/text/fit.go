package text

import (
	"strings"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// Ellipsis stands for what did not fit.
const Ellipsis = "…"

// Width is the number of cells that s takes; escape sequences take none. What
// the console draws itself is counted here, at a tenth of the cost; anything
// else is left to the library.
func Width(s string) int {
	n := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= ' ' && c <= '~':
			n++
			i++
		case c == 0x1b && i+1 < len(s) && s[i+1] == '[':
			i += 2
			for i < len(s) && (s[i] < '@' || s[i] > '~') {
				i++
			}
			i++
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			if !narrow(r) {
				return ansi.StringWidth(s)
			}
			n++
			i += size
		}
	}
	return n
}

// narrow tells of some runes that they take one cell whatever is next to them,
// unless what is next is not narrow itself.
func narrow(r rune) bool {
	switch {
	case r >= 0xa1 && r < 0x250:
		return r != 0xad && r != 0xa9 && r != 0xae
	case r >= 0x2010 && r <= 0x2027, r >= 0x2500 && r <= 0x25a9, r == 0x2713, r == 0x2717:
		return true
	case r == '→' || r == '←' || r == '●' || r == '○' || r == '◐' || r == '◉' || r == '◆' || r == '▲' || r == '▼' || r == '›':
		return true
	}
	return false
}

// Cut returns s in at most w cells, its end replaced by an ellipsis if it was
// longer. Styled text keeps its style.
func Cut(s string, w int) string {
	switch {
	case w <= 0:
		return ""
	case isPlain(s):
		if len(s) <= w {
			return s
		}
		return s[:w-1] + Ellipsis
	case Width(s) <= w:
		return s
	}
	return ansi.Truncate(s, w, Ellipsis)
}

// From is what follows the first w cells of s, which may have colours.
func From(s string, w int) string { return ansi.TruncateLeft(s, w, "") }

// CutLeft returns s in at most w cells, keeping its end: for paths, whose end
// tells more than their beginning.
func CutLeft(s string, w int) string {
	if w <= 0 {
		return ""
	}
	n := Width(s)
	if n <= w {
		return s
	}
	out := ansi.TruncateLeft(s, n-w+1, Ellipsis)
	if Width(out) > w { // a rune of two cells stood across the cut
		out = ansi.TruncateLeft(s, n-w+2, Ellipsis)
	}
	return out
}

// Fit returns s in exactly w cells, cut or padded on the right.
func Fit(s string, w int) string {
	s = Cut(s, w)
	return s + Spaces(w-Width(s))
}

// FitRight returns s in exactly w cells, cut or padded on the left.
func FitRight(s string, w int) string {
	s = Cut(s, w)
	return Spaces(w-Width(s)) + s
}

// Center returns s in exactly w cells with the padding on both sides.
func Center(s string, w int) string {
	s = Cut(s, w)
	left := max(0, w-Width(s)) / 2
	return Fit(Spaces(left)+s, w)
}

// Spaces returns n spaces, none for a negative n.
func Spaces(n int) string {
	const some = "                                                                "
	if n <= 0 {
		return ""
	}
	if n <= len(some) {
		return some[:n]
	}
	return strings.Repeat(" ", n)
}

// Private characters that stand for - and / while a word is not to be broken there.
var (
	keep   = strings.NewReplacer("-", "\uf8f0", "/", "\uf8f1")
	unkeep = strings.NewReplacer("\uf8f0", "-", "\uf8f1", "/")
)

// Wrap breaks s into lines of at most w cells, between words where it can: what
// is to be copied, a command or a path, stays whole. A word that is wider than
// that is broken, at a - or a / if it has one.
func Wrap(s string, w int) []string {
	if w <= 0 || s == "" {
		return nil
	}
	words := strings.Split(s, " ")
	for i, word := range words {
		if ansi.StringWidth(word) <= w {
			words[i] = keep.Replace(word)
		}
	}
	lines := strings.Split(ansi.Wrap(strings.Join(words, " "), w, " -/"), "\n")
	for i, l := range lines {
		lines[i] = Cut(strings.TrimRight(unkeep.Replace(l), " "), w)
	}
	return lines
}

// Block returns s as exactly h lines of exactly w cells.
func Block(s string, w, h int) string {
	if h <= 0 || w <= 0 {
		return ""
	}
	lines := strings.Split(s, "\n")
	if len(lines) > h {
		lines = lines[:h]
	}
	var b strings.Builder
	for i := range h {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i < len(lines) {
			b.WriteString(Fit(lines[i], w))
		} else {
			b.WriteString(Spaces(w))
		}
	}
	return b.String()
}

// Beside puts two blocks next to each other with gap spaces between them; the
// left one takes exactly w cells.
func Beside(left string, w, gap int, right string) string {
	l, r := strings.Split(left, "\n"), strings.Split(right, "\n")
	var b strings.Builder
	for i := range max(len(l), len(r)) {
		if i > 0 {
			b.WriteByte('\n')
		}
		if i < len(l) {
			b.WriteString(Fit(l[i], w))
		} else {
			b.WriteString(Spaces(w))
		}
		if i < len(r) {
			b.WriteString(Spaces(gap))
			b.WriteString(r[i])
		}
	}
	return b.String()
}

// Justify puts left and right at the two ends of a line of w cells; the left
// one is cut if both do not fit.
func Justify(left, right string, w int) string {
	rw := Width(right)
	if rw+2 >= w {
		return Fit(left, w)
	}
	return Fit(left, w-rw-2) + "  " + right
}
