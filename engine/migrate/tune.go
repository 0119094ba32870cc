package migrate

import (
	"context"
	"fmt"
	"time"

	"horcrux/engine/model"
)

// defaultDowntime is the pause that is allowed where a plan names none.
const defaultDowntime = 900 * time.Millisecond

// abortPatience is how long libvirt is given to carry out an abort, cutPatience
// until what may hold it up is cut.
const (
	abortPatience = 30 * time.Second
	cutPatience   = 10 * time.Second
	nudgeEvery    = 3 * time.Second
)

// limits are those in force now.
func (j *Job) limits() limits {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.tuned
}

func (j *Job) tune(change func(*limits)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.tuned)
}

func planLimits(o model.Options) limits {
	l := limits{downtime: o.MaxDowntime, bandwidth: o.Bandwidth}
	if l.downtime <= 0 {
		l.downtime = defaultDowntime
	}
	return l
}

// take does what a person wishes while the copy runs.
func (w *watch) take(ctx context.Context, c model.Command) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if c.Kind != model.CommandTune {
		w.abort(ctx, ErrAborted)
		return
	}
	if c.Bandwidth != nil {
		w.setBandwidth(ctx, *c.Bandwidth)
	}
	if c.MaxDowntime != nil {
		w.setDowntime(ctx, *c.MaxDowntime)
	}
}

// setDowntime changes the limit. The convergence works its way up to it, and
// takes back at once what is above it.
func (w *watch) setDowntime(ctx context.Context, d time.Duration) {
	if d <= 0 {
		w.job.log("warn", w.job.plan.From, "a downtime limit of %s makes no sense", d)
		return
	}
	if d < w.conv.allowed {
		if err := w.job.Source.SetMaxDowntime(ctx, d); err != nil {
			w.job.log("warn", w.job.plan.From, "did not take the downtime limit of %s: %v", d, err)
			return
		}
		w.conv.allowed = d
	}
	w.job.tune(func(l *limits) { l.downtime = d })
	w.job.log("info", w.job.plan.From, "downtime limit is %s now", d)
}

// unlimited is what libvirt takes for no limit: 0 would be refused.
const unlimited = uint64(1) << 43 / (1 << 20)

func (w *watch) setBandwidth(ctx context.Context, mibps uint64) {
	set := mibps
	if set == 0 {
		set = unlimited
	}
	if err := w.job.Source.SetMaxSpeed(ctx, set); err != nil {
		w.job.log("warn", w.job.plan.From, "did not take the bandwidth limit of %d MiB/s: %v", mibps, err)
		return
	}
	// The limit of mirrors that run already is set disk by disk.
	if !w.job.memoryBegan() {
		for _, d := range w.job.plan.Copies() {
			if err := w.job.Source.SetBlockJobSpeed(ctx, d.Target, mibps<<20); err != nil {
				w.job.log("warn", w.job.plan.From, "did not take the limit for disk %s: %v", d.Target, err)
			}
		}
	}
	w.job.tune(func(l *limits) { l.bandwidth = mibps })
	if mibps == 0 {
		w.job.log("info", w.job.plan.From, "no bandwidth limit any more")
		return
	}
	w.job.log("info", w.job.plan.From, "bandwidth limit is %d MiB/s now", mibps)
}

// abort asks libvirt to stop; only Perform's own answer says that it did.
func (w *watch) abort(ctx context.Context, why error) {
	if w.asked == nil {
		w.asked, w.when = why, w.job.Now()
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := w.job.Source.AbortJob(ctx); err != nil {
		w.job.log("warn", w.job.plan.From, "did not take the abort: %v", err)
	}
}

// giveUp ends a copy that does not listen to an abort. At first QEMU's own
// connections to the target are cut, since a target that went away without a word keeps
// the cancel waiting; then ours is closed: without it the target drops what
// came in.
func (w *watch) giveUp(ctx context.Context) {
	if w.asked == nil {
		return
	}
	waited := w.job.Now().Sub(w.when)
	if waited >= cutPatience && !w.cut {
		w.cut, w.nudged = true, w.job.Now()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		n, err := w.job.Source.BreakStreams(ctx)
		cancel()
		w.job.log("warn", w.job.plan.From, "did not stop the copy within %s: cutting its %d connection(s) to %s%s", cutPatience, n, w.job.plan.To, because(err))
	}
	if w.cut && w.job.Now().Sub(w.nudged) >= nudgeEvery {
		// libvirt 9.0 was seen to sleep over the end of a mirror that failed while
		// it was being cancelled; asking again wakes it.
		w.nudged = w.job.Now()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
		_ = w.job.Source.AbortJob(ctx)
		cancel()
	}
	if waited >= abortPatience && w.job.dst != nil {
		w.job.log("warn", w.job.plan.From, "did not stop the copy within %s: the connection to %s is closed", abortPatience, w.job.plan.To)
		_ = w.job.dst.Close()
		w.job.dst = nil
	}
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ", which did not work: " + err.Error()
}

// unheard aborts a copy of which libvirt says nothing at all any more.
func (w *watch) unheard(ctx context.Context) {
	if quiet := w.job.Now().Sub(w.heard); quiet > silentAbort && w.asked == nil {
		w.abort(ctx, fmt.Errorf("%s has not said for %s how far the copy is", w.job.plan.From, quiet.Round(time.Second)))
	}
}
