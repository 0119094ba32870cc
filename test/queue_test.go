//go:build lab

package test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"horcrux/lab"
)

// console is one console: a configuration and a state folder of its own, as on
// another jump host.
type console struct {
	t             *testing.T
	config, state string
	binary        string   // the program, another build of it for crash tests
	env           []string // besides what every call gets
}

// newConsole makes a console. Each edit is a pair: a line of the configuration
// that begins with the first gives way to the second; without such a line it is
// added.
func newConsole(t *testing.T, migration ...string) *console {
	t.Helper()
	c := &console{t: t, state: t.TempDir(), binary: the.binary}
	c.config = filepath.Join(c.state, "config.toml")
	configure(t, c.config, migration...)
	return c
}

func (c *console) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.binary, args...)
	cmd.Env = append(os.Environ(), "HORCRUX_CONFIG="+c.config, "XDG_STATE_HOME="+c.state)
	cmd.Env = append(cmd.Env, c.env...)
	return cmd
}

func (c *console) run(args ...string) outcome {
	c.t.Helper()
	cmd := c.command(args...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

func (c *console) must(code int, args ...string) outcome {
	c.t.Helper()
	o := c.run(args...)
	if o.code != code {
		c.t.Fatalf("horcrux %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.out, o.errOut)
	}
	return o
}

// job is what `jobs -o json` says of one.
type job struct {
	ID, State, From, To, Waits string
	VM                         string `json:"vm_name"`
	Place                      int
}

func (c *console) jobs() map[string]job {
	c.t.Helper()
	var all []job
	if err := json.Unmarshal([]byte(c.must(0, "jobs", "-o", "json").out), &all); err != nil {
		c.t.Fatal(err)
	}
	m := map[string]job{}
	for _, j := range all {
		m[j.ID] = j
	}
	return m
}

// worker is the process of a job: the one that has its lock open.
func (c *console) worker(id string) int {
	c.t.Helper()
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	want := filepath.Join(c.state, "horcrux", "jobs", id, "lock")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err != nil || strings.TrimSuffix(to, " (deleted)") != want {
			continue
		}
		dir := filepath.Dir(filepath.Dir(fd))
		cmdline, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil && strings.Contains(string(cmdline), "\x00worker") {
			return pid
		}
	}
	return 0
}

func (c *console) kill(id string) {
	c.t.Helper()
	pid := c.worker(id)
	if pid == 0 {
		c.t.Fatalf("job %s has no process", id)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	until(c.t, "the process of job "+id+" is gone", 10*time.Second, func() bool { return c.worker(id) == 0 })
}

// start begins a slow move and returns its job at once.
func (c *console) start(vm, to string, more ...string) string {
	c.t.Helper()
	args := append([]string{"migrate", vm, "--to", to, "--yes", "--detach", "--bandwidth", "8"}, more...)
	return strings.TrimSpace(c.must(0, args...).out)
}

func (c *console) reach(id, state string) {
	c.t.Helper()
	until(c.t, "job "+id+" is "+state, 3*time.Minute, func() bool { return c.jobs()[id].State == state })
}

func queueVMs(t *testing.T) {
	t.Helper()
	for _, name := range []string{"q1", "q2", "q3"} {
		ensure(t, lab.VMSpec{Name: name, Node: "node1", Disks: []lab.DiskSpec{{SizeMiB: 128, FillMiB: 40}}})
	}
}

// gather brings VMs to one node before a test that needs them there.
func gather(t *testing.T, node string, vms ...string) {
	t.Helper()
	c := newConsole(t)
	for _, vm := range vms {
		if home(t, vm) == node {
			continue
		}
		o := c.run("migrate", vm, "--to", node, "--yes", "-o", "json")
		switch r := result(t, o.out); {
		case o.code == 6:
			// A guest that a busy machine starves has moved all the same.
			c.must(0, "confirm", r.Job, "--yes")
		case o.code != 0:
			t.Fatalf("%s does not go to %s: %+v", vm, node, r)
		}
	}
}

// Three moves, one place: they go one after another, everybody sees who waits
// and why, and what waits can be taken out without touching the others.
func TestQueueOfThree(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1", "q2", "q3")
	c := newConsole(t, "parallel_per_node = 1")
	cmd := c.command("migrate", "q1", "q2", "q3", "--to", "node2", "--yes", "--bandwidth", "16", "-o", "json")
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = cmd.Wait() }()
	dropped := ""
	deadline := time.After(5 * time.Minute)
	for over := false; !over; {
		running := 0
		for id, j := range c.jobs() {
			switch j.State {
			case "running", "undoing":
				running++
			case "queued":
				if !strings.Contains(j.Waits, "parallel_per_node = 1") || j.Place == 0 {
					t.Errorf("%s waits without saying why: %+v", j.VM, j)
				}
				if dropped == "" && j.VM == "q2" {
					c.must(0, "abort", id, "--yes")
					dropped = id
				}
			}
		}
		if running > 1 {
			t.Errorf("%d moves at a time", running)
		}
		select {
		case <-done:
			over = true
		case <-deadline:
			t.Fatal("not within 5 min: ", out.String())
		case <-time.After(200 * time.Millisecond):
		}
	}
	if code := cmd.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit code %d, want 3 for the one that was taken out\n%s", code, errOut.String())
	}
	outcomes := map[string]line{}
	for _, l := range parse(t, out.String()) {
		if l.Type == "result" {
			outcomes[c.jobs()[l.Job].VM] = l
		}
	}
	for vm, want := range map[string][2]string{"q1": {"done", "node2"}, "q2": {"refused", "node1"}, "q3": {"done", "node2"}} {
		if r := outcomes[vm]; r.Outcome != want[0] || r.Owner != want[1] {
			t.Errorf("%s: %+v", vm, r)
		}
		if home(t, vm) != want[1] {
			t.Errorf("%s is not on %s", vm, want[1])
		}
	}
	unmarked(t, "q2", "node1")
}

// A place whose holder was killed is free at once, and what was killed is
// settled by recover.
func TestQueueAfterAKill(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1", "q2")
	c := newConsole(t, "parallel_per_node = 1")
	first := c.start("q1", "node2")
	c.reach(first, "running")
	second := c.start("q2", "node2")
	c.reach(second, "queued")
	if o := c.run("migrate", "q2", "--to", "node3", "--yes"); o.code != 3 || !strings.Contains(o.errOut, second) {
		t.Errorf("a second move of a VM that waits: exit code %d: %s", o.code, o.errOut)
	}
	c.kill(first)
	c.reach(second, "running")
	c.kill(second)
	third := c.start("q3", other(home(t, "q3")))
	c.reach(third, "running")
	o := c.must(0, "recover", "-o", "json")
	for _, vm := range []string{"q1", "q2"} {
		if home(t, vm) != "node1" {
			t.Errorf("%s is not on node1:\n%s", vm, o.out)
		}
		unmarked(t, vm, "node1")
	}
	from := c.jobs()[third].From
	c.must(0, "abort", third, "--yes")
	c.reach(third, "undone")
	if home(t, "q3") != from {
		t.Errorf("q3 is not on %s", from)
	}
	unmarked(t, "q3", from)
}

// One that cannot begin yet is overtaken by one that needs other nodes, and by
// none that needs the same.
func TestQueueOvertakes(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1", "q2")
	gather(t, "node3", "q3")
	c := newConsole(t, "parallel_per_node = 1")
	first := c.start("q1", "node2")
	c.reach(first, "running")
	second := c.start("q2", "node3")
	c.reach(second, "queued")
	if why := c.jobs()[second].Waits; !strings.Contains(why, "1 move out of node1 already") {
		t.Errorf("it waits for %q", why)
	}
	third := c.start("q3", "node1")
	c.reach(third, "running")
	if s := c.jobs()[first].State; s != "running" {
		t.Errorf("the first is %s", s)
	}
	for _, id := range []string{second, third, first} {
		c.must(0, "abort", id, "--yes")
	}
	for vm, node := range map[string]string{"q1": "node1", "q2": "node1", "q3": "node3"} {
		if home(t, vm) != node {
			t.Errorf("%s is not on %s", vm, node)
		}
	}
}
