package text

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
	"github.com/google/go-cmp/cmp"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"web01":                       "web01",
		"a\x1b[31mred\x1b[0m":         "ared",
		"a\x1b]0;title\x07b":          "ab",
		"two\nlines\tand\ra\u2028bit": "two lines and a bit",
		"\u202eevil\u2069":            "evil",
		"z\u200bero\u200d\ufeff":      "zero",
		"bad\xff":                     "bad?",
		"\U0001F1E9\U0001F1EA":        "DE",
		"e\u0301\u0301\u0301\u0301":   "e\u0301\u0301",
		"\u0301x":                     "x",
		"nul\x00del\x7f":              "nuldel",
		"日本":                          "日本",
	} {
		if got := Clean(in); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzFit(f *testing.F) {
	for _, s := range []string{"", "abc", "日本語", "e\u0301", "a\x1b[31mb", "\xff", "👩‍👩‍👧‍👦 🏽", "·→●"} {
		f.Add(s, 5)
	}
	f.Fuzz(func(t *testing.T, s string, w int) {
		w %= 100
		c := Clean(s)
		if strings.ContainsFunc(c, func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x202e }) || !utf8.ValidString(c) {
			t.Fatalf("Clean(%q) = %q", s, c)
		}
		if Clean(c) != c {
			t.Fatalf("Clean is not settled: %q, %q", c, Clean(c))
		}
		if got, want := Width(c), ansi.StringWidth(c); got != want {
			t.Fatalf("Width(%q) = %d, want %d", c, got, want)
		}
		for _, fit := range []string{Fit(c, w), FitRight(c, w), Center(c, w)} {
			if got := ansi.StringWidth(fit); got != max(0, w) {
				t.Fatalf("%q takes %d cells, want %d", fit, got, w)
			}
		}
		if got := ansi.StringWidth(CutLeft(c, w)); got > max(0, w) {
			t.Fatalf("CutLeft(%q, %d) takes %d cells", c, w, got)
		}
		for _, l := range Wrap(c, w) {
			if ansi.StringWidth(l) > w {
				t.Fatalf("Wrap(%q, %d) has the line %q", c, w, l)
			}
		}
	})
}

func TestHuman(t *testing.T) {
	for want, got := range map[string]string{
		"0 s": Duration(0), "84 ms": Duration(84 * time.Millisecond), "4.2 s": Duration(4250 * time.Millisecond),
		"42 s": Duration(42 * time.Second), "1m 04s": Duration(64 * time.Second), "2h 05m": Duration(125 * time.Minute),
		"3d 04h": Duration(76 * time.Hour), "1 ms": Duration(time.Microsecond),
		"100 %": Percent(1), "99 %": Percent(0.9999), "1 %": Percent(0.0001), "0 %": Percent(0),
		"4.0 GiB": Bytes(4 << 30), "118 MiB/s": Rate(118 << 20), "-": Rate(0), "118M": ShortRate(118 << 20),
		"1 VM": Count(1, "VM"), "10,000 VMs": Count(10000, "VM"), "never": Ago(time.Time{}, time.Now()),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBlocks(t *testing.T) {
	for w := range 5 {
		for h := range 5 {
			b := Block("one\ntwo and more\nthree", w, h)
			if w > 0 && h > 0 && len(strings.Split(b, "\n")) != h {
				t.Fatalf("Block %dx%d: %q", w, h, b)
			}
			for _, l := range strings.Split(b, "\n") {
				if Width(l) > w {
					t.Fatalf("Block %dx%d: %q", w, h, l)
				}
			}
		}
	}
	if got := Justify("a long left side", "right", 12); Width(got) != 12 || !strings.HasSuffix(got, "  right") {
		t.Fatalf("%q", got)
	}
}

func TestWrapKeepsWhatIsCopied(t *testing.T) {
	got := Wrap("run: ssh-keygen -R web-1 -f /etc/ssh/known_hosts", 22)
	if diff := cmp.Diff([]string{"run: ssh-keygen -R", "web-1 -f", "/etc/ssh/known_hosts"}, got); diff != "" {
		t.Error(diff)
	}
	if got := Wrap("in /var/lib/libvirt/images", 12); len(got) != 3 || got[2] != "images" {
		t.Errorf("%q", got)
	}
}
