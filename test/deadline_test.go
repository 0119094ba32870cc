//go:build lab

package test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestTheHardDeadline: the memory of two guests goes over a link on which its first
// pass would take a quarter of an hour. No pass ends, so that nothing could be said
// to stall; after five minutes the policy decides all the same.
func TestTheHardDeadline(t *testing.T) {
	const deadline = 5 * time.Minute
	type move struct {
		s        *subject
		from, id string
		cmd      *exec.Cmd
	}
	c := newConsole(t)
	moves := map[string]*move{"abort": nil, "suspend": nil}
	var all []*subject
	for policy := range moves {
		s, from := one(t, lab.VMSpec{Name: "wlate-" + policy, Node: "node1", Agent: true, DirtyMiB: 400, DirtyRate: 1, MemoryMiB: 640, Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}}})
		stopAfter(t, s.Name)
		moves[policy], all = &move{s: s, from: from}, append(all, s)
	}
	slow := the.Node(moves["abort"].from)
	if err := slow.LimitRate(1 << 20); err != nil {
		t.Fatal(err)
	}
	defer slow.UnlimitRate() //nolint:errcheck // once more, if the test ended early
	stop := observe(all...)
	began := time.Now()
	for policy, m := range moves {
		m.cmd = c.command("migrate", m.s.Name, "--to", other(m.from), "--yes", "--policy", policy)
		if err := m.cmd.Start(); err != nil {
			t.Fatal(err)
		}
	}
	until(t, "both copies are under way", time.Minute, func() bool {
		for id, j := range c.jobs() {
			for _, m := range moves {
				if j.VM == m.s.Name && strings.Contains(string(c.events(id)), `"iteration":1`) {
					m.id = id
				}
			}
		}
		return moves["abort"].id != "" && moves["suspend"].id != ""
	})
	const said = "the copy did not end within 5m0s"
	for _, m := range moves {
		until(t, "the deadline of "+m.s.Name, deadline+2*time.Minute, func() bool { return c.logged(m.id, said) })
	}
	if took := time.Since(began); took < deadline {
		t.Errorf("the deadline came after %s", took)
	}
	until(t, "the guest is paused for the rest, by the policy", time.Minute, func() bool {
		return strings.HasPrefix(domstate(t, moves["suspend"].s.Name, moves["suspend"].from), "paused")
	})
	if err := slow.UnlimitRate(); err != nil {
		t.Fatal(err)
	}
	for policy, m := range moves {
		_ = m.cmd.Wait()
		r := result(t, c.run("job", m.id, "-o", "json").out)
		code, want, at := 4, "undone", m.from
		if policy == "suspend" {
			code, want, at = 0, "done", other(m.from)
		} else if !strings.Contains(r.Reason, said) {
			t.Errorf("the cause is: %s", r.Reason)
		}
		if m.cmd.ProcessState.ExitCode() != code || r.Outcome != want || r.Owner != at {
			t.Errorf("by the policy %s: exit code %d: %+v", policy, m.cmd.ProcessState.ExitCode(), r)
		}
	}
	stop()
	for policy, m := range moves {
		want := m.from
		if policy == "suspend" {
			want = other(m.from)
		}
		if at, bad := m.s.judge(t.Context()); at != want || len(bad) > 0 {
			c.fail(t, m.id, append(bad, "it is on "+at))
		}
	}
}
