//go:build lab

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// keyed is one move of TestEveryModeByKeys.
type keyed struct {
	vm, mode, key string // key chooses the mode in its menu
	size          [2]string
	marked        bool // by space, not by being under the cursor
	paused        bool // the VM is paused by keys before, and resumed after
	end           string
	// brief: in every test run; all others with HORCRUX_ACCEPT=all.
	brief bool
	// sees are the words that must have been on the screen on the way, lacks
	// those that must never have been.
	sees, lacks []string
}

// The ends of a move.
const (
	confirmed = "confirmed"
	sentBack  = "sent back"
	aborted   = "aborted"
)

var small, middling = [2]string{"80", "24"}, [2]string{"120", "40"}

// TestEveryModeByKeys moves VMs by all four modes as a person does: in a terminal,
// by keys. No two moves are alike in mode, guest agent, disks, shared storage,
// state and size of the terminal; each is judged from outside.
func TestEveryModeByKeys(t *testing.T) {
	all := map[string]*subject{}
	for _, spec := range []lab.VMSpec{
		{Name: "ksolo", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 24}}},
		{Name: "kshared", Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}, {Pool: "shared", Format: "raw", SizeMiB: 32}}},
		{Name: "kpair", Disks: []lab.DiskSpec{{}, {SizeMiB: 64, FillMiB: 32}}},
		{Name: "kcold", State: lab.VMOff, Agent: true, Disks: []lab.DiskSpec{{FillMiB: 16}, {SizeMiB: 32, FillMiB: 8}}},
	} {
		all[spec.Name] = testify(t, spec)
		stopAfter(t, spec.Name)
	}
	c := newConsole(t)
	for i, m := range []keyed{
		{
			brief: true, vm: "ksolo", mode: "live", key: "l", size: small, end: confirmed,
			sees: []string{"DISKS", "MEMORY", "receiving", "runs on node2", "its definition and the disks that were copied"},
		},
		{
			brief: true, vm: "kshared", mode: "online", key: "o", size: middling, marked: true, end: confirmed,
			sees: []string{"nothing to copy, both nodes see the same", "MEMORY", "runs on node2", "its definition, is let go"},
		},
		{
			vm: "kpair", mode: "live", key: "l", size: small, paused: true, end: sentBack,
			sees:  []string{"DISKS", "MEMORY", "paused here", "as it is now, paused"},
			lacks: []string{"now, running"},
		},
		{
			brief: true, vm: "kcold", mode: "offline", key: "x", size: small, end: sentBack,
			sees:  []string{"DISKS", "off here", "as it is now, off"},
			lacks: []string{"now, running", "MEMORY", "paused here", "stand still"},
		},
		{
			brief: true, vm: "kpair", mode: "block", key: "b", size: middling, end: aborted,
			sees: []string{"disk passes", "DISKS", "stays on node1"},
		},
		{
			vm: "ksolo", mode: "block", key: "b", size: small, marked: true, end: confirmed,
			sees: []string{"disk passes", "DISKS", "MEMORY", "runs on node"},
		},
		{
			vm: "kshared", mode: "offline", key: "x", size: middling, end: confirmed,
			sees:  []string{"shut down", "nothing to copy, both nodes see the same", "runs on node"},
			lacks: []string{"MEMORY", "stood still for"},
		},
		{
			vm: "kshared", mode: "online", key: "o", size: small, paused: true, end: confirmed,
			sees:  []string{"nothing to copy", "MEMORY", "paused here", "is paused on node"},
			lacks: []string{"kshared runs on"},
		},
	} {
		name := fmt.Sprintf("%s_%s_%s", m.mode, m.vm, m.end)
		if m.brief || os.Getenv("HORCRUX_ACCEPT") == "all" {
			t.Run(name, func(t *testing.T) { m.move(t, c, all[m.vm], i) })
		}
	}
}

func (m keyed) move(t *testing.T, c *console, s *subject, n int) {
	began := time.Now()
	from, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := other(from)
	k := &keys{tmuxTerminal: newTerminal(t, fmt.Sprintf("keys-%d", n)), vm: m.vm}
	k.open(m.size, fmt.Sprintf("env LANG=C.UTF-8 TERM=screen-256color HORCRUX_CONFIG=%s XDG_STATE_HOME=%s %s", c.config, c.state, c.binary), "3 nodes up")
	defer k.keep(t, fmt.Sprintf("%d-%s-%s", n, m.mode, m.vm))
	k.find(from)
	if m.paused {
		k.act("p", "pause", "pause "+m.vm+"?", "y")
		s.settles(t, from, "paused")
	}
	stop := observe(s)
	defer func() { stop() }()
	known := c.jobs()
	k.choose(m, to)
	k.begin(m.vm + " to " + to)
	var id string
	for found := range c.jobs() {
		if _, old := known[found]; !old {
			id = found
		}
	}
	want, owner := "done", to
	switch m.end {
	case confirmed:
		k.until("to be confirmed", "to be confirmed")
		k.answer("c", "confirm the move?", "y")
		k.until("moved and confirmed", "moved and confirmed", "all of it took")
	case sentBack:
		want, owner = "undone", from
		k.until("to be confirmed", "to be confirmed")
		k.answer("r", "roll back?", "y")
		k.until("is being sent back", "brings it back")
		k.tap("Enter")
		k.until("is back", "moved and confirmed", m.vm+" is on "+from)
	case aborted:
		want, owner = "undone", from
		k.untilGood("is being copied", func(s string) bool { return percent(s, "DISKS") > 0 })
		k.answer("a", "abort the move?", "y")
		k.until("is undone", "undone, "+from+" has the VM")
	}
	if m.end != aborted {
		k.passed(t, s.want)
	}
	k.saw(t, m.sees, m.lacks)
	if m.mode == "offline" && s.want == "running" {
		s.boots++
		if err := the.WaitVM(t.Context(), s.Name); err != nil {
			t.Error(err)
		}
	}
	stop()
	stop = func() {}
	if now := c.jobs()[id]; now.State != want || now.From != from || now.To != to {
		t.Errorf("the job is %+v, not %s", now, want)
	}
	if now, bad := s.judge(t.Context()); now != owner || len(bad) > 0 {
		t.Errorf("on %s, not on %s: %v", now, owner, bad)
	}
	if m.paused {
		k.home()
		k.untilGood("the cursor is on "+m.vm, func(s string) bool { return k.under(s, m.vm, owner) })
		k.act("r", "resume", "", "")
		s.settles(t, owner, "running")
	}
	t.Logf("%s from %s: %s in %s, %d pictures", m.vm, from, m.end, time.Since(began).Round(100*time.Millisecond), len(k.film))
}

// settles waits until a node has the VM in a state, which it must keep from now on.
func (s *subject) settles(t *testing.T, node, state string) {
	t.Helper()
	until(t, s.Name+" is "+state+" on "+node, time.Minute, func() bool {
		out, err := the.Node(node).Virsh(t.Context(), "domstate", s.Name)
		return err == nil && strings.TrimSpace(out) == state
	})
	s.want = state
}

// keys is a terminal with the console in it, and every picture that it has shown.
type keys struct {
	*tmuxTerminal
	vm   string
	film []string
}

func (k *keys) open(size [2]string, command, word string) {
	k.t.Helper()
	k.tmux("new-session", "-d", "-s", "c", "-x", size[0], "-y", size[1], command)
	k.until("opens", word)
}

// tap types a key, and takes a picture of what was before.
func (k *keys) tap(keys ...string) {
	k.t.Helper()
	k.look()
	k.tmux(append([]string{"send-keys", "-t", "c"}, keys...)...)
}

// look takes a picture of the screen, unless it is as before.
func (k *keys) look() string {
	k.t.Helper()
	s := k.screen()
	if len(k.film) == 0 || k.film[len(k.film)-1] != s {
		k.film = append(k.film, s)
	}
	return s
}

// until films until the screen has all of the words.
func (k *keys) until(what string, words ...string) string {
	k.t.Helper()
	return k.untilGood(what, func(s string) bool {
		return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(s, w) })
	})
}

func (k *keys) untilGood(what string, good func(string) bool) string {
	k.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		s := k.look()
		if good(s) {
			return s
		}
		if time.Now().After(deadline) {
			k.t.Fatalf("%s: not so on the screen:\n%s", what, s)
		}
		wait(k.t.Context(), 50*time.Millisecond)
	}
}

// find filters the list of VMs, so that one is left and the cursor is on it.
func (k *keys) find(node string) {
	k.t.Helper()
	k.tap("/")
	k.tmux("send-keys", "-t", "c", "-l", k.vm)
	k.tap("Enter")
	k.untilGood("the cursor is on "+k.vm, func(s string) bool { return k.under(s, k.vm, node) })
}

// under tells that the cursor is on a line with all of the words.
func (k *keys) under(s string, words ...string) bool {
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, "▌  ") && !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return true
		}
	}
	return false
}

// act takes an act out of the menu of acts as soon as it makes sense.
func (k *keys) act(key, title, question, yes string) {
	k.t.Helper()
	k.untilGood(title+" can be chosen", func(s string) bool {
		if !strings.Contains(s, "acts on "+k.vm) {
			k.tap("a")
			s = k.until("acts", "acts on "+k.vm)
		}
		for line := range strings.Lines(s) {
			if strings.Contains(line, key+"  "+title) && !strings.Contains(line, "not now") {
				return true
			}
		}
		k.dismiss("acts on " + k.vm)
		return false
	})
	k.tap(key)
	if question != "" {
		k.until("asks", question)
		k.tap(yes)
	}
}

// choose opens the page of a move and chooses the mode, a limit that lets its
// gauges be seen, and the target.
func (k *keys) choose(m keyed, to string) {
	k.t.Helper()
	if m.marked {
		k.tap("Space")
		k.until("is marked", "1 marked")
	}
	k.tap("m")
	k.until("the page of the move", "migrate "+k.vm, "TARGET")
	k.tap("M")
	k.until("the modes", "mode: the guest")
	k.tap(m.key)
	k.until("the mode is chosen", "◉ "+m.mode)
	k.tap("b")
	k.until("the limit", "MiB/s, 0 for no limit")
	k.tap("C-u")
	k.tmux("send-keys", "-t", "c", "-l", "64")
	k.tap("Enter")
	k.until("the limit is chosen", "64 MiB/s")
	k.untilGood("the cursor is on "+to, func(s string) bool {
		if k.under(s, to) {
			return true
		}
		k.tap("j")
		return false
	})
	k.untilGood("the pre-flight is made", func(s string) bool { return k.under(s, to, "pass") || k.under(s, to, "warn") })
	k.look()
}

// begin starts the move; of what the pre-flight warns is asked first.
func (k *keys) begin(title string) {
	k.t.Helper()
	k.tap("Enter")
	asked := false
	k.untilGood("the move begins", func(s string) bool {
		if !asked && strings.Contains(s, "not now") && strings.Contains(s, "move "+k.vm) {
			asked = true
			k.tap("y")
		}
		return strings.HasSuffix(k.where(), title)
	})
}

// answer types the key of a wish, and says yes to its question.
func (k *keys) answer(key, question, yes string) {
	k.t.Helper()
	k.tap(key)
	k.until("asks", question)
	k.tap(yes)
}

// passed wants to have seen the checks pass one after another: some before the
// others, and no failure.
func (k *keys) passed(t *testing.T, state string) {
	t.Helper()
	word := "✓ pass"
	if state == "shut off" {
		word = "– skip"
	}
	least, most := 1000, 0
	for _, s := range k.film {
		if !strings.Contains(s, "CHECKS") {
			continue
		}
		n := strings.Count(s, word)
		least, most = min(least, n), max(most, n)
		if strings.Contains(s, "✗ fail") {
			t.Errorf("a check fails:\n%s", s)
			return
		}
	}
	if most < 8 || least >= most {
		t.Errorf("of the checks, between %d and %d were seen to %s", least, most, word)
	}
}

// saw wants words to have been on the screen, and others never.
func (k *keys) saw(t *testing.T, words, never []string) {
	t.Helper()
	has := func(w string) string {
		for _, s := range k.film {
			if strings.Contains(s, w) || strings.Contains(boxed(s), w) {
				return s
			}
		}
		return ""
	}
	for _, w := range words {
		if has(w) == "" {
			t.Errorf("the screen never had %q; the last one was\n%s", w, k.film[len(k.film)-1])
		}
	}
	for _, w := range never {
		if s := has(w); s != "" {
			t.Errorf("the screen had %q:\n%s", w, s)
		}
	}
}

// boxed is the text of the box that lies over the page, whose lines are broken.
func boxed(screen string) string {
	var words []string
	for line := range strings.Lines(screen) {
		parts := strings.Split(line, "│")
		if len(parts) < 3 {
			continue
		}
		// Those beside the widest are of what lies under the box.
		inner := slices.MaxFunc(parts[1:len(parts)-1], func(a, b string) int { return len(a) - len(b) })
		words = append(words, strings.Fields(inner)...)
	}
	return strings.Join(words, " ")
}

// percent is what a gauge shows, -1 for none.
func percent(screen, gauge string) int {
	for line := range strings.Lines(screen) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == gauge {
			var n int
			if _, err := fmt.Sscanf(f[2]+f[3], "%d%%", &n); err == nil {
				return n
			}
		}
	}
	return -1
}

// keep writes all pictures into a file among the artifacts of the test.
func (k *keys) keep(t *testing.T, name string) {
	file := filepath.Join(t.ArtifactDir(), name+".txt")
	if err := os.WriteFile(file, []byte(strings.Join(k.film, strings.Repeat("=", 80)+"\n")), 0o600); err != nil {
		t.Error(err)
	}
}
