//go:build lab

package test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestH1NeverConverges: two guests that dirty their memory faster than they may be
// sent, at once. By the policy abort the move is undone, by suspend the guest is
// paused for the rest, and then runs on the target.
func TestH1NeverConverges(t *testing.T) {
	type move struct {
		policy, from, id string
		s                *subject
		cmd              *exec.Cmd
	}
	var moves []*move
	var all []*subject
	for _, policy := range []string{"abort", "suspend"} {
		s, from := one(t, lab.VMSpec{Name: "wnever-" + policy, Agent: true, DirtyMiB: 24, DirtyRate: 12, MemoryMiB: 192, Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}}})
		stopAfter(t, s.Name)
		moves, all = append(moves, &move{policy: policy, from: from, s: s}), append(all, s)
	}
	c := newConsole(t)
	stop := observe(all...)
	for _, m := range moves {
		m.cmd = c.command("migrate", m.s.Name, "--to", other(m.from), "--yes", "--bandwidth", "14", "--policy", m.policy, "--max-downtime", "100ms", "--no-auto-converge")
		if err := m.cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	// The passes get no shorter to speak of; those that follow never end.
	for _, m := range moves {
		until(t, "the second pass of "+m.s.Name, time.Minute, func() bool {
			for id, j := range c.jobs() {
				if j.VM == m.s.Name {
					m.id = id
				}
			}
			return strings.Contains(string(c.events(m.id)), `"iteration":2`)
		})
		c.must(0, "tune", m.id, "--bandwidth", "1")
	}
	until(t, "the guest is paused on its source, by the policy", 3*time.Minute, func() bool {
		return c.logged(moves[1].id, "the guest is paused for the rest of the copy") && strings.HasPrefix(domstate(t, moves[1].s.Name, moves[1].from), "paused")
	})
	var now struct{ Status string }
	query(t, moves[1].from, moves[1].s.Name, "query-migrate", &now)
	if now.Status != "active" {
		t.Errorf("it is paused while its copy is %q", now.Status)
	}
	c.must(0, "tune", moves[1].id, "--bandwidth", "0")
	for _, m := range moves {
		_ = m.cmd.Wait()
		r := result(t, c.run("job", m.id, "-o", "json").out)
		code, want, at := 4, "undone", m.from
		if m.policy == "suspend" {
			code, want, at = 0, "done", other(m.from)
		} else if !strings.Contains(r.Reason, "the memory does not converge: the guest dirties") || !strings.Contains(r.Reason, "limit 1 MiB/s") {
			t.Errorf("the cause is: %s", r.Reason)
		}
		if m.cmd.ProcessState.ExitCode() != code || r.Outcome != want || r.Owner != at {
			t.Errorf("by the policy %s: exit code %d: %+v", m.policy, m.cmd.ProcessState.ExitCode(), r)
		}
	}
	stop()
	for _, m := range moves {
		want := m.from
		if m.policy == "suspend" {
			want = other(m.from)
		}
		if at, bad := m.s.judge(t.Context()); at != want || len(bad) > 0 {
			c.fail(t, m.id, append(bad, "it is on "+at))
		}
	}
}
