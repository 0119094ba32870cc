package health

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"

	"horcrux/engine/model"
)

// longest is how much of a foreign text is shown.
const longest = 160

// clean makes text from a guest or from QEMU safe to show: one line, nothing
// that moves a cursor or turns the writing round.
func clean(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > longest {
			b.WriteRune('…')
			break
		}
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			b.WriteByte(' ')
		case r == unicode.ReplacementChar || unicode.IsPrint(r):
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// why is an error in one clean line.
func why(err error) string { return clean(err.Error()) }

func size(n uint64) string { return humanize.IBytes(n) }

func count(n uint64) string { return humanize.Comma(int64(min(n, 1<<62))) }

func ms(d time.Duration) string {
	if d > 0 && d < time.Millisecond {
		return "<1 ms"
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + " ms"
}

func plural(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + one + "s"
}

// notes gathers what a check has seen: the worst verdict, and the sentences
// with those that need attention first.
type notes struct {
	f     finding
	bad   []string
	doubt []string
	good  []string
}

func newNotes() *notes { return &notes{f: passed("", map[string]string{})} }

func (n *notes) fail(format string, args ...any) {
	n.f.verdict = model.Fail
	n.bad = append(n.bad, fmt.Sprintf(format, args...))
}

func (n *notes) warn(format string, args ...any) {
	n.f.verdict = n.f.verdict.Worse(model.Warn)
	n.doubt = append(n.doubt, fmt.Sprintf(format, args...))
}

func (n *notes) say(format string, args ...any) {
	n.good = append(n.good, fmt.Sprintf(format, args...))
}

func (n *notes) fact(key, value string) { n.f.facts[key] = value }

func (n *notes) finding() finding {
	n.f.evidence = strings.Join(slices.Concat(n.bad, n.doubt, n.good), "; ")
	return n.f
}
