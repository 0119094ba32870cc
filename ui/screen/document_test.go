package screen

import (
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// TestTheEndsOfLongLines goes sideways, as far as there is something, and to a hit
// that is outside of the window.
func TestTheEndsOfLongLines(t *testing.T) {
	e := env()
	long := "<a>" + strings.Repeat("0123456789", 9) + "end</a>"
	d := document{}.load(e.Theme, "<short/>\n"+long+"\n<b>needle</b>")
	const w, h = 40, 10
	shown := func() string { return ansi.Strip(d.view(e.Theme, w, h)) }
	if s := shown(); strings.Contains(s, "end</a>") || !strings.Contains(s, "> more") {
		t.Errorf("at first:\n%s", s)
	}
	for range 10 {
		d = d.sideways(wideStep, w)
	}
	if s := shown(); !strings.Contains(s, "end</a>") || !strings.Contains(s, "from column") || strings.Contains(s, "needle") {
		t.Errorf("at the right end:\n%s", s)
	}
	d = d.search("needle", h).reveal(w)
	if s := shown(); !strings.Contains(s, "needle") {
		t.Errorf("the hit on the left:\n%s", s)
	}
	d = d.search("end</a>", h).reveal(w)
	if s := shown(); !strings.Contains(s, "end</a>") {
		t.Errorf("the hit on the right:\n%s", s)
	}
	for range 10 {
		d = d.sideways(-wideStep, w)
	}
	if s := shown(); !strings.Contains(s, "<short/>") {
		t.Errorf("back:\n%s", s)
	}
	for _, size := range [][2]int{{0, 0}, {1, 1}, {3, 3}} {
		_ = d.view(e.Theme, size[0], size[1])
		d = d.reveal(size[0]).sideways(wideStep, size[0])
	}
}

func TestPauseOf(t *testing.T) {
	for in, want := range map[string]time.Duration{"900": 900 * time.Millisecond, "900ms": 900 * time.Millisecond, "2s": 2 * time.Second, "0": 0, "abc": 0, "-1s": 0, "3h": 0} {
		if d, wrong := pauseOf(in); d != want && wrong == "" || (wrong == "") != (want > 0) {
			t.Errorf("%q: %v, %q", in, d, wrong)
		}
	}
}
