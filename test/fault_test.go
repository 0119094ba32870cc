//go:build lab

package test

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"horcrux/lab"
)

// moving is a move under way, watched line by line.
type moving struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *strings.Builder
	err  *strings.Builder
	id   string
	seen chan line
	done sync.WaitGroup
}

// begin starts a slow move of a VM, so that there is time to break something.
func begin(t *testing.T, vm, to string) *moving {
	t.Helper()
	m := &moving{t: t, out: &strings.Builder{}, err: &strings.Builder{}, seen: make(chan line, 4096)}
	m.cmd = command(t, "migrate", vm, "--to", to, "--yes", "--bandwidth", "8", "-o", "json")
	m.cmd.Stderr = m.err
	pipe, err := m.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m.done.Add(1)
	go m.read(pipe)
	return m
}

func (m *moving) read(pipe io.Reader) {
	defer m.done.Done()
	defer close(m.seen)
	in := bufio.NewScanner(pipe)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		m.out.WriteString(in.Text() + "\n")
		var l line
		if json.Unmarshal(in.Bytes(), &l) == nil {
			m.seen <- l
		}
	}
}

// reach waits until the move says something that good accepts.
func (m *moving) reach(what string, good func(line) bool) {
	m.t.Helper()
	deadline := time.NewTimer(2 * time.Minute)
	defer deadline.Stop()
	for {
		select {
		case l, ok := <-m.seen:
			if !ok {
				m.t.Fatalf("the move ended before %s:\n%s%s", what, m.out, m.err)
			}
			m.id = l.Job
			if good(l) {
				return
			}
		case <-deadline.C:
			m.t.Fatalf("%s: not within 2 min:\n%s", what, m.out)
		}
	}
}

func copying(l line) bool { return l.Type == "progress" && l.DiskProcessed > 1<<20 }

// end waits for the move and returns its exit code and result.
func (m *moving) end() (int, line) {
	m.t.Helper()
	for range m.seen {
	}
	m.done.Wait()
	_ = m.cmd.Wait()
	return m.cmd.ProcessState.ExitCode(), result(m.t, m.out.String())
}

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
		m := begin(t, "pair", to)
		m.reach("the copy", copying)
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
		m := begin(t, "pair", to)
		m.reach("the copy", copying)
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
		m := begin(t, "pair", to)
		m.reach("the copy", copying)
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
		m := begin(t, "pair", other(from))
		m.reach("the copy", copying)
		must(t, 0, "abort", m.id, "--yes")
		code, r := m.end()
		undone(t, "pair", from, code, r)
	})
}

// E5: a second move of the same VM is refused while the first goes on.
func TestE5SecondMoveIsRefused(t *testing.T) {
	from := home(t, "pair")
	m := begin(t, "pair", other(from))
	m.reach("the copy", copying)
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
		m := begin(t, "pair", to)
		m.reach("the copy", copying)
		killWorkers(t)
		for range m.seen {
		}
		m.done.Wait()
		_ = m.cmd.Wait()
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

// killWorkers ends the processes of the jobs of this test's own store, which
// are children of nobody here.
func killWorkers(t *testing.T) {
	t.Helper()
	killed := 0
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !strings.HasPrefix(string(cmdline), the.binary+"\x00worker") {
			continue
		}
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !strings.Contains(string(env), "XDG_STATE_HOME="+the.state) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(dir))
		if err == nil && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed++
		}
	}
	if killed != 1 {
		t.Fatalf("killed %d workers, want 1", killed)
	}
}

// The watcher of a move is killed: the move goes on and ends well.
func TestTheMoveOutlivesItsWatcher(t *testing.T) {
	from := home(t, "pair")
	to := other(from)
	m := begin(t, "pair", to)
	m.reach("the copy", copying)
	if err := m.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for range m.seen {
	}
	_ = m.cmd.Wait()
	until(t, "job "+m.id+" is done", 3*time.Minute, func() bool { return jobState(t, m.id) == "done" })
	if home(t, "pair") != to {
		t.Errorf("pair is not on %s", to)
	}
	absent(t, "pair", from)
}
