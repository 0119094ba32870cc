//go:build lab

package test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"horcrux/lab"
)

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// way is one way to move a VM that crash and chaos tests go through.
type way struct {
	name string
	args []string
	spec lab.VMSpec
	// probe are the records at which every test run crashes; all others are
	// for `make crash`.
	probe []string
}

// ways lists every mode, each with a VM that shows what is special about it.
var ways = []way{
	{
		name: "live", args: []string{"--mode", "live"},
		spec:  lab.VMSpec{Name: "wlive", Agent: true, Disks: []lab.DiskSpec{{}, {SizeMiB: 64, FillMiB: 8}}},
		probe: []string{"performed", "commit-intent"},
	},
	{
		name: "shared", args: []string{"--mode", "live"},
		spec:  lab.VMSpec{Name: "wshared", Agent: true, Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}}},
		probe: []string{"gated"},
	},
	{
		name: "online", args: []string{"--mode", "online"},
		spec: lab.VMSpec{Name: "wlive", Agent: true, Disks: []lab.DiskSpec{{}, {SizeMiB: 64, FillMiB: 8}}},
	},
	{
		name: "relay", args: []string{"--mode", "live", "--path", "relay", "--parallel", "2"},
		spec: lab.VMSpec{Name: "wlive", Agent: true, Disks: []lab.DiskSpec{{}, {SizeMiB: 64, FillMiB: 8}}},
	},
	{
		name: "ssh", args: []string{"--mode", "live", "--path", "ssh"},
		spec: lab.VMSpec{Name: "wlive", Agent: true, Disks: []lab.DiskSpec{{}, {SizeMiB: 64, FillMiB: 8}}},
	},
	{
		name: "offline", args: []string{"--mode", "offline"},
		spec:  lab.VMSpec{Name: "wcold", Agent: true, Disks: []lab.DiskSpec{{Named: true}}},
		probe: []string{"copied", "fencing"},
	},
	{
		name: "offline-ssh", args: []string{"--mode", "offline", "--path", "ssh"},
		spec: lab.VMSpec{Name: "wcold", Agent: true, Disks: []lab.DiskSpec{{Named: true}}},
	},
	{
		name: "offline-off", args: []string{"--mode", "offline"},
		spec: lab.VMSpec{Name: "woff", State: lab.VMOff, Disks: []lab.DiskSpec{{Format: "raw"}}},
	},
	{
		name: "block", args: []string{"--mode", "block"},
		spec:  lab.VMSpec{Name: "wblock", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}}},
		probe: []string{"copied", "flattening"},
	},
	{
		name: "block-stop", args: []string{"--mode", "block", "--finish", "stop"},
		spec: lab.VMSpec{Name: "wblock", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}}},
	},
}

// firmware is a VM with UEFI variables and a TPM, which are files beside its
// disk. It is for `make crash` alone: it boots for long.
var firmware = lab.VMSpec{Name: "wfirm", Agent: true, UEFI: true, TPM: true, Ledger: true, HTTP: true, Disks: []lab.DiskSpec{{FillMiB: 4}}}

var firmwareWays = []way{
	{name: "live-firmware", args: []string{"--mode", "live"}, spec: firmware},
	{name: "offline-firmware", args: []string{"--mode", "offline"}, spec: firmware},
}

// allowed checks that the pre-flight lets this move happen.
func (w way) allowed(t *testing.T, c *console, vm, to string) {
	t.Helper()
	o := c.run(append([]string{"plan", vm, "--to", to}, w.args...)...)
	if o.code != 0 {
		t.Fatalf("plan %s %v: exit code %d: %s%s", vm, w.args, o.code, o.out, o.errOut)
	}
}

// restarts tells whether the guest boots once more in such a move.
func (w way) restarts() bool {
	return slices.Contains(w.args, "offline") && w.spec.State != lab.VMOff || w.name == "block-stop"
}

var buildCrash = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(the.state, "horcrux-crash")
	out, err := exec.Command("go", "build", "-tags", "crash", "-o", binary, "..").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build: %w: %s", err, out)
	}
	return binary, nil
})

// crashConsole is a console whose jobs may be told to kill themselves.
func crashConsole(t *testing.T) *console {
	t.Helper()
	c := newConsole(t)
	var err error
	if c.binary, err = buildCrash(); err != nil {
		t.Fatal(err)
	}
	return c
}

// move moves a subject with a console and returns the job.
func (c *console) move(s *subject, to string, args ...string) (id string, o outcome) {
	c.t.Helper()
	before := c.jobs()
	o = c.run(append([]string{"migrate", s.Name, "--to", to, "--yes"}, args...)...)
	for j := range c.jobs() {
		if _, old := before[j]; !old {
			id = j
		}
	}
	return id, o
}

// fail reports violations with what is needed to understand them.
func (c *console) fail(t *testing.T, id string, bad []string) {
	t.Helper()
	for _, b := range bad {
		t.Error(b)
	}
	t.Logf("records of job %s: %v", id, c.records(id))
	dir := filepath.Join(c.state, "horcrux", "jobs", id)
	for _, f := range []string{"journal.jsonl", "events.jsonl", "log"} {
		if b, err := os.ReadFile(filepath.Join(dir, f)); err == nil {
			if keep := os.Getenv("HORCRUX_KEEP"); keep != "" {
				_ = os.MkdirAll(filepath.Join(keep, id), 0o700)
				_ = os.WriteFile(filepath.Join(keep, id, f), b, 0o600)
			}
		}
	}
}

// TestCrash kills the job's own process at every record that a clean move of
// each mode writes, recovers, and checks that nothing is lost and nothing left,
// and that the move works then. With HORCRUX_CRASH=all at every record, else at
// those that each mode names. HORCRUX_CRASH_MODE takes one mode only.
func TestCrash(t *testing.T) {
	all := os.Getenv("HORCRUX_CRASH") == "all"
	tried := ways
	if all {
		tried = append(slices.Clone(ways), firmwareWays...)
	}
	for _, w := range tried {
		stopAfter(t, w.spec.Name)
		if m := os.Getenv("HORCRUX_CRASH_MODE"); m != "" && m != w.name || !all && len(w.probe) == 0 {
			continue
		}
		t.Run(w.name, func(t *testing.T) { w.crash(t, all) })
	}
}

func (w way) crash(t *testing.T, all bool) {
	c := crashConsole(t)
	s := testify(t, w.spec)
	owner, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.allowed(t, c, s.Name, other(owner))
	points := w.probe
	if all {
		points = w.points(t, c, s)
		t.Logf("%d records: %v", len(points), points)
	}
	for _, at := range points {
		t.Run(strings.ReplaceAll(at, ":", "-"), func(t *testing.T) { w.crashAt(t, c, s, at) })
		if t.Failed() && !all {
			return
		}
	}
}

// points makes one clean move and names each of its records, the n-th of a kind
// as kind:n.
func (w way) points(t *testing.T, c *console, s *subject) []string {
	t.Helper()
	owner, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop := observe(s)
	if w.restarts() {
		s.boots++
	}
	id, o := c.move(s, other(owner), w.args...)
	w.up(t, s)
	stop()
	if _, bad := s.judge(t.Context()); o.code != 0 || len(bad) > 0 {
		c.fail(t, id, append(bad, o.errOut+o.out))
		t.FailNow()
	}
	var points []string
	seen := map[string]int{}
	for _, k := range c.records(id) {
		seen[k]++
		if seen[k] > 1 {
			k = fmt.Sprintf("%s:%d", k, seen[k])
		}
		points = append(points, k)
	}
	return points
}

// up waits until a guest that boots again is up, so that the next move finds it
// as the last one did.
func (w way) up(t *testing.T, s *subject) {
	t.Helper()
	if s.want != "running" {
		return
	}
	if err := the.WaitVM(t.Context(), s.Name); err != nil {
		s.describe(t)
		t.Fatal(err)
	}
}

// describe logs what a VM that does not come up looks like on its hosts.
func (s *subject) describe(t *testing.T) {
	t.Helper()
	for _, name := range []string{"node1", "node2"} {
		n := the.Node(name)
		state, err := n.Virsh(t.Context(), "domstate", s.Name, "--reason")
		if err != nil {
			t.Logf("%s on %s: %v", s.Name, name, err)
			continue
		}
		said, _ := n.Exec(t.Context(), "tail", "-n", "20", "/var/log/libvirt/qemu/"+s.Name+"-serial.log")
		registers, _ := n.Virsh(t.Context(), "qemu-monitor-command", s.Name, "--hmp", "info registers")
		t.Logf("%s on %s: %s\nits console: %q\n%s", s.Name, name, strings.TrimSpace(state), said, registers)
	}
}

func (w way) crashAt(t *testing.T, c *console, s *subject, at string) {
	from, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kind, _, _ := strings.Cut(at, ":")
	began := time.Now()
	stop := observe(s)
	c.env = []string{"HORCRUX_CRASH_AT=" + at}
	if w.restarts() {
		s.boots += 2 // by the move or by its undoing, and by the retry
	}
	id, o := c.move(s, other(from), w.args...)
	if o.code == 0 && id != "" && !slices.Contains(c.records(id), kind) {
		// A record that only moves to the other node have: of what its files can do.
		if w.restarts() {
			s.boots++
			w.up(t, s)
		}
		id, o = c.move(s, from, w.args...)
	}
	c.env = nil
	if id == "" || !slices.Contains(c.records(id), kind) {
		stop()
		t.Fatalf("the move did not reach %s: exit code %d: %s%s", at, o.code, o.out, o.errOut)
	}
	if left := (&attempt{s: s, way: w, code: o.code, said: o.out + o.errOut}).unexplained(); len(left) > 0 {
		stop()
		c.fail(t, id, left)
		t.FailNow()
	}
	_, err = c.settleAll(3 * time.Minute)
	if err != nil {
		stop()
		c.fail(t, id, []string{err.Error()})
		t.FailNow()
	}
	w.up(t, s)
	stop()
	owner, bad := s.judge(t.Context())
	if bad = append(bad, c.quiet()...); len(bad) > 0 {
		c.fail(t, id, bad)
		t.FailNow()
	}
	settled, pause := time.Since(began), s.watch.LongestPause()
	stop = observe(s)
	again, o := c.move(s, other(owner), w.args...)
	w.up(t, s)
	stop()
	now, bad := s.judge(t.Context())
	if o.code != 0 || now == owner {
		bad = append(bad, fmt.Sprintf("the retry ended with %d on %s: %s%s", o.code, now, o.out, o.errOut))
	}
	if len(bad) > 0 {
		c.fail(t, again, bad)
		t.FailNow()
	}
	t.Logf("killed at %s, settled on %s after %s, longest pause %s", at, owner, settled.Round(100*time.Millisecond), pause.Round(time.Millisecond))
}
