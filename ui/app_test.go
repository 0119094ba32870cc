package ui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"

	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/theme"
	"horcrux/ui/uitest"
)

func TestCommandLine(t *testing.T) {
	d := world(t)
	line := func(s string) *driver { return d.press(":").typed(s).press("enter") }
	line("migrate web01 node3").sees("migrate web01")
	if d.app.top().(*screen.Migrate).Scope()[0].Title != "start" {
		t.Fatal("no page of a move")
	}
	line("node node2").sees("horcrux › migrate web01 › node2")
	line("vm nobody").sees("there is no VM \"nobody\"").press("esc")
	line("frobnicate").sees("there is no command").press("esc")
	line("migrate web01 node1").sees("is on node1 already").press("esc")
	line("abort x").sees("there is no job").press("esc")
	line("jobs").sees("moves")
	d.press(":").typed("mig").press("tab").typed("db0").sees("db01", "db02").press("esc")
	line("quit")
	if !d.quit {
		t.Fatal("quit did not quit")
	}
}

func TestSameNameOnTwoNodes(t *testing.T) {
	c := uitest.World(uitest.Epoch)
	twin := *c.VMs[0]
	twin.UUID, twin.Node = uitest.UUID(99), "node2"
	c.VMs = append(c.VMs, &twin)
	d := drive(t, c, nil).press(":").typed("vm web01").press("enter")
	d.sees("node1/web01, node2/web01")
	d.press("ctrl+u").typed("vm node2/web01").press("enter").sees("node        node2")
}

func TestHelpRunsAndExplains(t *testing.T) {
	d := world(t).press("shift+tab", "?").typed("move the VM").sees("not now, the list of VMs has not the focus")
	d.press("esc", "?").typed("leave the console").press("enter")
	if !d.quit {
		t.Fatal("enter in the help did not do the action")
	}
}

func TestEscIsHarmless(t *testing.T) {
	d := world(t)
	for range 5 {
		d.press("esc")
	}
	if d.quit || len(d.app.stack) != 1 {
		t.Fatal("esc left the console")
	}
	d.press("/").typed("web").press("enter").sees("3 of 17").press("esc").lacks("3 of 17")
}

func TestLeaving(t *testing.T) {
	d := world(t).press("ctrl+c").sees("ctrl-c again")
	if d.quit {
		t.Fatal("one ctrl-c left")
	}
	d.pass(3 * time.Second).press("ctrl+c")
	if d.quit {
		t.Fatal("a ctrl-c long after the first left")
	}
	if d.press("ctrl+c"); !d.quit {
		t.Fatal("two ctrl-c did not leave")
	}
	d = world(t).press("/").typed("q").press("ctrl+c")
	if d.quit {
		t.Fatal("ctrl-c in the filter left")
	}
	if d.press("q"); !d.quit {
		t.Fatal("q did not leave")
	}
}

func TestMouse(t *testing.T) {
	d := world(t)
	row := -1
	for y, l := range strings.Split(d.screen(), "\n") {
		if strings.Contains(l, " mail ") {
			row = y
		}
	}
	d.send(tea.MouseClickMsg{X: 5, Y: row, Button: tea.MouseLeft}).sees("▌  mail")
	d.send(tea.MouseWheelMsg{X: 5, Y: row, Button: tea.MouseWheelDown}).lacks("▌  mail")
	d.send(tea.MouseClickMsg{X: 5, Y: 3, Button: tea.MouseLeft}).sees("▌  node1")
}

func TestPasteOutsideAField(t *testing.T) {
	d := world(t).send(tea.PasteMsg{Content: "mq\ny"})
	d.sees("only where something is typed")
	if d.quit || len(d.app.stack) != 1 {
		t.Fatal("pasted text acted as keys")
	}
}

// TestSplitEscapes plays the bytes of an arrow key that came apart.
func TestSplitEscapes(t *testing.T) {
	now := uitest.Epoch
	f := splitEscapes(func() time.Time { return now })
	send := func(k string) bool { return f(nil, keyMsg(k)) != nil }
	for _, torn := range []string{"[A", "OA", "[6~", "[<65;10;5M", "[<0;10;5m"} {
		if !send("esc") {
			t.Fatal("esc was dropped")
		}
		for _, c := range torn {
			if send(string(c)) {
				t.Errorf("%c of %q came through", c, torn)
			}
		}
	}
	if !send("S") {
		t.Fatal("a key of its own was dropped")
	}
	send("esc")
	now = now.Add(time.Second)
	if !send("[") {
		t.Fatal("a key long after esc was dropped")
	}
}

// TestThemes tells the console about its terminal, bit by bit.
func TestThemes(t *testing.T) {
	d := world(t)
	kind := func() theme.Kind { return d.app.env.Theme.Kind }
	if kind() != theme.Dark {
		t.Fatal("the default is not dark")
	}
	d.send(tea.BackgroundColorMsg{Color: white{}})
	if kind() != theme.Light {
		t.Fatal("a white background did not make it light")
	}
	for p, want := range map[colorprofile.Profile]theme.Kind{
		colorprofile.ANSI: theme.LightSixteen, colorprofile.ANSI256: theme.Light256, colorprofile.ASCII: theme.Mono, colorprofile.TrueColor: theme.Light,
	} {
		if d.send(tea.ColorProfileMsg{Profile: p}); kind() != want {
			t.Errorf("%v made %v, want %v", p, kind(), want)
		}
	}
	plain := drive(t, model.Cluster{}, nil, func(o *Options) { o.Environ = append(o.Environ, "NO_COLOR=yes") })
	if plain.send(tea.ColorProfileMsg{Profile: colorprofile.TrueColor}); plain.app.env.Theme.Kind != theme.Mono {
		t.Error("NO_COLOR=yes still has colours")
	}
}

type white struct{}

func (white) RGBA() (r, g, b, a uint32) { return 0xffff, 0xffff, 0xffff, 0xffff }

func TestLocale(t *testing.T) {
	for env, want := range map[string]bool{
		"LANG=C.UTF-8": true, "LANG=de_DE.utf8": true, "LANG=C": false, "": false, "LC_ALL=POSIX": false, "LC_CTYPE=en_US.UTF-8": true,
	} {
		if got := speaksUTF8(environ([]string{env})); got != want {
			t.Errorf("%q: %v", env, got)
		}
	}
}

// TestSameJobPageComesUp opens a job that is open already under other pages:
// it is the same page, with all that it has heard.
func TestSameJobPageComesUp(t *testing.T) {
	half := func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) }
	d := withJob(t, half)
	page := d.app.top()
	d.press("v").sees("1 overview")
	d.press(":").typed("job web01").press("enter")
	if d.app.top() != page {
		t.Fatal("another page of the same job was made")
	}
	d.sees("✓ pass", "memory")
	if d.app.follow == nil {
		t.Fatal("the job is not followed again")
	}
}

// TestConfirmHasAProcessOfItsOwn ends the stream of a job that waits, as the
// engine does, and confirms it: the page must hear of what follows.
func TestConfirmHasAProcessOfItsOwn(t *testing.T) {
	moved := func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
	}
	d := withJob(t, moved)
	d.fake.End("web01-node2-7f3a")
	d.idle()
	d.sees("moved, waits for your word").press("c", "y")
	s := uitest.NewScript(d.now).Confirm("node1", "node2")
	d.fake.Say("web01-node2-7f3a", s.Events...)
	j := uitest.Fold(d.app.env.Jobs[0], s.Events)
	d.fake.Push(nil, []model.Job{j})
	d.idle()
	d.sees("moved and confirmed", "let go")
	if n := strings.Count(d.press("tab").screen(), "the guest runs here; it stood"); n != 1 {
		t.Fatalf("after the second replay a line is there %d times", n)
	}
}

// TestWayBack shows the job that sends a VM home from the page of the first.
func TestWayBack(t *testing.T) {
	moved := func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
	}
	d := withJob(t, moved)
	back := move("web01-node1-beef", 1, "web01", "node2", "node1", d.now)
	back.SendsBack = "web01-node2-7f3a"
	d.fake.Push(nil, append([]model.Job{back}, d.app.env.Jobs...))
	d.idle()
	d.sees("job web01-node1-beef brings it back to node1")
	d.press("c").sees("confirm: not now, it is being sent back")
	d.press("enter").sees("sends back web01-node2-7f3a")
}
