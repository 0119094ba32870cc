//go:build lab

package test

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"horcrux/lab"
)

// G3: the target's certificate is of somebody else. That is seen before the move; one
// that is changed after the look ends the move, not the VM.
func TestG3AnotherName(t *testing.T) {
	s, from := one(t, memoryVM)
	to := other(from)
	a, err := lab.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, n := range the.Nodes {
			_ = n.TakeTLS()
		}
	})
	give := func(node string, names ...string) {
		t.Helper()
		if err := the.Node(node).GiveTLS(a, names...); err != nil {
			t.Fatal(err)
		}
	}
	give(from)
	give(to, "elsewhere.example")
	c := crashConsole(t)
	configure(t, c.config, `tls = "auto"`)
	o := c.must(3, "migrate", s.Name, "--to", to, "--yes", "--tls", "require")
	if !strings.Contains(o.errOut, "the server certificate of "+to+" names neither") {
		t.Errorf("the refusal says: %s", o.errOut)
	}
	if now, bad := s.judge(t.Context()); now != from || len(bad) > 0 {
		t.Errorf("on %s: %v", now, bad)
	}

	give(to)
	c.env = []string{"HORCRUX_STOP_AT=begin"}
	stop := observe(s)
	id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", to, "--yes", "--detach", "--tls", "require").out)
	c.env = nil
	pid := c.stands(id, "begin")
	give(to, "elsewhere.example")
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	c.reach(id, "undone")
	stop()
	if r := endedAs(t, c, s, id, "undone", from); !strings.Contains(strings.ToLower(r.Reason), "certificate") || !strings.Contains(r.Reason, to) {
		t.Errorf("the cause is: %s", r.Reason)
	}
}

// stands waits until a job's process has written a record and stands still, as it
// was told to.
func (c *console) stands(id, at string) (pid int) {
	c.t.Helper()
	if !c.wrote(id, at, 2*time.Minute) {
		c.t.Fatalf("job %s did not write %s: %v", id, at, c.records(id))
	}
	until(c.t, "the process of job "+id+" stands still", 10*time.Second, func() bool {
		pid = c.worker(id)
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		return err == nil && strings.Contains(string(stat), ") T ")
	})
	return pid
}
