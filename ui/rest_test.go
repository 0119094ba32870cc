package ui

import (
	"testing"

	tea "charm.land/bubbletea/v2"

	"horcrux/ui/uitest"
)

// TestRest: who leaves the keys or the window is thought to be away, and is back
// with the first sign.
func TestRest(t *testing.T) {
	d := drive(t, uitest.World(uitest.Epoch), nil)
	away := func(when string, want bool) {
		t.Helper()
		if got := d.fake.Sight.Away; got != want {
			t.Errorf("%s: away is %v", when, got)
		}
	}
	away("at the start", false)
	d.pass(restAfter / 2).press("j")
	d.pass(restAfter * 2 / 3)
	away("less than a minute after a key", false)
	d.pass(restAfter)
	away("later", true)
	d.press("k")
	away("after a key", false)
	d.app.Update(tea.BlurMsg{})
	away("without the focus", true)
	d.app.Update(tea.FocusMsg{})
	away("with the focus again", false)
}

// TestSight: the engine hears which rows are on screen, and when the order
// depends on all of them.
func TestSight(t *testing.T) {
	d := drive(t, uitest.Many(uitest.Epoch, 1000), nil)
	d.size(120, 40)
	first := d.fake.Sight
	if n := len(first.VMs); n < 10 || n > 40 || len(first.Nodes) == 0 || first.All {
		t.Fatalf("%d VMs, %d nodes, all %v", n, len(first.Nodes), first.All)
	}
	d.press("G")
	if last := d.fake.Sight; last.VMs[0] == first.VMs[0] || len(last.VMs) != len(first.VMs) {
		t.Errorf("at the end: %v", last.VMs)
	}
	d.press("s", "c")
	if !d.fake.Sight.All {
		t.Error("ordered by CPU use, not all figures are wanted")
	}
	d.press("s", "n", "L")
	if s := d.fake.Sight; s.All || len(s.VMs)+len(s.Nodes) > 0 {
		t.Errorf("the log shows no figures, but %d VMs are wanted", len(s.VMs))
	}
}
