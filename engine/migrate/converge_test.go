package migrate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// guest is a memory copy as QEMU would report it: passes over what the guest
// has dirtied meanwhile.
type guest struct {
	ram, rate, dirty uint64
	throttles        bool
}

// drive runs the convergence over a copy, reading by reading, until it ends or
// the time is over, and gives what was advised and how it ended.
func (g guest) drive(t *testing.T, c *converge, l limits, most time.Duration) (log []string, end string) {
	t.Helper()
	c.began = t0
	var sent uint64
	remaining, iteration, throttle := g.ram, uint64(1), 0
	dirtied := uint64(0)
	suspended := false
	for d := time.Duration(0); d < most; d += pollEvery {
		tick := g.rate / 2
		dirty := g.dirty * uint64(100-throttle) / 100
		if suspended {
			dirty = 0
		}
		dirtied = min(dirtied+dirty/2, g.ram)
		n := min(tick, remaining)
		sent += n
		remaining -= n
		if remaining == 0 {
			remaining, dirtied = dirtied, 0
			iteration++
			if g.throttles && iteration > 3 && throttle < 99 {
				throttle = min(99, max(20, throttle+10))
			}
			if time.Duration(float64(remaining)/float64(g.rate)*1e9) <= c.allowed || suspended {
				return log, "switched"
			}
		}
		r := reading{at: t0.Add(d), memory: true, bytes: sent, remaining: remaining, rate: g.rate, dirty: dirty, iteration: iteration, throttle: throttle}
		for _, a := range c.step(r, l) {
			switch a.kind {
			case adviseDowntime:
				log = append(log, a.downtime.String())
			case adviseSuspend:
				log = append(log, "suspend")
				suspended = true
			case advisePostCopy:
				return log, "post-copy: " + a.why
			case adviseAbort:
				return log, "abort: " + a.why
			case adviseProbe:
				log = append(log, "probe")
			}
		}
	}
	return log, "still running"
}

func TestConverge(t *testing.T) {
	const mib = 1 << 20
	tests := []struct {
		name     string
		guest    guest
		policy   model.Policy
		downtime time.Duration
		log, end string // end by its beginning
	}{
		{"idle", guest{1024 * mib, 100 * mib, 0, false}, model.PolicyAbort, 900 * time.Millisecond, "150ms", "switched"},
		{"busy but slower than the link", guest{1024 * mib, 100 * mib, 40 * mib, false}, model.PolicyAbort, 900 * time.Millisecond, "150ms", "switched"},
		{"a small limit is kept", guest{1024 * mib, 100 * mib, 10 * mib, false}, model.PolicyAbort, 50 * time.Millisecond, "50ms", "switched"},
		{"converges when throttled", guest{1024 * mib, 100 * mib, 150 * mib, true}, model.PolicyAbort, 900 * time.Millisecond, "150ms", "switched"},
		{"never converges: abort", guest{256 * mib, 50 * mib, 60 * mib, false}, model.PolicyAbort, 900 * time.Millisecond, "150ms 300ms 500ms 900ms", "abort: the memory does not converge: the guest dirties 60 MiB/s, the link carries 50 MiB/s; the switch would need a pause of 5.12s, and 900ms is allowed"},
		{"never converges: suspend", guest{256 * mib, 50 * mib, 60 * mib, false}, model.PolicySuspend, 900 * time.Millisecond, "150ms 300ms 500ms 900ms suspend", "switched"},
		{"never converges: post-copy", guest{256 * mib, 50 * mib, 60 * mib, false}, model.PolicyPostCopy, 900 * time.Millisecond, "150ms 300ms 500ms 900ms", "post-copy: the guest dirties 60 MiB/s"},
		{"no policy is abort", guest{256 * mib, 50 * mib, 60 * mib, false}, "", 900 * time.Millisecond, "150ms 300ms 500ms 900ms", "abort"},
		{"a long pause is allowed", guest{256 * mib, 50 * mib, 60 * mib, false}, model.PolicyAbort, 6 * time.Second, "150ms 300ms 500ms 900ms 6s", "switched"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &converge{policy: tt.policy, bytes: tt.guest.ram}
			log, end := tt.guest.drive(t, c, limits{downtime: tt.downtime}, time.Hour)
			got := strings.Join(log, " ")
			// A guest that converges may need more steps or fewer; the others all.
			if end == "switched" && !strings.Contains(tt.log, " ") {
				got, _, _ = strings.Cut(got, " ")
			}
			if got != tt.log || !strings.HasPrefix(end, tt.end) {
				t.Errorf("%q, %q", strings.Join(log, " "), end)
			}
		})
	}
}

// A stall is not declared while QEMU still slows the guest down.
func TestConvergeWaitsForTheThrottle(t *testing.T) {
	g := guest{256 << 20, 50 << 20, 400 << 20, true}
	c := &converge{policy: model.PolicySuspend, bytes: g.ram}
	if log, end := g.drive(t, c, limits{downtime: 900 * time.Millisecond}, time.Hour); end != "switched" || strings.Contains(strings.Join(log, " "), "suspend") {
		t.Errorf("%v %s", log, end)
	}
}

func TestConvergeClocks(t *testing.T) {
	at := func(d time.Duration, memory bool, bytes uint64) reading {
		return reading{at: t0.Add(d), memory: memory, bytes: bytes, rate: 1 << 20, remaining: 100 << 20, iteration: 1}
	}
	kinds := func(as []advice) string {
		var s []string
		for _, a := range as {
			s = append(s, fmt.Sprint([]string{"downtime", "probe", "suspend", "post-copy", "abort"}[a.kind], " ", a.why))
		}
		return strings.Join(s, ", ")
	}
	l := limits{downtime: 900 * time.Millisecond}

	t.Run("no new byte of the disks", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 30}
		for _, d := range []time.Duration{0, 59 * time.Second} {
			if got := kinds(c.step(at(d, false, 5), l)); got != "" {
				t.Errorf("%s: %s", d, got)
			}
		}
		if got := kinds(c.step(at(60*time.Second, false, 5), l)); got != "probe no new byte came through for 1m0s" {
			t.Error(got)
		}
		if got := kinds(c.step(at(100*time.Second, false, 5), l)); got != "" {
			t.Errorf("probed twice: %s", got)
		}
		if got := kinds(c.step(at(150*time.Second, false, 5), l)); got != "abort no new byte came through for 2m30s" {
			t.Error(got)
		}
	})
	t.Run("a byte now and then", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 30}
		for d := time.Duration(0); d < 290*time.Second; d += 29 * time.Second {
			if got := kinds(c.step(at(d, false, uint64(d)), l)); got != "" {
				t.Errorf("%s: %s", d, got)
			}
		}
	})
	t.Run("hard deadline", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 30}
		if got := kinds(c.step(at(301*time.Second, false, 5), l)); got != "abort the copy did not end within 5m0s" {
			t.Error(got)
		}
		if got := kinds(c.step(at(302*time.Second, false, 5), limits{downtime: time.Second, bandwidth: 1})); got != "" {
			t.Errorf("a limit of 1 MiB/s gives 4096 s: %s", got)
		}
	})
	t.Run("hard deadline with a policy", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 30, policy: model.PolicySuspend}
		c.step(at(0, true, 1), l)
		c.step(at(200*time.Second, true, 2), l)
		if got := kinds(c.step(at(301*time.Second, true, 3), l)); !strings.HasPrefix(got, "suspend") {
			t.Error(got)
		}
		if got := kinds(c.step(at(400*time.Second, true, 4), l)); got != "" {
			t.Errorf("the deadline was not doubled: %s", got)
		}
		if got := kinds(c.step(at(701*time.Second, true, 5), l)); got != "abort the copy did not end within 10m0s" {
			t.Error(got)
		}
	})
	t.Run("the switch does not follow", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 30}
		ready := func(d time.Duration) reading {
			r := at(d, true, uint64(d))
			r.remaining, r.iteration = 0, 3
			return r
		}
		c.step(ready(0), l)
		c.step(ready(time.Second), l)
		if got := kinds(c.step(ready(60*time.Second), l)); got != "" {
			t.Error(got)
		}
		if got := kinds(c.step(ready(62*time.Second), l)); !strings.HasPrefix(got, "abort the guest was ready to switch") {
			t.Error(got)
		}
	})
	t.Run("a lower limit holds at once", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 30}
		c.step(at(0, true, 1), l)
		if got := c.step(at(time.Second, true, 2), limits{downtime: 100 * time.Millisecond}); len(got) != 1 || got[0].downtime != 100*time.Millisecond {
			t.Errorf("%+v", got)
		}
	})
}

func TestDivergingSaysWhyAndWhatNext(t *testing.T) {
	r := reading{at: t0, memory: true, remaining: 100 << 20, rate: 10 << 20, dirty: 20 << 20, iteration: 3, throttle: 40}
	c := &converge{policy: model.PolicySuspend, passes: []pass{{t0, 3, 100 << 20}}}
	got := c.diverging(r, limits{downtime: 900 * time.Millisecond, bandwidth: 10})
	for _, want := range []string{"dirties 20 MiB/s", "carries 10 MiB/s (limit 10 MiB/s)", "a pause of 10s", "900ms is allowed", "by 40 %", "paused for the rest"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	r.dirty = 1 << 20
	if got := c.diverging(r, limits{downtime: time.Second}); got != "" {
		t.Errorf("a copy that converges: %q", got)
	}
}
