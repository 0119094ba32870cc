package transport

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

var hostile = []string{
	"", " ", "a b", "'", `"`, "\\", "$(touch /tmp/horcrux-pwned)", "`id`", "$HOME", "a\nb", "\n", "-rf", "--", "*", "?", "~root", "#x", "!!",
	";ls", "|x", "&", "&&", ">f", "<f", "(", ")", "{a,b}", "[a]", "=", "%s", "\x1b[2J", "\x01", "\xff\xfe", "ü", "a'b\"c\\d", "'\\''", "\r", "\t", "${IFS}",
}

// TestQuoteReachesTheProgramUnchanged asks real shells.
func TestQuoteReachesTheProgramUnchanged(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "dash"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		for _, argv := range append([][]string{hostile}, perWord(hostile)...) {
			asked(t, path, argv)
		}
	}
}

func perWord(words []string) [][]string {
	var all [][]string
	for _, w := range words {
		all = append(all, []string{w})
	}
	return all
}

// asked runs printf through a shell, which prints its arguments with a NUL after each.
func asked(t *testing.T, shell string, argv []string) {
	t.Helper()
	line, err := Quote(append([]string{"printf", `%s\0`}, argv...))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(shell, "-c", line).Output()
	if err != nil {
		t.Fatalf("%s: %q: %v", shell, line, err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if !slices.Equal(got, argv) {
		t.Errorf("%s: %q came as %q", shell, argv, got)
	}
}

func TestQuoteRefuses(t *testing.T) {
	for _, argv := range [][]string{nil, {""}, {"rm", "a\x00b"}} {
		if s, err := Quote(argv); err == nil {
			t.Errorf("%q became %q", argv, s)
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, h := range hostile {
		f.Add(h, "x")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsRune(a+b, 0) {
			return
		}
		asked(t, "/bin/sh", []string{a, b})
	})
}
