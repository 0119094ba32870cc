package migrate

import (
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

// mirrored runs the convergence over the mirrors of a disk, of which the guest
// makes so much dirty again each second. With lull it pauses now and then.
func mirrored(c *converge, size, rate, dirty uint64, lull time.Duration, most time.Duration) (said []string, end string, took time.Duration) {
	c.began, c.bytes = t0, 1<<40 // the hard deadline is another matter
	l := limits{downtime: 900 * time.Millisecond}
	left, sent, stopped := size, uint64(0), false
	for d := time.Duration(0); d < most; d += pollEvery {
		n := min(rate/2, left)
		left, sent = left-n, sent+n
		if left == 0 {
			return said, "whole", d
		}
		if !stopped && (lull == 0 || d == 0 || d%lull != 0) {
			left = min(size, left+dirty/2)
		}
		r := reading{at: t0.Add(d), bytes: sent, diskLeft: left, diskRate: rate}
		if d < time.Second {
			r.diskLeft = size / 100 // the first of several mirrors
		}
		for _, a := range c.step(r, l) {
			switch a.kind {
			case adviseSuspend:
				stopped = true
				said = append(said, "suspend: "+a.why)
			case adviseAbort:
				return said, "abort: " + a.why, d
			}
		}
	}
	return said, "still running", most
}

func TestMirrorsConverge(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		name        string
		policy      model.Policy
		rate, dirty uint64
		said, end   string
	}{
		{"idle", model.PolicyAbort, 10 * mib, 0, "", "whole"},
		{"a guest that writes nearly as fast", model.PolicyAbort, 10 * mib, 9 * mib, "", "whole"},
		{"too fast: abort", model.PolicyAbort, 10 * mib, 11 * mib, "", "abort: the disks do not converge: the guest writes to them as fast as they are copied, 10 MiB/s, and 1.0 GiB are left"},
		{"too fast: post-copy needs whole disks", model.PolicyPostCopy, 10 * mib, 11 * mib, "", "abort: the disks do not converge"},
		{"too fast: suspend", model.PolicySuspend, 10 * mib, 11 * mib, "suspend: the guest writes", "whole"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			said, end, took := mirrored(&converge{policy: tt.policy}, 1024*mib, tt.rate, tt.dirty, 0, time.Hour)
			if got := strings.Join(said, " "); (got == "") != (tt.said == "") || !strings.HasPrefix(got, tt.said) || !strings.HasPrefix(end, tt.end) {
				t.Errorf("%q %q after %s", got, end, took)
			}
		})
	}
	t.Run("little is left: time for a lull", func(t *testing.T) {
		if said, end, took := mirrored(&converge{policy: model.PolicyAbort}, 8*mib, 10*mib, 12*mib, 2*time.Minute, time.Hour); end != "whole" || took < stallWindow {
			t.Errorf("%v %s after %s", said, end, took)
		}
	})
	t.Run("nothing comes through", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 40}
		for d := time.Duration(0); d < silentAbort; d += time.Second {
			for _, a := range c.step(reading{at: t0.Add(d), bytes: 5, diskLeft: 1 << 30}, limits{}) {
				if a.kind != adviseProbe {
					t.Fatalf("after %s: %+v", d, a)
				}
			}
		}
	})
	t.Run("said before it is done", func(t *testing.T) {
		c := &converge{began: t0, bytes: 1 << 40, policy: model.PolicyPostCopy}
		r := reading{at: t0.Add(stallWindow), bytes: 1, diskLeft: 1 << 30, diskRate: 10 << 20}
		c.step(r, limits{bandwidth: 10})
		if got := c.diverging(r, limits{}); got != "" {
			t.Error(got)
		}
		r.at = r.at.Add(stallWindow / 2)
		if got := c.diverging(r, limits{bandwidth: 10}); !strings.Contains(got, "10 MiB/s (limit 10 MiB/s), and 1.0 GiB are left") || !strings.HasSuffix(got, "stopped and undone") {
			t.Error(got)
		}
	})
}
