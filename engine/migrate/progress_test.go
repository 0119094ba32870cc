package migrate

import (
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

func TestDiskRateOfABurstyMirror(t *testing.T) {
	var r rates
	now := time.Unix(1000, 0)
	const mib = 1 << 20
	var p model.Progress
	// 32 MiB every three seconds, read twice a second.
	for i := range 40 {
		done := uint64(i/6) * 32 * mib
		p = r.progress(virt.JobStats{Type: virt.JobUnbounded, DiskTotal: 1 << 30, DiskProcessed: done, DiskRemaining: 1<<30 - done}, now, 0, true)
		now = now.Add(500 * time.Millisecond)
		if i > 16 && (p.DiskRate < 7*mib || p.DiskRate > 14*mib) {
			t.Errorf("reading %d: %d MiB/s, want about 10", i, p.DiskRate/mib)
		}
	}
	if p.Phase != model.PhaseDisks || p.ETA < 60*time.Second || p.ETA > 140*time.Second {
		t.Errorf("%s, %s to go", p.Phase, p.ETA)
	}
}

func TestMemoryForecast(t *testing.T) {
	tests := []struct {
		name      string
		st        virt.JobStats
		eta       time.Duration
		diverging bool
	}{
		{"idle guest", virt.JobStats{MemTotal: 1 << 30, MemRemaining: 100 << 20, MemBps: 100 << 20}, time.Second, false},
		{"half dirtied again", virt.JobStats{MemTotal: 1 << 30, MemRemaining: 100 << 20, MemBps: 100 << 20, DirtyRate: 50 << 8, PageSize: 4096, MemIteration: 2}, 2 * time.Second, false},
		{"dirties faster", virt.JobStats{MemTotal: 1 << 30, MemRemaining: 100 << 20, MemBps: 100 << 20, DirtyRate: 200 << 8, PageSize: 4096, MemIteration: 3}, 0, true},
		{"nothing said yet", virt.JobStats{MemTotal: 1 << 30}, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var r rates
			p := r.progress(tt.st, time.Unix(1000, 0), 0, false)
			c := converge{}
			why := c.diverging(r.reading(p, time.Unix(1000, 0)), limits{downtime: time.Second})
			if p.ETA != tt.eta || (why != "") != tt.diverging {
				t.Errorf("eta %s diverging %q, want %s %v", p.ETA, why, tt.eta, tt.diverging)
			}
		})
	}
}

// A copy that has just begun has a rate, and its end is not forecast by it yet.
func TestNoForecastOfTheFirstMoment(t *testing.T) {
	var r rates
	began := time.Now()
	eta := func(after time.Duration, done uint64) time.Duration {
		st := virt.JobStats{DiskTotal: 100 << 20, DiskProcessed: done, DiskRemaining: 100<<20 - done}
		return r.progress(st, began.Add(after), 0, true).ETA
	}
	for after, done := range []uint64{0, 50 << 20, 51 << 20} {
		if got := eta(time.Duration(after)*time.Second, done); got != 0 {
			t.Errorf("after %d s: %v", after, got)
		}
	}
	if got := eta(forecastAfter, 55<<20); got == 0 {
		t.Error("no forecast after the rate means something")
	}
}
