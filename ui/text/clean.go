// Package text makes strings fit for a screen: it takes out of them whatever
// could move the cursor, turn the direction of writing, or take another width
// than it is counted with, and it writes numbers, sizes and times for people.
//
// It guarantees that the result of Clean is one line of printable runes, and
// that Fit, FitRight and Cut return exactly, or at most, the cells asked for.
// It knows nothing of hosts, VMs or colours.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

// maxMarks bounds the combining marks kept on one letter: two are enough for
// every living script that terminals draw, and hundreds are an attack.
const maxMarks = 2

// Clean returns s as one line that is safe to draw: escape sequences, control
// characters, bidirectional controls and invisible joiners are gone, line
// breaks and tabs are spaces, and what has no agreed width is a question mark.
func Clean(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	marks := maxMarks // none before the first letter
	for _, r := range ansi.Strip(strings.ToValidUTF8(s, "?")) {
		r, keep := cleanRune(r)
		if !keep {
			continue
		}
		if unicode.In(r, unicode.Mn, unicode.Me, unicode.Mc) {
			if marks >= maxMarks {
				continue
			}
			marks++
		} else {
			marks = 0
		}
		b.WriteRune(r)
	}
	return b.String()
}

// CleanAll cleans every string of a list.
func CleanAll(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = Clean(s)
	}
	return out
}

func cleanRune(r rune) (rune, bool) {
	switch {
	case r < utf8.RuneSelf && r >= ' ' && r != 0x7f:
		return r, true
	case r == '\n', r == '\r', r == '\t', r == '\v', r == '\f', r == 0x85, unicode.IsSpace(r), unicode.Is(unicode.Z, r):
		return ' ', true
	case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
		return 0, false
	case r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0100 && r <= 0xe01ef: // variation selectors
		return 0, false
	case r >= 0x1f3fb && r <= 0x1f3ff: // skin tones: one cell pair here, two there
		return 0, false
	case r >= 0x1f1e6 && r <= 0x1f1ff: // halves of flags
		return 'A' + r - 0x1f1e6, true
	case r >= 0x1100 && r <= 0x11ff: // loose parts of Korean syllables
		return '?', true
	case r == utf8.RuneError, !unicode.IsPrint(r):
		return '?', true
	}
	return r, true
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
