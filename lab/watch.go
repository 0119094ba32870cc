package lab

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Watch observes from outside which copies of one VM execute guest code. It
// asks neither libvirt nor QEMU: a copy runs in an interval if its vCPU threads
// used processor time in it (/proc/PID/task/TID/schedstat, in nanoseconds). A
// paused guest, or one that waits for an incoming migration, uses none but for
// a few microseconds of housekeeping; a running guest of the lab beats 5 times
// a second and so runs in every interval of 250 ms and more.
//
// Sample is quick enough for every 20 ms. Verdict then tells whether two
// copies ran.
type Watch struct {
	lab     *Lab
	uuid    string
	last    map[int]int64 // vCPU time so far, by process
	Samples []Sample
}

// Sample says which copies ran between the sample before and this one.
type Sample struct {
	At      time.Time
	Running []Copy
	Present int // QEMU processes of the VM, running or not
}

// Copy is a QEMU that executed guest code, and for how long.
type Copy struct {
	Node string
	PID  int
	Ran  time.Duration
	Used time.Duration // since the process began
}

const (
	// idleWork is what the vCPU threads of a paused guest may use in an interval.
	idleWork = 300 * time.Microsecond
	// startWork is what they use in a new process before any guest code runs: more
	// than 3 ms were seen on a busy machine. A guest that runs passes it in 0.2 s.
	startWork = 12 * time.Millisecond
)

// Watch begins to observe a VM, by name or UUID.
func (l *Lab) Watch(vm string) *Watch {
	w := &Watch{lab: l, uuid: l.UUID(vm), last: map[int]int64{}}
	for _, q := range l.QEMUs() {
		if q.UUID == w.uuid {
			w.last[q.PID] = vcpuTime(q.PID)
		}
	}
	return w
}

// Sample looks once and adds what it saw to Samples.
func (w *Watch) Sample() Sample { return w.sample(w.lab.qemus(true)) }

func (w *Watch) sample(all []QEMU) Sample {
	s := Sample{}
	for _, q := range all {
		if q.UUID != w.uuid {
			continue
		}
		s.Present++
		now := vcpuTime(q.PID)
		ran := time.Duration(now - w.last[q.PID])
		w.last[q.PID] = now
		if ran > idleWork && time.Duration(now) > startWork && !ending(q.PID) {
			s.Running = append(s.Running, Copy{q.Node, q.PID, ran, time.Duration(now)})
		}
	}
	s.At = time.Now()
	w.Samples = append(w.Samples, s)
	return s
}

// Run samples until ctx ends.
func (w *Watch) Run(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			w.Sample()
		}
	}
}

// RunAll samples several watches of one lab until ctx ends, with one look at the
// process list for all of them.
func RunAll(ctx context.Context, every time.Duration, all ...*Watch) {
	if len(all) == 0 {
		return
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			qemus := all[0].lab.qemus(true)
			for _, w := range all {
				w.sample(qemus)
			}
		}
	}
}

// Verdict is an error if a copy ran after another one had begun to run: both
// at once, or one after the other with the first coming back. The interval of
// the switch-over itself, in which one ends and the next begins, may hold both.
func (w *Watch) Verdict() error { return verdict(w.Samples) }

// span is the time in which one copy was seen to run.
type span struct {
	copy        Copy
	first, last int // samples
}

func verdict(samples []Sample) error {
	var spans []*span // in the order in which they began
	byPID := map[int]*span{}
	for i, s := range samples {
		for _, c := range s.Running {
			sp := byPID[c.PID]
			if sp == nil {
				sp = &span{copy: c, first: i}
				byPID[c.PID] = sp
				spans = append(spans, sp)
			}
			sp.last = i
		}
	}
	at := func(i int) string { return samples[i].At.Format("15:04:05.000") }
	for i, a := range spans {
		for _, b := range spans[i+1:] {
			if a.last > b.first {
				return fmt.Errorf("two copies ran: %s (process %d) still ran at %s, after %s (process %d) had begun at %s%s",
					a.copy.Node, a.copy.PID, at(a.last), b.copy.Node, b.copy.PID, at(b.first), looks(samples, b.first-2, a.last+2))
			}
		}
	}
	return nil
}

// looks lists what was seen in some samples.
func looks(samples []Sample, from, to int) string {
	var b strings.Builder
	for _, s := range samples[max(from, 0):min(to+1, len(samples))] {
		fmt.Fprintf(&b, "\n  %s", s.At.Format("15:04:05.000"))
		for _, c := range s.Running {
			fmt.Fprintf(&b, "  %s (process %d) ran for %s, %s since it began", c.Node, c.PID, c.Ran, c.Used)
		}
	}
	return b.String()
}

// LongestPause is the longest time in which no copy ran, measured between
// samples: at least the guest's real pause minus two intervals.
func (w *Watch) LongestPause() time.Duration {
	var longest time.Duration
	var last time.Time
	for _, s := range w.Samples {
		if len(s.Running) == 0 {
			continue
		}
		if !last.IsZero() {
			longest = max(longest, s.At.Sub(last))
		}
		last = s.At
	}
	return longest
}

// ending tells whether the vCPU threads of a process end. They run no guest code
// then, but one of them may be charged with giving back the guest's memory: 1.7 to
// 5.4 ms were seen of QEMUs whose guests had been stopped long before.
func ending(pid int) bool {
	const exiting = 0x4 // PF_EXITING of include/linux/sched.h
	found := false
	eachVCPU(pid, func(task string, buf []byte) {
		stat, ok := slurp(task+"/stat", buf)
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if !ok || len(fields) < 7 {
			return
		}
		flags, err := strconv.ParseUint(string(fields[6]), 10, 64)
		found = found || err == nil && flags&exiting == 0
	})
	return !found
}

// vcpuTime sums up the processor time of the vCPU threads, which QEMU names
// "CPU 0/TCG" or "CPU 0/KVM". It is 0 for a process that is gone.
func vcpuTime(pid int) int64 {
	var sum int64
	eachVCPU(pid, func(task string, buf []byte) {
		stat, ok := slurp(task+"/schedstat", buf)
		if !ok {
			return
		}
		first, _, _ := strings.Cut(string(stat), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		sum += ns
	})
	return sum
}

// eachVCPU calls do with the folder of each vCPU thread of a process, and room to
// read a file of it.
func eachVCPU(pid int, do func(task string, buf []byte)) {
	tasks := "/proc/" + strconv.Itoa(pid) + "/task"
	dir, err := os.Open(tasks)
	if err != nil {
		return
	}
	tids, _ := dir.Readdirnames(-1)
	dir.Close()
	var buf [512]byte
	for _, tid := range tids {
		if comm, ok := slurp(tasks+"/"+tid+"/comm", buf[:]); ok && bytes.HasPrefix(comm, []byte("CPU ")) {
			do(tasks+"/"+tid, buf[:])
		}
	}
}
