package ui

import (
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
)

// TestTypingSaysWhatMayBeTyped opens every line that takes text on a page: each
// says what it takes, not what another one does.
func TestTypingSaysWhatMayBeTyped(t *testing.T) {
	world(t).press("/").sees("tag:x", "show all")
	world(t).press("J", "/").sees("state:x").lacks("tag:x")
	world(t).press("L", "/").sees("a node, a VM").lacks("state:x")
	onVM(t, "db01").press("/").sees("end the search", "from hit to hit").lacks("state:x")
}

// TestAProposalGivesWay types over what a prompt proposes.
func TestAProposalGivesWay(t *testing.T) {
	d := world(t).press("/").typed("web01").press("enter", "a", "n").typed("before upgrade")
	d.sees("› before upgrade").press("esc", "a", "n", "backspace").typed("x").lacks("› x ")
}

// TestAnotherName types a wrong name: nothing is done, and that is said.
func TestAnotherName(t *testing.T) {
	d := world(t).press("/").typed("mail").press("enter", "a", "f").typed("mial").press("enter")
	d.sees("another name").press("backspace").lacks("another name")
}

// TestStrangeKeys presses keys of other consoles.
func TestStrangeKeys(t *testing.T) {
	world(t).press("d").sees("d does nothing here; ? shows").press("?").typed("migrate").press("esc")
	world(t).press("ctrl+r").sees("ctrl-r does nothing here")
	for _, torn := range []string{"[", "A", "~", "5"} {
		world(t).press(torn).lacks("does nothing here")
	}
}

// TestSmallWindow says in full, however small it is, how large it should be.
func TestSmallWindow(t *testing.T) {
	d := world(t).size(20, 6)
	if s := strings.ReplaceAll(d.screen(), "\n", " "); !strings.Contains(s, "60x15") || !strings.Contains(s, "20x6") {
		t.Errorf("it says %q", s)
	}
	d.size(80, 24).sees("VMS")
}

// TestMenusAreLists moves in a menu as in any list.
func TestMenusAreLists(t *testing.T) {
	d := world(t).press("s", "G").sees("▌e  network rate").press("home").sees("▌n  name").press("pgdown").sees("▌v  vCPUs")
	d.send(tea.MouseWheelMsg{X: 5, Y: 5, Button: tea.MouseWheelDown}).sees("▌d  disk rate")
	d.press("esc", "a", "r").sees("▌r  resume")
}

// TestRefreshSaysThatItWasDone presses r where nothing changes by it.
func TestRefreshSaysThatItWasDone(t *testing.T) {
	onVM(t, "db01").lacks("asked anew").press("r").sees("node1 was asked anew")
	onNode(t).lacks("asked anew").press("r").sees("node1 was asked anew")
}

// TestCopyingTheLog copies the newest line: that is no new line of the log.
func TestCopyingTheLog(t *testing.T) {
	d := world(t).press("shift+tab", "m", "L")
	lines := strings.Count(d.screen(), "console")
	if d.press("y").sees("line copied"); strings.Count(d.screen(), "console") != lines {
		t.Errorf("the log has grown:\n%s", d.screen())
	}
}

// TestSearchCounts says which of the hits it is on.
func TestSearchCounts(t *testing.T) {
	d := onVM(t, "db01").press("/").typed("disk").press("enter").sees("1 of 2 lines").press("n").sees("2 of 2 lines")
	d.press("/", "ctrl+u").typed("no such word").sees("no line has it")
}
