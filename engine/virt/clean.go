package virt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxClean bounds what one string of a host may take on a screen or in a log.
const maxClean = 16 << 10

// Clean makes text of a host safe to show: no control sequences, no control
// or format characters (which include those that turn the writing direction),
// no line breaks, only valid UTF-8, and a bounded length. Every string of a
// host goes through it once, where it enters the program.
func Clean(s string) string {
	if len(s) > maxClean {
		s = s[:maxClean] + "…"
	}
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if n := sequence(s[i:]); n > 0 {
			i += n
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '\n' || r == '\t' || r == '\r' || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case unicode.Is(unicode.C, r) && r != utf8.RuneError:
			// dropped: control, format, private use, surrogates
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

func isPlain(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// sequence is the length of the complete terminal control sequence at the
// start of s, or 0. An incomplete one is no sequence: it loses its escape
// character only, so that it cannot swallow what follows.
func sequence(s string) int {
	if len(s) < 2 || s[0] != 0x1b {
		return 0
	}
	switch s[1] {
	case '[':
		for i := 2; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
			if s[i] < 0x20 || s[i] > 0x7e {
				return 0
			}
		}
	case ']', 'P', 'X', '^', '_':
		for i := 2; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b {
				if i+1 < len(s) && s[i+1] == '\\' {
					return i + 2
				}
				return 0
			}
		}
	}
	return 0
}
