//go:build lab

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestConsoleSettlesAtItsStart: the process of a move is gone, with the guest paused
// on both nodes. Whoever opens the console next finds the VM running on one of them,
// without a key.
func TestConsoleSettlesAtItsStart(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wopens", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	stop := observe(s)
	id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", other(from), "--yes", "--detach").out)
	last := c.killAt(id, "gated")
	k := &keys{tmuxTerminal: newTerminal(t, "opens"), vm: s.Name}
	k.open([2]string{"120", "40"}, fmt.Sprintf("env LANG=C.UTF-8 TERM=screen-256color HORCRUX_CONFIG=%s XDG_STATE_HOME=%s %s", c.config, c.state, c.binary), "3 nodes up")
	until(t, "the console settles the move", time.Minute, func() bool {
		st := c.jobs()[id].State
		return st == "undone" || st == "awaiting-confirm" || st == "done"
	})
	k.until("tells of it", s.Name)
	stop()
	if _, err := c.settleAll(time.Minute); err != nil {
		t.Error(err)
	}
	now, bad := s.judge(t.Context())
	if len(bad) > 0 || last == "gated" && now != from {
		c.fail(t, id, append(bad, "killed after "+last+": on "+now))
	}
}
