package ui

import (
	"image/color"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/uitest"
)

// TestListsByCommand goes to the lists by the words of other consoles, also from
// a page on top of them.
func TestListsByCommand(t *testing.T) {
	command := func(d *driver, line string) *driver { return d.press(":").typed(line).press("enter") }
	for _, line := range []string{"nodes", "no", "node", "hosts"} {
		command(onVM(t, "db01"), line).sees("▌NODES").lacks("▌VMS")
	}
	for _, line := range []string{"vms", "vm", "ls", "domains"} {
		command(onNode(t), line).sees("▌VMS").lacks("▌NODES")
	}
	command(world(t), "moves").sees("horcrux › moves")
	command(world(t), "host node2").sees("horcrux › node2")
	command(world(t), "h").sees("keys: cluster")
	command(world(t), "mv no-such").sees(`there is no VM "no-such"`)
	world(t).press(":").typed("mv db").press("tab").sees("mv db01")
	d := world(t)
	command(d, "q!")
	select {
	case <-d.app.exit.ch:
	default:
		t.Error("q! does not leave")
	}
}

// TestHelpKeepsUp opens the help, and a node goes away meanwhile.
func TestHelpKeepsUp(t *testing.T) {
	d := onVM(t, "db01").press("?").typed("move this VM").sees("move this VM to another node")
	c := uitest.World(d.app.now())
	for i := range c.Nodes {
		c.Nodes[i].State, c.Nodes[i].Reason = model.NodeUnreachable, "no route to host"
	}
	d.fake.Push(&c, nil)
	d.pass(2 * time.Second)
	d.press("ctrl+u").typed("migrate").sees("not now, needs node1: no route to host")
}

// TestBulkActsSayToWhich marks VMs of which one is off: it is said who is left out,
// and the others are asked about.
func TestBulkActsSayToWhich(t *testing.T) {
	d := world(t)
	d.app.env.Cluster.VMs[1].State = model.StateShutoff
	d.press("/").typed("web0").press("enter", "ctrl+a", "a").sees("shut down")
	off, on := d.app.env.Cluster.VMs[1].Name, d.app.env.Cluster.VMs[0].Name
	d.press("d").joined("shut down "+on+"?", "not "+off+": it does not run").press("y")
	if got := strings.Join(d.fake.Acted(), "; "); strings.Contains(got, string(uitest.UUID(2))) || !strings.Contains(got, string(uitest.UUID(1))) {
		t.Errorf("done: %s", got)
	}
	d.press("m").sees(off + " is off, goes by offline and stays off; the others by live")
	for _, r := range d.fake.Asked() {
		if want := map[bool]model.Mode{true: model.ModeOffline, false: model.ModeLive}[r.VM == uitest.UUID(2)]; r.Mode != want {
			t.Errorf("%s is asked for by %s", r.VM, r.Mode)
		}
	}
}

// TestAnAbortedPhaseIsNoFailure tells a person's abort from a failure.
func TestAnAbortedPhaseIsNoFailure(t *testing.T) {
	rail := func(why string) string {
		return withJob(t, func(s *uitest.Script) *uitest.Script {
			return s.Copy("node1", "node2", 1, 0.6).Phase(model.PhaseMemory, model.PhaseFailed, why).Undo("node1", why, 6)
		}).screen()
	}
	if s := rail(model.AbortedByUser); !strings.Contains(s, "aborted ") || strings.Contains(s, "failed") {
		t.Error(s)
	}
	if s := rail("the line broke"); !strings.Contains(s, "failed") {
		t.Error(s)
	}
}

// TestColoursOfTheTerminal: what the terminal says of itself in its environment
// counts until it answers, and a wish counts for more.
func TestColoursOfTheTerminal(t *testing.T) {
	for _, c := range []struct {
		colours, wish string
		dark          bool
	}{
		{"", "auto", true},
		{"0;15", "auto", false},
		{"0;default;7", "", false},
		{"15;0", "auto", true},
		{"0;15", "dark", true},
		{"15;0", "light", false},
	} {
		d := drive(t, uitest.World(uitest.Epoch), nil, func(o *Options) {
			o.Environ, o.Config.UI.Theme = []string{"COLORFGBG=" + c.colours}, c.wish
		})
		if d.app.dark != c.dark {
			t.Errorf("%+v: dark %v", c, d.app.dark)
		}
	}
	d := drive(t, uitest.World(uitest.Epoch), nil, func(o *Options) { o.Environ = []string{"COLORFGBG=0;15"} })
	if d.send(tea.BackgroundColorMsg{Color: color.Black}); !d.app.dark {
		t.Error("the answer does not count")
	}
}

// TestNoMouseWithinScreen: GNU screen loses the keyboard by it.
func TestNoMouseWithinScreen(t *testing.T) {
	mode := func(environ ...string) tea.MouseMode {
		return drive(t, uitest.World(uitest.Epoch), nil, func(o *Options) { o.Environ, o.Config.UI.Mouse = environ, true }).app.View().MouseMode
	}
	if mode("TERM=screen-256color") == tea.MouseModeNone || mode("STY=1.pts-0") != tea.MouseModeNone {
		t.Error("the mouse is on within screen, or off within tmux")
	}
}
