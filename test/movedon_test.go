//go:build lab

package test

import (
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestMovedOn: a VM that waited for its confirm has gone home since, by another
// console or by a rollback whose process died. Recover must not touch what runs.
func TestMovedOn(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "whome", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	stopAfter(t, s.Name)
	to := other(from)
	home := func(t *testing.T, c *console, id string, stop func()) {
		t.Helper()
		_, err := c.settleAll(time.Minute)
		stop()
		on, bad := s.judge(t.Context())
		if err != nil || on != from || len(bad) > 0 {
			c.fail(t, id, bad)
			t.Fatalf("it is on %s: %v", on, err)
		}
	}
	t.Run("by_another_console", func(t *testing.T) {
		a, b := newConsole(t), newConsole(t)
		stop := observe(s)
		id := strings.TrimSpace(a.must(0, "migrate", s.Name, "--to", to, "--yes", "--no-confirm", "--detach").out)
		a.reach(id, "awaiting-confirm")
		b.must(0, "migrate", to+"/"+s.Name, "--to", from, "--yes")
		o := a.must(0, "recover", "-o", "json")
		if !strings.Contains(o.out, `"owner":"`+from+`"`) {
			t.Errorf("recover says %s%s", o.out, o.errOut)
		}
		// Nobody has confirmed that move: what it moved aside is named, and kept.
		left := s.Disks[0].Path() + ".migrated-" + id
		if !strings.Contains(o.out, "delete "+left) {
			t.Errorf("recover does not name %s: %s", left, o.out)
		}
		if _, err := the.Node(from).Exec(t.Context(), "rm", "--", left); err != nil {
			t.Error(err)
		}
		home(t, a, id, stop)
	})
	for _, at := range []string{"committed", "confirmed"} {
		t.Run("rollback_killed_at_"+at, func(t *testing.T) {
			c := crashConsole(t)
			stop := observe(s)
			id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", to, "--yes", "--no-confirm", "--detach").out)
			c.reach(id, "awaiting-confirm")
			c.env = []string{"HORCRUX_CRASH_AT=" + at}
			c.run("rollback", id, "--yes")
			c.env = nil
			home(t, c, id, stop)
			if got := c.jobs()[id].State; got != "undone" {
				t.Errorf("the move is %s after it was sent back", got)
			}
		})
	}
}

// TestTransientComesBack: a transient VM that is sent back is transient again.
func TestTransientComesBack(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wfleet", Agent: true, Transient: true, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	stop := observe(s)
	id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", other(from), "--yes", "--no-confirm", "--detach").out)
	c.reach(id, "awaiting-confirm")
	o := c.must(0, "rollback", id, "--yes")
	stop()
	if on, bad := s.judge(t.Context()); on != from || len(bad) > 0 {
		c.fail(t, id, append(bad, o.out+o.errOut))
	}
}
