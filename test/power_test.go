//go:build lab

package test

import (
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestLifeCycle does every act on a VM's life, its snapshots and its node by
// command, and looks with virsh at what became of it.
func TestLifeCycle(t *testing.T) {
	s, on := one(t, lab.VMSpec{Name: "life", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 64}}})
	c := newConsole(t)
	node := the.Node(on)
	virsh := func(args ...string) string {
		t.Helper()
		out, err := node.Virsh(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	becomes := func(state string) {
		t.Helper()
		until(t, s.Name+" is "+state, time.Minute, func() bool { return strings.TrimSpace(virsh("domstate", s.Name)) == state })
	}
	boot := func() string {
		t.Helper()
		if err := the.WaitVM(t.Context(), s.Name); err != nil {
			t.Fatal(err)
		}
		b, err := the.Heartbeat(t.Context(), on, s.Disks[0].Path())
		if err != nil || len(b) == 0 {
			t.Fatalf("%d beats, %v", len(b), err)
		}
		return b[len(b)-1].Boot
	}

	c.must(0, "power", s.Name, "pause", "--yes")
	becomes("paused")
	c.must(0, "power", s.Name, "resume")
	becomes("running")
	first := boot()
	c.must(0, "power", s.Name, "reboot", "--yes")
	until(t, s.Name+" is in another boot", time.Minute, func() bool { return boot() != first })
	for word, want := range map[string]string{"autostart-on": "enable", "autostart-off": "disable"} {
		c.must(0, "power", s.Name, word)
		if got := field(virsh("dominfo", s.Name), "Autostart"); got != want {
			t.Errorf("after %s: autostart %s", word, got)
		}
	}
	c.must(0, "power", s.Name, "shutdown", "--yes")
	becomes("shut off")

	c.must(0, "snapshot", s.Name, "create", "before", "--description", "$(reboot) 'x'")
	if names := virsh("snapshot-list", s.Name, "--name"); strings.TrimSpace(names) != "before" {
		t.Errorf("snapshots: %q", names)
	}
	if o := c.must(0, "snapshot", s.Name, "list"); !strings.Contains(o.out, "$(reboot) 'x'") {
		t.Errorf("the list: %s", o.out)
	}
	before, err := the.Heartbeat(t.Context(), on, s.Disks[0].Path())
	if err != nil {
		t.Fatal(err)
	}
	c.must(0, "power", s.Name, "start")
	becomes("running")
	boot()
	if o := c.must(3, "plan", s.Name, "--to", other(on)); !strings.Contains(o.out+o.errOut, "snapshot") {
		t.Errorf("a move with a snapshot: %s%s", o.out, o.errOut)
	}

	c.must(64, "power", s.Name, "off")
	c.must(64, "power", s.Name, "off", "--yes")
	if o := c.typing("another", "power", s.Name, "off"); o.code == 0 {
		t.Errorf("with another name typed: %s", o.out)
	}
	becomes("running")
	if o := c.typing(s.Name, "power", s.Name, "off"); o.code != 0 {
		t.Errorf("off: %d %s", o.code, o.out)
	}
	becomes("shut off")

	c.must(64, "snapshot", s.Name, "revert", "before")
	if o := c.typing(s.Name, "snapshot", s.Name, "revert", "before"); o.code != 0 || !strings.Contains(o.out, "is lost") {
		t.Errorf("revert: %d %s", o.code, o.out)
	}
	becomes("shut off")
	if now, err := the.Heartbeat(t.Context(), on, s.Disks[0].Path()); err != nil || len(now) != len(before) {
		t.Errorf("%d beats after going back to %d, %v", len(now), len(before), err)
	}
	if o := c.typing(s.Name, "snapshot", s.Name, "delete", "before"); o.code != 0 {
		t.Errorf("delete: %d %s", o.code, o.out)
	}
	if names := strings.TrimSpace(virsh("snapshot-list", s.Name, "--name")); names != "" {
		t.Errorf("snapshots: %q", names)
	}

	c.must(0, "maintenance", other(on), "on", "--why", "new fans")
	if o := c.must(3, "migrate", s.Name, "--to", other(on), "--mode", "offline", "--yes"); !strings.Contains(o.out+o.errOut, "new fans") {
		t.Errorf("a move to a node in maintenance: %s%s", o.out, o.errOut)
	}
	c.must(0, "maintenance", other(on), "off")
	c.must(0, "plan", s.Name, "--to", other(on), "--mode", "offline")

	if lines := c.must(0, "audit", "verify"); lines.code != 0 {
		t.Errorf("audit: %s%s", lines.out, lines.errOut)
	}
}
