//go:build lab

package test

import (
	"bufio"
	"encoding/json"
	"fmt"
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
)

// moving is a move under way, watched line by line.
type moving struct {
	t    *testing.T
	cmd  *exec.Cmd
	all  []line
	err  strings.Builder
	id   string
	seen chan line
	done sync.WaitGroup
}

// slowly gives a move the time in which something can be broken.
var slowly = []string{"--bandwidth", "8"}

// begin starts a move.
func begin(t *testing.T, vm, to string, more ...string) *moving {
	t.Helper()
	m := &moving{t: t, seen: make(chan line, 65536)}
	m.cmd = command(t, append([]string{"migrate", vm, "--to", to, "--yes", "-o", "json"}, more...)...)
	m.cmd.Stderr = &m.err
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
	in.Buffer(nil, 4<<20)
	for in.Scan() {
		var l line
		if json.Unmarshal(in.Bytes(), &l) == nil {
			m.seen <- l
		}
	}
}

// reach waits until the move says something that good accepts.
func (m *moving) reach(what string, within time.Duration, good func(line) bool) line {
	m.t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		select {
		case l, ok := <-m.seen:
			if !ok {
				m.t.Fatalf("the move ended before %s:\n%s\n%s", what, m.tail(), m.err.String())
			}
			m.id = l.Job
			m.all = append(m.all, l)
			if good(l) {
				return l
			}
		case <-deadline.C:
			m.t.Fatalf("%s: not within %s:\n%s", what, within, m.tail())
		}
	}
}

// end waits for the move and returns its exit code and result.
func (m *moving) end() (int, line) {
	m.t.Helper()
	r := m.reach("its result", 5*time.Minute, func(l line) bool { return l.Type == "result" })
	m.over()
	return m.cmd.ProcessState.ExitCode(), r
}

// over waits until nothing is said any more.
func (m *moving) over() {
	for range m.seen {
	}
	m.done.Wait()
	_ = m.cmd.Wait()
}

func (m *moving) tail() string {
	var b strings.Builder
	for _, l := range m.all[max(0, len(m.all)-25):] {
		fmt.Fprintf(&b, "%s %s %s %s %s%s%s\n", l.Time.Format("15:04:05.0"), l.Type, l.Phase, l.Status, l.Text, l.Detail, l.Diverging)
	}
	return b.String()
}

func copying(l line) bool { return l.Type == "progress" && l.DiskProcessed > 1<<20 }

func saysLog(word string) func(line) bool {
	return func(l line) bool { return l.Type == "log" && strings.Contains(l.Text, word) }
}

func isPhase(phase, status string) func(line) bool {
	return func(l line) bool { return l.Type == "phase" && l.Phase == phase && l.Status == status }
}

func isProgress(l line) bool { return l.Type == "progress" && l.Phase == "memory" }

// killWorker ends the process of a job as a crash would. It is known by the
// file that it holds open.
func killWorker(t *testing.T, id string) {
	t.Helper()
	open, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	killed := 0
	for _, fd := range open {
		to, err := os.Readlink(fd)
		if err != nil || !strings.Contains(to, the.state) || !strings.HasSuffix(to, id+"/journal.jsonl") {
			continue
		}
		if pid, err := strconv.Atoi(strings.Split(fd, "/")[2]); err == nil && pid != os.Getpid() && syscall.Kill(pid, syscall.SIGKILL) == nil {
			killed = pid
		}
	}
	if killed == 0 {
		t.Fatalf("no process of job %s", id)
	}
	until(t, "the end of the process", 10*time.Second, func() bool { return syscall.Kill(killed, 0) != nil })
}
