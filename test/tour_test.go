//go:build lab

package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// tmuxTerminal is a real one: tmux here, and in it an ssh session to a lab host that
// plays the jump host, on which the console runs.
type tmuxTerminal struct {
	t            *testing.T
	socket, conf string
}

// newTerminal makes one that ends with the test.
func newTerminal(t *testing.T, name string) *tmuxTerminal {
	t.Helper()
	c := &tmuxTerminal{t: t, socket: fmt.Sprintf("horcrux-%s-%d", name, os.Getpid()), conf: filepath.Join(t.TempDir(), "tmux.conf")}
	// A session that ends too soon must leave its last words on the screen, and a
	// new one must not meet a server that goes with the last.
	if err := os.WriteFile(c.conf, []byte("set -g remain-on-exit failed\nset -g exit-empty off\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = exec.Command("tmux", "-L", c.socket, "kill-server").Run() })
	return c
}

func (c *tmuxTerminal) tmux(args ...string) string {
	c.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-L", c.socket, "-f", c.conf}, args...)...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("tmux %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (c *tmuxTerminal) screen() string { return c.tmux("capture-pane", "-p", "-t", "c") }

// where is the line that says which page is shown.
func (c *tmuxTerminal) where() string {
	first, _, _ := strings.Cut(c.screen(), "\n")
	page, _, _ := strings.Cut(strings.TrimSpace(first), "  ")
	return page
}

func (c *tmuxTerminal) wait(after, what string, good func(screen string) bool) {
	c.t.Helper()
	deadline := time.Now().Add(90 * time.Second)
	for {
		s := c.screen()
		if good(s) {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("after %q the screen %s:\n%s", after, what, s)
		}
		wait(c.t.Context(), 50*time.Millisecond)
	}
}

// press types a key, and looks that the screen shows every one of the words soon.
func (c *tmuxTerminal) press(key string, want ...string) {
	c.t.Helper()
	if key != "" {
		c.tmux("send-keys", "-t", "c", key)
	}
	for _, w := range want {
		c.wait(key, "lacks "+w, func(s string) bool { return strings.Contains(s, w) })
	}
}

// dismiss leaves what lies over a page, known by a word. The next key must not be
// typed before that: in one read with an escape it would be another key.
func (c *tmuxTerminal) dismiss(word string) {
	c.t.Helper()
	c.tmux("send-keys", "-t", "c", "Escape")
	c.wait("Escape", "still has "+word, func(s string) bool { return !strings.Contains(s, word) })
}

// home leaves page after page until the first is reached.
func (c *tmuxTerminal) home() {
	c.t.Helper()
	for {
		at := c.where()
		if strings.HasSuffix(at, "cluster") {
			return
		}
		c.tmux("send-keys", "-t", "c", "Escape")
		c.wait("Escape", "is still at "+at, func(string) bool { return c.where() != at })
	}
}

// TestConsoleTour walks through every screen by keys, on a terminal over ssh, at
// three sizes; it leaves in the middle of a move by closing the terminal, comes
// back, and sees the move end. Its lab has one VM, so that the lists are known.
func TestConsoleTour(t *testing.T) {
	const there = "/root/tour"
	o := lab.Options{Dir: os.Getenv("HORCRUX_LAB_DIR"), Prefix: "hu", Subnet: "10.87.0.0/24", Nodes: 3, Log: t.Output(), VMs: lab.MinimalVMs()}
	_ = lab.Down(t.Context(), o)
	l, err := lab.Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Down(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	jump := l.Nodes[2]
	for name, path := range map[string]string{
		"horcrux": the.binary, filepath.Base(l.KeyPath()): l.KeyPath(), filepath.Base(l.KnownHostsPath()): l.KnownHostsPath(), "config.toml": l.ConfigPath(),
	} {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := string(content)
		if name == "config.toml" {
			text = strings.ReplaceAll(text, filepath.Dir(l.ConfigPath()), there)
		}
		if _, err := jump.ExecInput(t.Context(), text, "sh", "-c", `mkdir -p -m 700 "$1" && cat >"$1/$2" && chmod 700 "$1/$2"`, "sh", there, name); err != nil {
			t.Fatal(err)
		}
	}
	c := newTerminal(t, "tour")
	command := fmt.Sprintf("ssh -tt -i %s -o UserKnownHostsFile=%s root@%s env LANG=C.UTF-8 TERM=screen-256color XDG_STATE_HOME=%s/state %s/horcrux --config %s/config.toml",
		l.KeyPath(), l.KnownHostsPath(), jump.Address, there, there, there)
	open := func() {
		c.tmux("new-session", "-d", "-s", "c", "-x", "120", "-y", "40", command)
		c.press("", "3 nodes up", "web")
	}
	open()

	for _, size := range [][2]string{{"80", "24"}, {"200", "60"}, {"120", "40"}} {
		c.tmux("resize-window", "-t", "c", "-x", size[0], "-y", size[1])
		c.press("", "VMS  1", "? keys")
		c.press("Enter", "[1 overview]", "running")
		c.press("2", "[2 disks]", "on disk")
		c.press("3", "[3 snapshots]", "SNAPSHOTS")
		c.press("4", "<domain type=")
		c.press("5", "[5 history]")
		c.press("e", "[6 health]", "guest agent")
		c.press("o", "[1 VMs]", "address")
		c.press("2", "POOLS", "VOLUMES")
		c.press("3", "NETWORKS")
		c.press("4", "may receive")
		c.press("J", "moves")
		c.press("L", "newest first")
		c.press("T", "looked at")
		c.press("?", "EVERYWHERE")
		c.dismiss("EVERYWHERE")
		c.home()
		c.press("", "NODES", "VMS  1")
		c.press("x", "where to", "is here")
		c.home()
		c.press("a", "acts on web", "pull the plug")
		c.dismiss("acts on web")
	}
	c.acts(l)
	c.serial()
	c.press("m", "PRE-FLIGHT", "made at")
	c.press("Enter", "web to node", "pre-flight")
	c.tmux("kill-session", "-t", "c") // the line drops in the middle of the move
	open()
	c.press("J", "web")
	c.press("Enter", "confirm")
	c.press("", "to be confirmed")
	c.press("c", "confirm the move?")
	c.press("y", "moved and confirmed")
	for _, p := range l.Where(t.Context(), "web") {
		if p.Node == "node1" && p.Known {
			t.Errorf("web is still on node1: %+v", p)
		}
	}
}
