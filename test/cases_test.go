//go:build lab

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// lasting makes a move of memory last for what is to be done in it.
var lasting = []string{"--bandwidth", "4", "--max-downtime", "1ms"}

// endedAs checks how a move ended, by its own word and from outside.
func endedAs(t *testing.T, c *console, s *subject, id, outcome, at string) (r line) {
	t.Helper()
	r = result(t, c.run("job", id, "-o", "json").out)
	now, bad := s.judge(t.Context())
	if r.Outcome != outcome || r.Owner != at || now != at || len(bad) > 0 {
		c.fail(t, id, append(bad, fmt.Sprintf("on %s: %+v", now, r)))
	}
	return r
}

// D6: an abort by libvirt on the target, or of another job: refused, and the move
// goes on.
func TestD6AbortOnTheTarget(t *testing.T) {
	s, from := one(t, memoryVM)
	to, c := other(from), newConsole(t)
	stop := observe(s)
	id := c.start(s.Name, to, lasting...)
	c.copied(id, "mem")
	// libvirt lets it wait for the incoming copy, up to 30 s.
	answer := make(chan error, 1)
	go func() {
		_, err := the.Node(to).Virsh(t.Context(), "domjobabort", s.Name)
		answer <- err
	}()
	c.must(64, "abort", "zzzzzz", "--yes")
	until(t, "the abort has come to libvirt", time.Minute, func() bool {
		out, err := the.Node(to).Exec(t.Context(), "pgrep", "-x", "virsh")
		return len(answer) > 0 || err == nil && out != ""
	})
	c.run("tune", id, "--bandwidth", "0", "--max-downtime", "2s") // unless the copy is over by now
	if err := <-answer; err == nil {
		t.Error("the target took an abort")
	}
	c.reach(id, "done")
	stop()
	endedAs(t, c, s, id, "done", to)
}

// B3: the job's process dies while the memory goes over.
func TestB3KilledInTheMemoryCopy(t *testing.T) {
	s, from := one(t, memoryVM)
	c := newConsole(t)
	stop := observe(s)
	id := c.start(s.Name, other(from), lasting...)
	c.copied(id, "mem")
	c.kill(id)
	if _, err := c.settleAll(time.Minute); err != nil {
		t.Error(err)
	}
	stop()
	endedAs(t, c, s, id, "undone", from)
}

// E6: nothing of a VM's definition is changed by a move, and what is to hold from
// its next boot on goes along as it is.
func TestE6WhatHoldsFromTheNextBootOn(t *testing.T) {
	s, from := one(t, memoryVM)
	to, c := other(from), newConsole(t)
	virsh := func(node string, args ...string) string {
		t.Helper()
		out, err := the.Node(node).Virsh(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	virsh(from, "setvcpus", s.Name, "2", "--config", "--maximum")
	defer func() {
		if on, err := s.owner(t.Context()); err == nil {
			virsh(on, "setvcpus", s.Name, "1", "--config", "--maximum")
		}
	}()
	next := virsh(from, "dumpxml", "--inactive", s.Name)
	stop := observe(s)
	id, _ := c.move(s, to)
	stop()
	endedAs(t, c, s, id, "done", to)
	if now := virsh(to, "dumpxml", "--inactive", s.Name); now != next {
		t.Errorf("its next boot was to be by\n%s\nand will be by\n%s", next, now)
	}
	if now := virsh(to, "vcpucount", s.Name, "--live", "--maximum"); strings.TrimSpace(now) != "1" {
		t.Errorf("it has %s CPUs in this one", now)
	}
}

// E10: a VM that its user has paused, and a move that fails: it is paused still.
func TestE10PausedAndFailed(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wpaused", State: lab.VMPaused})
	stopAfter(t, s.Name)
	to, c := other(from), newConsole(t)
	stop := observe(s)
	id := c.start(s.Name, to, "--bandwidth", "1")
	c.copied(id, "disk")
	if err := the.Node(to).Kill(t.Context(), lab.OfVM(s.Name)); err != nil {
		t.Fatal(err)
	}
	c.reach(id, "undone")
	stop()
	if r := endedAs(t, c, s, id, "undone", from); !strings.Contains(r.Reason, "on "+to+" is gone") {
		t.Errorf("the cause is: %s", r.Reason)
	}
}

// I5: a transient VM stays one where it stays, after a move that was called off. A
// persistent one is persistent on its target and unknown on its source: all others.
func TestI5TransientAndAborted(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wpassing", Agent: true, Transient: true})
	stopAfter(t, s.Name)
	c := newConsole(t)
	stop := observe(s)
	id := c.start(s.Name, other(from), "--bandwidth", "2")
	c.copied(id, "disk")
	c.must(0, "abort", id, "--yes")
	c.reach(id, "undone")
	stop()
	endedAs(t, c, s, id, "undone", from)
}

// G1: three disks and the memory by sockets of the file system, each over a
// connection of its own, of which nothing is left.
func TestG1ThreeDisksBySockets(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wthree", Agent: true, Disks: []lab.DiskSpec{{}, {SizeMiB: 32, FillMiB: 4}, {SizeMiB: 32, FillMiB: 4, Format: "raw"}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	for _, way := range [][]string{{"--path", "relay", "--parallel", "4"}, {"--path", "ssh"}} {
		to := other(from)
		stop := observe(s)
		id := c.start(s.Name, to, append(way, "--bandwidth", "1")...)
		until(t, "three connections for disks", time.Minute, func() bool {
			out, err := the.Node(to).Exec(t.Context(), "cat", "/proc/net/unix")
			open := 0
			for line := range strings.Lines(out) {
				// 03 is connected; the path is that of the listener.
				if f := strings.Fields(line); len(f) == 8 && f[5] == "03" && strings.Contains(f[7], "horcrux-"+id) {
					open++
				}
			}
			return err == nil && open >= 3
		})
		c.must(0, "tune", id, "--bandwidth", "0")
		c.reach(id, "done")
		stop()
		endedAs(t, c, s, id, "done", to)
		noSockets(t)
		from = to
	}
}
