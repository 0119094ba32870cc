package health

import (
	"context"
	"strconv"
	"time"

	"horcrux/engine/model"
)

// steady is how much CPU time in a second tells a working guest from an idle
// one: below it a guest may well need none in the seconds that are watched.
const steady = 50 * time.Millisecond

// checkCPU counts the vCPUs, looks for the thread of each, and watches whether
// their time moves.
func checkCPU(ctx context.Context, e *exam) finding {
	var cpus []struct {
		Thread int64 `json:"thread-id"`
	}
	if err := e.qmp(ctx, "query-cpus-fast", &cpus); err != nil {
		return failed("QEMU does not list its vCPUs: %s", why(err))
	}
	n := newNotes()
	n.say("%s", plural(len(cpus), "vCPU"))
	n.fact("vcpus", strconv.Itoa(len(cpus)))
	if len(cpus) == 0 {
		n.fail("QEMU has no vCPU")
	}
	if b := e.o.baseline(model.CheckCPU); b != nil && b.Facts["vcpus"] != "" && b.Facts["vcpus"] != strconv.Itoa(len(cpus)) {
		n.fail("there were %s before the move", clean(b.Facts["vcpus"]))
	}
	missing := 0
	for _, c := range cpus {
		if c.Thread <= 0 {
			missing++
		}
	}
	if missing > 0 {
		n.fail("%d of them have no thread", missing)
	}
	if e.stage == model.StageGate {
		return n.finding()
	}
	if e.still(ctx) {
		n.say("paused, so their time stands still")
		return n.finding()
	}
	e.watchCPU(ctx, n)
	return n.finding()
}

// watchCPU waits for the vCPUs' time to move: one window, and after a move up
// to maxWindows of them.
func (e *exam) watchCPU(ctx context.Context, n *notes) {
	used, span, err := e.until(ctx, true, func(before, now model.DomainStats) bool { return vcpuMoved(before, now) > 0 })
	if err != nil {
		n.warn("their time could not be watched: %s", why(err))
		return
	}
	moved := vcpuMoved(used.before, used.now)
	rate := time.Duration(float64(moved) / span.Seconds())
	n.fact("ms_per_s", strconv.FormatInt(rate.Milliseconds(), 10))
	if moved > 0 {
		n.say("%s of CPU time in %.1f s", ms(moved), span.Seconds())
		return
	}
	was := 0
	if b := e.o.baseline(model.CheckCPU); b != nil {
		was, _ = strconv.Atoi(b.Facts["ms_per_s"])
	}
	if e.stage == model.StageAfter && was >= int(steady.Milliseconds()) {
		n.fail("no CPU time used in %.1f s, and %d ms a second before the move", span.Seconds(), was)
		return
	}
	n.warn("no CPU time used in %.1f s: the guest is idle or hangs", span.Seconds())
}

// vcpuMoved is what the vCPUs alone have used between two readings; QEMU's
// other threads work for a guest that hangs as well. Without their time, that of
// the whole process. Both readings are taken by the same measure: in the first
// one after a switch the vCPUs have used nothing yet, and the process has.
func vcpuMoved(before, now model.DomainStats) time.Duration {
	if sum := vcpuTime(now); sum > 0 {
		return sum - vcpuTime(before)
	}
	return now.CPUTime - before.CPUTime
}

func vcpuTime(s model.DomainStats) (sum time.Duration) {
	for _, v := range s.VCPUs {
		sum += v.Time
	}
	return sum
}

// span is two readings of the counters.
type span struct{ before, now model.DomainStats }

// until watches the counters until moved says so: for one window, and after a
// move, if movement is expected, for up to maxWindows.
func (e *exam) until(ctx context.Context, expected bool, moved func(before, now model.DomainStats) bool) (span, time.Duration, error) {
	first, err := e.sample(ctx, 0)
	if err != nil {
		return span{}, 0, err
	}
	windows := 1
	if expected && e.stage == model.StageAfter {
		windows = maxWindows
	}
	s := span{before: first}
	for i := 1; i <= windows*looks; i++ {
		next, err := e.sample(ctx, i)
		if err != nil && i == 1 {
			return span{}, 0, err
		}
		if err != nil {
			break
		}
		s.now = next
		if moved(first, next) {
			break
		}
	}
	d := s.now.At.Sub(first.At)
	if d <= 0 {
		d = window
	}
	return s, d, nil
}
