//go:build lab && bench

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// The benchmarks compare whole commands in turn within one run, and report
// ratios: the machine's speed divides out, and its load too for the most part.
// Run them with `make bench`; HORCRUX_BENCH_PAIRS sets how many pairs.

func pairs() int {
	n := 5
	if _, err := fmt.Sscan(os.Getenv("HORCRUX_BENCH_PAIRS"), &n); err != nil {
		return 5
	}
	return n
}

func median[T int | int64 | float64 | time.Duration](v []T) T {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[len(s)/2]
}

// figure prints one line of the table of docs/performance.md.
func figure(t *testing.T, what, format string, args ...any) {
	t.Helper()
	fmt.Fprintf(os.Stderr, "| %s | %s |\n", what, fmt.Sprintf(format, args...))
}

// gap is the longest pause between beats that were answered, of a guest that
// beats every 180 ms; it is measured on this side.
func gap(s *subject, do func()) time.Duration {
	ctx, cancel := context.WithCancel(context.Background())
	w := the.Watch(s.Name)
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx, 20*time.Millisecond) }()
	do()
	wait(context.Background(), 500*time.Millisecond)
	cancel()
	<-done
	return w.LongestPause()
}

// TestBenchLive: a live move with a disk against virsh, of the same VM.
func TestBenchLive(t *testing.T) {
	s := testify(t, lab.VMSpec{Name: "bmove", Agent: true, DirtyMiB: 8, DirtyRate: 2, Disks: []lab.DiskSpec{{SizeMiB: 128, FillMiB: 64}}})
	c := newConsole(t)
	var ours, switched, virsh []time.Duration
	var ourGap, virshGap []time.Duration
	byUs := func() {
		_, to := ends(t, s)
		known, began := c.jobs(), time.Now()
		ourGap = append(ourGap, gap(s, func() {
			c.must(0, "migrate", s.Name, "--to", to, "--yes", "--path", "direct")
			ours = append(ours, time.Since(began))
		}))
		for id := range c.jobs() {
			if _, old := known[id]; old {
				continue
			}
			for _, r := range c.timed(id) {
				if r.Kind == "committed" {
					switched = append(switched, r.Time.Sub(began))
				}
			}
		}
	}
	byThem := func() {
		from, to := ends(t, s)
		precreate(t, s, from, to)
		virshGap = append(virshGap, gap(s, func() {
			began := time.Now()
			byVirsh(t, s, from, to, "--copy-storage-all")
			virsh = append(virsh, time.Since(began))
		}))
		tidy(t, s, from)
	}
	for i := range pairs() {
		turns := []func(){byUs, byThem}
		if i%2 == 1 {
			slices.Reverse(turns) // the hosts differ: each goes both ways
		}
		for _, move := range turns {
			move()
		}
	}
	figure(t, "live with a 128 MiB disk, wall time of the command", "%s, virsh %s, ratio %.2f", median(ours).Round(10*time.Millisecond), median(virsh).Round(10*time.Millisecond), ratio(median(ours), median(virsh)))
	figure(t, "the same, until the target had taken over", "%s, ratio %.2f", median(switched).Round(10*time.Millisecond), ratio(median(switched), median(virsh)))
	figure(t, "the same, time without a running copy (20 ms looks)", "%s, virsh %s, ratio %.2f", median(ourGap).Round(time.Millisecond), median(virshGap).Round(time.Millisecond), ratio(median(ourGap), median(virshGap)))
}

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }

func ends(t *testing.T, s *subject) (from, to string) {
	t.Helper()
	from, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return from, other(from)
}

// byVirsh moves a VM as an admin would, from this machine: virsh over SSH.
func byVirsh(t *testing.T, s *subject, from, to string, flags ...string) {
	t.Helper()
	// libvirt's own way over ssh takes no file of known hosts.
	ssh := filepath.Join(t.TempDir(), "ssh")
	script := fmt.Sprintf("#!/bin/sh\nexec ssh -i %s -o UserKnownHostsFile=%s \"$@\"\n", the.KeyPath(), the.KnownHostsPath())
	if err := os.WriteFile(ssh, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	uri := func(n string) string {
		return fmt.Sprintf("qemu+ssh://root@%s/system?command=%s&no_tty=1", the.Node(n).Address, ssh)
	}
	args := append([]string{"-c", uri(from), "migrate", "--live", "--persistent", "--undefinesource"}, flags...)
	cmd := exec.Command("virsh", append(args, s.Name, uri(to), "tcp://"+the.Node(to).Address)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("virsh migrate: %v: %s", err, out)
	}
}

// precreate does nothing but make sure that virsh finds no stale image: it
// makes the volume itself where the pool is.
func precreate(t *testing.T, s *subject, _, to string) {
	t.Helper()
	for _, d := range s.Disks {
		if _, err := the.Node(to).Exec(t.Context(), "rm", "-f", d.Path()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := the.Node(to).Virsh(t.Context(), "pool-refresh", "images"); err != nil {
		t.Fatal(err)
	}
}

// tidy removes what virsh leaves on its source.
func tidy(t *testing.T, s *subject, from string) { precreate(t, s, "", from) }

// TestBenchBlock: a second pass of `block` costs what was written since, not
// what the disk holds. The first waits under a limit until the guest has written.
func TestBenchBlock(t *testing.T) {
	s := testify(t, lab.VMSpec{Name: "bblock", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 640, FillMiB: 384}}})
	c := newConsole(t)
	for _, mib := range []int{72, 144} {
		from, to := ends(t, s)
		id := c.start(s.Name, to, "--mode", "block", "--bandwidth", "1", "--yes")
		if !c.wrote(id, "copying", time.Minute) {
			t.Fatalf("the first pass does not begin: %v", c.records(id))
		}
		inGuest(t, s.Name, from, fmt.Sprintf("dd if=/dev/urandom of=/data/bulk bs=1M count=%d conv=notrunc,fsync 2>&1", mib))
		began := time.Now()
		c.must(0, "tune", id, "--bandwidth", "0")
		until(t, "the move is over", 10*time.Minute, func() bool { return c.worker(id) == 0 })
		var starts, ends []time.Time
		for _, r := range c.timed(id) {
			switch r.Kind {
			case "copying":
				starts = append(starts, r.Time)
			case "copied":
				ends = append(ends, r.Time)
			}
		}
		if len(starts) != 2 || len(ends) != 2 {
			t.Fatalf("not two passes: %v", c.times(id))
		}
		first, second := ends[0].Sub(began), ends[1].Sub(starts[1])
		figure(t, fmt.Sprintf("block: 384 MiB in the disk, %d MiB written during the first pass", mib),
			"first pass without its limit %s, second %s, ratio %.2f", first.Round(100*time.Millisecond), second.Round(100*time.Millisecond), ratio(second, first))
	}
}

// TestBenchQueue: twenty moves in the queue on three nodes, by what a node may
// receive and send at a time, against the same moves one after another.
func TestBenchQueue(t *testing.T) {
	var all []*subject
	for i := range 20 {
		all = append(all, testify(t, lab.VMSpec{Name: fmt.Sprintf("bq%d", i), Node: fmt.Sprintf("node%d", i%3+1), MemoryMiB: 192}))
	}
	next := func(s *subject) string {
		from, _ := ends(t, s)
		return map[string]string{"node1": "node2", "node2": "node3", "node3": "node1"}[from]
	}
	c := newConsole(t)
	began := time.Now()
	for _, s := range all {
		c.must(0, "migrate", s.Name, "--to", next(s), "--yes")
	}
	serial := time.Since(began)
	figure(t, fmt.Sprintf("%d moves on three nodes, one after another", len(all)), "%s", serial.Round(100*time.Millisecond))
	for _, limit := range []int{1, 2, 4} {
		c := newConsole(t, fmt.Sprintf("parallel_per_node = %d", limit))
		began := time.Now()
		for _, s := range all {
			c.must(0, "migrate", s.Name, "--to", next(s), "--yes", "--detach")
		}
		until(t, "all moves are over", 10*time.Minute, func() bool {
			for _, j := range c.jobs() {
				if j.State != "done" {
					return false
				}
			}
			return true
		})
		queued := time.Since(began)
		figure(t, fmt.Sprintf("the same in the queue, %d out of and %d into a node at a time", limit, limit), "%s, ratio %.2f", queued.Round(100*time.Millisecond), ratio(queued, serial))
	}
}

// timed lists the records of a job with their times.
func (c *console) timed(id string) (out []timedRecord) {
	b, _ := os.ReadFile(filepath.Join(c.state, "horcrux", "jobs", id, "journal.jsonl"))
	for line := range strings.Lines(string(b)) {
		var r timedRecord
		if json.Unmarshal([]byte(line), &r) == nil {
			out = append(out, r)
		}
	}
	return out
}

type timedRecord struct {
	Kind string    `json:"kind"`
	Time time.Time `json:"time"`
	Note string    `json:"note"`
}

// times names each record of a job with its distance from the first one.
func (c *console) times(id string) (out []string) {
	all := c.timed(id)
	for _, r := range all {
		out = append(out, fmt.Sprintf("%s %.1f s %s", r.Kind, r.Time.Sub(all[0].Time).Seconds(), r.Note))
	}
	return out
}
