//go:build lab

package test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// killAt kills the process of a job as soon as a record is in its journal, and
// returns the last record that is there.
func (c *console) killAt(id, kind string) string {
	c.t.Helper()
	pid := 0
	until(c.t, "job "+id+" has a process", 10*time.Second, func() bool { pid = c.worker(id); return pid != 0 })
	file := filepath.Join(c.state, "horcrux", "jobs", id, "journal.jsonl")
	want := []byte(`"kind":"` + kind + `"`)
	deadline := time.Now().Add(3 * time.Minute)
	for {
		b, _ := os.ReadFile(file)
		if bytes.Contains(b, want) {
			break
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("job %s never wrote %s", id, kind)
		}
		time.Sleep(2 * time.Millisecond) // the time between two records is what is aimed at
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	until(c.t, "the process of job "+id+" is gone", 10*time.Second, func() bool { return c.worker(id) == 0 })
	b, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	_, last, _ := strings.Cut(lines[len(lines)-1], `"kind":"`)
	last, _, _ = strings.Cut(last, `"`)
	return last
}

// The process is killed after each record and its journal is lost with it. What
// recover settles is settled right; what it leaves to a person can be decided
// for the source; and in the end one node runs the VM, which moves again.
func TestJournalLostAnywhere(t *testing.T) {
	queueVMs(t)
	for _, kind := range []string{"marking", "prepare", "perform", "performed", "gated", "commit-intent", "committed", "fencing", "fenced"} {
		t.Run(kind, func(t *testing.T) {
			gather(t, "node1", "q3")
			c := newConsole(t)
			watched(t, "q3", func() {
				id := c.start("q3", "node2", "--no-confirm", "--bandwidth", "0")
				last := c.killAt(id, kind)
				c.lose(id)
				var o outcome
				until(t, "libvirt has noticed that the process is gone", time.Minute, func() bool {
					o = c.run("recover", "-o", "json")
					return !strings.Contains(o.errOut, "libvirt is at work")
				})
				t.Logf("killed after %q: exit code %d", last, o.code)
				if o.code == 5 {
					if r := result(t, o.out); r.Reason == "" {
						t.Errorf("a person is not told why: %+v", r)
					}
					if o := c.typing("q3", "recover", id, "--keep", "node1"); o.code != 0 {
						t.Fatalf("keep: %d %s", o.code, o.out)
					}
				} else if o.code != 0 {
					t.Fatalf("exit code %d: %s%s", o.code, o.out, o.errOut)
				}
				if j := c.jobs()[id]; j.State == "awaiting-confirm" || j.State == "undone" && len(images(t, "q3", "node2")) > 0 && home(t, "q3") == "node1" {
					c.run("confirm", id, "--yes")
				}
			})
			at := home(t, "q3")
			unmarked(t, "q3", at)
			if at == "node1" {
				sweep(t, "node2", "q3")
			}
			absent(t, "q3", other(at))
			beats(t, "q3", at, imageDir+"q3.qcow2")
		})
	}
}
