//go:build lab

package test

import (
	"strings"
	"time"

	"horcrux/lab"
)

// choose opens the menu of acts and takes one, as soon as the console knows that
// it makes sense.
func (c *tmuxTerminal) choose(key, title string) {
	c.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		c.press("a", "acts on web", "c  console")
		for line := range strings.Lines(c.screen()) {
			if strings.Contains(line, key+"  "+title) && !strings.Contains(line, "not now") {
				c.tmux("send-keys", "-t", "c", key)
				return
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s cannot be chosen:\n%s", title, c.screen())
		}
		c.dismiss("acts on web")
		wait(c.t.Context(), 200*time.Millisecond)
	}
}

// insist types a key until the screen has a word: an act on a VM is refused as
// long as its host has not answered the last one.
func (c *tmuxTerminal) insist(key, word string) {
	c.t.Helper()
	until(c.t, "the screen has "+word, time.Minute, func() bool {
		c.tmux("send-keys", "-t", "c", key)
		for range 20 {
			if strings.Contains(c.screen(), word) {
				return true
			}
			wait(c.t.Context(), 100*time.Millisecond)
		}
		return false
	})
}

// acts does to the VM web what the console can do to one, by keys alone, and
// looks at its host each time.
func (c *tmuxTerminal) acts(l *lab.Lab) {
	c.t.Helper()
	virsh := func(args ...string) string {
		out, err := l.Nodes[0].Virsh(c.t.Context(), args...)
		if err != nil {
			c.t.Fatal(err)
		}
		return strings.TrimSpace(out)
	}
	state := func(want string) {
		c.t.Helper()
		until(c.t, "web is "+want+" on its host", time.Minute, func() bool { return virsh("domstate", "web") == want })
	}
	typed := func(word string) { c.tmux("send-keys", "-t", "c", "-l", word); c.tmux("send-keys", "-t", "c", "Enter") }
	start := func() {
		c.t.Helper()
		c.choose("s", "start")
		state("running")
		if err := l.WaitVM(c.t.Context(), "web"); err != nil {
			c.t.Fatal(err)
		}
	}

	c.choose("p", "pause")
	c.press("", "pause web?")
	c.press("y")
	state("paused")
	c.press("", "paused")
	c.choose("r", "resume")
	state("running")

	was := field(virsh("dominfo", "web"), "Autostart")
	for _, title := range []string{"autostart " + map[string]string{"enable": "off", "disable": "on"}[was], "autostart " + map[string]string{"enable": "on", "disable": "off"}[was]} {
		c.choose("t", title)
		want := map[string]string{"on": "enable", "off": "disable"}[strings.TrimPrefix(title, "autostart ")]
		until(c.t, title+" on its host", time.Minute, func() bool { return field(virsh("dominfo", "web"), "Autostart") == want })
	}

	c.choose("n", "snapshot")
	c.press("", "snapshot of web")
	typed("")
	until(c.t, "the host has the snapshot", time.Minute, func() bool { return virsh("snapshot-list", "web", "--name") != "" })
	snapshot := virsh("snapshot-list", "web", "--name")
	c.press("Enter", "[1 overview]")
	c.press("3", "[3 snapshots]", snapshot)
	c.insist("X", "delete snapshot "+snapshot+"?")
	typed("web")
	until(c.t, "the host has no snapshot", time.Minute, func() bool { return virsh("snapshot-list", "web", "--name") == "" })
	c.press("", "no snapshot; a n takes one")
	c.home()

	c.choose("f", "force off")
	c.press("", "force off web?")
	typed("web")
	state("shut off")
	start()

	c.choose("d", "shut down")
	c.press("", "shut down web?")
	c.press("y")
	state("shut off")
	start()
}

// serial talks to the guest of the VM web over its serial line, and comes back.
func (c *tmuxTerminal) serial() {
	c.t.Helper()
	c.press("c", "console of web; ctrl-] leaves it")
	c.press("Enter", "#")
	c.tmux("send-keys", "-t", "c", "-l", `echo "lab-$((6 * 7)) of $(cat /proc/sys/kernel/ostype)"`)
	c.press("Enter", "lab-42 of Linux")
	c.press("C-]", "back from the console of web", "NODES", "VMS  1")
}
