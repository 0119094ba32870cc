package migrate

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// rates smooths what libvirt reports and forecasts from it. It is pure but for
// what it remembers of earlier readings.
type rates struct {
	mem  ewma
	disk []diskSample
}

// diskSample is how much the mirrors had copied at one time.
type diskSample struct {
	at   time.Time
	done uint64
}

// diskWindow is the time over which the rate of mirrors is taken: a limited
// mirror moves in bursts of many MiB with seconds between them.
const diskWindow = 8 * time.Second

// diskRate is bytes per second over the window, 0 before the second reading.
func (r *rates) diskRate(now time.Time, done uint64) uint64 {
	if n := len(r.disk); n > 0 && done < r.disk[n-1].done {
		r.disk = nil // another mirror began to count
	}
	r.disk = append(r.disk, diskSample{now, done})
	for len(r.disk) > 2 && now.Sub(r.disk[0].at) > diskWindow {
		r.disk = r.disk[1:]
	}
	dt := now.Sub(r.disk[0].at).Seconds()
	if dt <= 0 {
		return 0
	}
	return uint64(float64(done-r.disk[0].done) / dt)
}

// ewma is an exponentially weighted mean; weight 0.4 follows a change within
// two or three readings and does not jump with each.
type ewma struct{ v float64 }

func (e *ewma) add(x float64) float64 {
	if e.v == 0 {
		e.v = x
	} else {
		e.v = 0.4*x + 0.6*e.v
	}
	return e.v
}

// progress turns one reading of libvirt's job statistics into what is shown.
// Everything but the forecast is libvirt's own number.
func (r *rates) progress(st virt.JobStats, now time.Time, limit uint64, disks bool) model.Progress {
	p := model.Progress{
		At: now.UTC(), Phase: model.PhaseMemory, Elapsed: st.Elapsed,
		DiskTotal: st.DiskTotal, DiskProcessed: st.DiskProcessed, DiskRemaining: st.DiskRemaining, DiskRate: st.DiskBps,
		MemTotal: st.MemTotal, MemProcessed: st.MemProcessed, MemRemaining: st.MemRemaining, MemRate: st.MemBps,
		DirtyRate: st.DirtyRate * st.PageSize, Iteration: st.MemIteration, Throttle: st.AutoConvergeThrottle,
		Downtime: st.Downtime, Bandwidth: limit,
	}
	if disks && st.MemTotal == 0 {
		p.Phase = model.PhaseDisks
	}
	if p.Phase == model.PhaseDisks {
		// libvirt gives no rate for mirrors: it follows from its own readings.
		if p.DiskRate = r.diskRate(now, st.DiskProcessed); p.DiskRate > 0 && now.Sub(r.disk[0].at) >= forecastAfter {
			p.ETA = seconds(float64(p.DiskRemaining) / float64(p.DiskRate))
		}
		return p
	}
	p.ETA = r.memory(p)
	return p
}

// memory forecasts the end of the memory copy: what remains, with what the
// guest dirties meanwhile. A guest that dirties faster than the link carries
// has no end; the convergence says so.
func (r *rates) memory(p model.Progress) time.Duration {
	rate := r.mem.add(float64(p.MemRate))
	if rate <= 0 || p.MemRemaining == 0 || float64(p.DirtyRate) >= rate && p.Iteration > 1 {
		return 0
	}
	return seconds(float64(p.MemRemaining) / (rate - float64(p.DirtyRate)))
}

// reading is what the convergence needs of one.
func (r *rates) reading(p model.Progress, now time.Time) reading {
	return reading{
		at: now, memory: p.Phase == model.PhaseMemory, bytes: p.DiskProcessed + p.MemProcessed,
		remaining: p.MemRemaining, rate: uint64(r.mem.v), dirty: p.DirtyRate, iteration: p.Iteration, throttle: p.Throttle,
		diskLeft: p.DiskRemaining, diskRate: p.DiskRate,
	}
}

func seconds(s float64) time.Duration {
	const most = 30 * 24 * 3600
	if s < 0 || s > most {
		return 0
	}
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond)
}

func doneDisks(p model.Progress) string {
	if p.DiskTotal == 0 {
		return ""
	}
	return humanize.IBytes(p.DiskProcessed) + " mirrored"
}

func (w *watch) summary() string {
	s := humanize.IBytes(w.last.MemProcessed) + " sent"
	if w.last.Iteration > 0 {
		s += fmt.Sprintf(" in %d passes", w.last.Iteration)
	}
	if w.last.MemProcessed == 0 {
		return "sent"
	}
	return s
}
