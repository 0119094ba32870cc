//go:build lab

package test

import (
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// undone checks that a failed move left the VM where it was and nothing else.
func undone(t *testing.T, vm, from string, code int, r line) {
	t.Helper()
	if code != 4 || r.Outcome != "undone" || r.Owner != from {
		t.Errorf("exit code %d, %+v", code, r)
	}
	if r.Reason == "" || r.Next == "" {
		t.Errorf("no cause or no next step: %+v", r)
	}
	if home(t, vm) != from {
		t.Errorf("%s is not on %s", vm, from)
	}
	absent(t, vm, other(from))
	unmarked(t, vm, from)
	beats(t, vm, from, imageDir+vm+".qcow2")
}

// again checks that a retry works after a failure.
func again(t *testing.T, vm, from string) {
	t.Helper()
	must(t, 0, "migrate", vm, "--to", other(from), "--yes")
	if home(t, vm) == from {
		t.Errorf("%s did not move", vm)
	}
	absent(t, vm, from)
}

// A1: the target's QEMU dies while the disks are copied.
func TestA1TargetQEMUDies(t *testing.T) {
	from := home(t, "pair")
	to := other(from)
	watched(t, "pair", func() {
		m := begin(t, "pair", to, slowly...)
		m.reach("the copy", 2*time.Minute, copying)
		if err := the.Node(to).Kill(t.Context(), lab.OfVM("pair")); err != nil {
			t.Fatal(err)
		}
		code, r := m.end()
		undone(t, "pair", from, code, r)
		if !strings.Contains(r.Reason, to) {
			t.Errorf("the cause does not name %s: %s", to, r.Reason)
		}
	})
	again(t, "pair", from)
}

// A6: the target's libvirtd dies while the disks are copied.
func TestA6TargetLibvirtdDies(t *testing.T) {
	from := home(t, "pair")
	to := other(from)
	watched(t, "pair", func() {
		m := begin(t, "pair", to, slowly...)
		m.reach("the copy", 2*time.Minute, copying)
		if err := the.Node(to).Kill(t.Context(), lab.Of(lab.Libvirtd)); err != nil {
			t.Fatal(err)
		}
		// The copy goes on without the daemon; it is the move that must notice.
		if err := the.Node(to).Restart(t.Context(), lab.Libvirtd); err != nil {
			t.Fatal(err)
		}
		code, r := m.end()
		undone(t, "pair", from, code, r)
	})
}

// A5: the source's libvirtd dies while the disks are copied.
func TestA5SourceLibvirtdDies(t *testing.T) {
	from := home(t, "pair")
	to := other(from)
	watched(t, "pair", func() {
		m := begin(t, "pair", to, slowly...)
		m.reach("the copy", 2*time.Minute, copying)
		if err := the.Node(from).Kill(t.Context(), lab.Of(lab.Libvirtd)); err != nil {
			t.Fatal(err)
		}
		if err := the.Node(from).Restart(t.Context(), lab.Libvirtd); err != nil {
			t.Fatal(err)
		}
		code, r := m.end()
		undone(t, "pair", from, code, r)
	})
}

// D1: the user stops it while the disks are copied.
func TestD1AbortInTheDiskCopy(t *testing.T) {
	from := home(t, "pair")
	watched(t, "pair", func() {
		m := begin(t, "pair", other(from), slowly...)
		m.reach("the copy", 2*time.Minute, copying)
		must(t, 0, "abort", m.id, "--yes")
		code, r := m.end()
		undone(t, "pair", from, code, r)
	})
}

// E5: a second move of the same VM is refused while the first goes on.
func TestE5SecondMoveIsRefused(t *testing.T) {
	from := home(t, "pair")
	m := begin(t, "pair", other(from), slowly...)
	m.reach("the copy", 2*time.Minute, copying)
	o := must(t, 3, "migrate", "pair", "--to", other(from), "--yes")
	if !strings.Contains(o.errOut, m.id) {
		t.Errorf("the refusal does not name job %s: %s", m.id, o.errOut)
	}
	must(t, 0, "abort", m.id, "--yes")
	code, r := m.end()
	undone(t, "pair", from, code, r)
}

// B2, and the whole promise of a process of its own: the job's process is
// killed in mid-copy, and recover gives the VM back.
func TestB2WorkerIsKilled(t *testing.T) {
	from := home(t, "pair")
	to := other(from)
	watched(t, "pair", func() {
		m := begin(t, "pair", to, slowly...)
		m.reach("the copy", 2*time.Minute, copying)
		killWorker(t, m.id)
		m.over()
		if code := m.cmd.ProcessState.ExitCode(); code != 5 {
			t.Errorf("exit code %d of the watcher, want 5", code)
		}
		if s := jobState(t, m.id); s != "interrupted" {
			t.Errorf("the job is %s", s)
		}
		o := must(t, 0, "recover", "-o", "json")
		undone(t, "pair", from, 4, result(t, o.out))
		must(t, 0, "recover")
	})
	again(t, "pair", from)
}

// The watcher of a move is killed: the move goes on and ends well.
func TestTheMoveOutlivesItsWatcher(t *testing.T) {
	from := home(t, "pair")
	to := other(from)
	m := begin(t, "pair", to, slowly...)
	m.reach("the copy", 2*time.Minute, copying)
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	m.over()
	must(t, 0, "tune", m.id, "--bandwidth", "0")
	until(t, "job "+m.id+" is done", 8*time.Minute, func() bool { return jobState(t, m.id) == "done" })
	if home(t, "pair") != to {
		t.Errorf("pair is not on %s", to)
	}
	absent(t, "pair", from)
}
