package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// pollEvery is how often the source is asked how far it is.
const pollEvery = 500 * time.Millisecond

type performed struct {
	cookie []byte
	err    error
}

// perform copies disks and memory. It returns when both copies are paused and
// the target has everything, or with the reason why not.
func (j *Job) perform(ctx context.Context) (string, error) {
	if err := j.Journal.Append(journal.Record{Kind: journal.Performing}); err != nil {
		return "", err
	}
	// Perform has no deadline of its own: the copy takes as long as it takes,
	// and is ended by an abort, which libvirt answers.
	callCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	done := make(chan performed, 1)
	cookieIn := j.lastCookie
	j.lastCookie = nil
	go func() {
		c, err := j.src.MigratePerform(callCtx, j.plan.VM, j.params, cookieIn, j.flags)
		done <- performed{c, err}
	}()
	w := &watch{job: j, deadline: j.Now().Add(hardDeadline(j.plan))}
	w.begin()
	res := w.until(ctx, done)
	w.finish(res.err)
	if res.err != nil {
		return "", w.why(ctx, res.err)
	}
	j.performed = j.Now()
	j.lastCookie = res.cookie
	if err := j.Journal.Append(journal.Record{Kind: journal.Performed}); err != nil {
		return "", err
	}
	j.pause = w.pause(ctx)
	return w.summary(), nil
}

func (j *Job) inDisks() bool {
	return len(j.plan.Copies()) > 0 && j.performed.IsZero() && !j.memoryBegan()
}

func (j *Job) memoryBegan() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memory
}

// hardDeadline bounds a copy that libvirt would let run for ever: 150 s for
// each GiB of memory and disk, 300 s at least, and with a bandwidth limit what
// that needs four times over.
func hardDeadline(p model.Plan) time.Duration {
	bytes := p.Memory + p.CopyBytes
	d := max(300*time.Second, time.Duration(bytes>>20)*150*time.Second/1024)
	if b := p.Options.Bandwidth; b > 0 {
		d = max(d, 4*time.Duration(bytes>>20)*time.Second/time.Duration(b))
	}
	return d
}

// watch looks at the copy while it runs.
type watch struct {
	job      *Job
	deadline time.Time
	last     model.Progress
	rates    rates
	tuned    bool
	asked    error // why we asked libvirt to abort
	silent   bool
}

func (w *watch) begin() {
	if len(w.job.plan.Copies()) == 0 {
		w.job.phase(model.PhaseDisks, model.PhaseSkipped, "nothing to copy: both nodes see the same disks")
		w.job.startMemory()
		w.job.phase(model.PhaseMemory, model.PhaseActive, "")
		return
	}
	w.job.phase(model.PhaseDisks, model.PhaseActive, "")
}

// until polls and takes wishes until Perform returns.
func (w *watch) until(ctx context.Context, done <-chan performed) performed {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case res := <-done:
			return res
		case c := <-w.job.wishes:
			w.take(ctx, c)
		case <-ctx.Done():
			w.abort(context.WithoutCancel(ctx), ctx.Err())
			return <-done
		case <-tick.C:
			if w.job.Now().After(w.deadline) && w.asked == nil {
				w.abort(ctx, fmt.Errorf("the copy did not end within %s", hardDeadline(w.job.plan)))
			}
			w.poll(ctx)
		}
	}
}

func (w *watch) poll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	st, err := w.job.Source.JobStats(ctx)
	if err != nil {
		if !w.silent {
			w.job.log("warn", w.job.plan.From, "does not say how far it is: %v", err)
		}
		w.silent = true
		return
	}
	w.silent = false
	if st.Type == virt.JobNone || st.Type == virt.JobCompleted {
		return
	}
	if !w.tuned {
		w.tuned = true
		if d := w.job.plan.Options.MaxDowntime; d > 0 {
			if err := w.job.Source.SetMaxDowntime(ctx, d); err != nil {
				w.job.log("warn", w.job.plan.From, "did not take the downtime limit of %s: %v", d, err)
			}
		}
	}
	p := w.rates.progress(st, w.job.Now(), w.job.limit(), len(w.job.plan.Copies()) > 0)
	if p.Phase == model.PhaseMemory && w.job.startMemory() {
		w.job.phase(model.PhaseDisks, model.PhaseOK, doneDisks(p))
		w.job.phase(model.PhaseMemory, model.PhaseActive, "")
	}
	w.last = p
	w.job.Emit(event.Event{Type: event.TypeProgress, Progress: &p})
}

func (j *Job) limit() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.bandwidth
}

// startMemory notes that the disks are done, and tells whether that is new.
func (j *Job) startMemory() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.memory
	j.memory = true
	return !was
}

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
		if err := w.job.Source.SetMaxDowntime(ctx, *c.MaxDowntime); err != nil {
			w.job.log("warn", w.job.plan.From, "did not take the downtime limit of %s: %v", *c.MaxDowntime, err)
		} else {
			w.job.log("info", w.job.plan.From, "downtime limit is %s now", *c.MaxDowntime)
		}
	}
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
	w.job.mu.Lock()
	w.job.bandwidth = mibps
	w.job.mu.Unlock()
	if mibps == 0 {
		w.job.log("info", w.job.plan.From, "no bandwidth limit any more")
		return
	}
	w.job.log("info", w.job.plan.From, "bandwidth limit is %d MiB/s now", mibps)
}

// abort asks libvirt to stop; only Perform's own answer says that it did.
func (w *watch) abort(ctx context.Context, why error) {
	if w.asked == nil {
		w.asked = why
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := w.job.Source.AbortJob(ctx); err != nil {
		w.job.log("warn", w.job.plan.From, "did not take the abort: %v", err)
	}
}

// why is the cause of a failed copy: what we asked for, or what libvirt says
// and what the target shows of it.
func (w *watch) why(ctx context.Context, err error) error {
	if w.asked != nil && !errors.Is(err, virt.ErrLost) {
		return w.asked
	}
	to := w.job.plan.To
	err = fmt.Errorf("the copy from %s to %s failed: %w", w.job.plan.From, to, err)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	switch st, lookErr := w.job.Target.Status(ctx); {
	case lookErr != nil:
		return fmt.Errorf("%w; %s does not answer", err, to)
	case !st.Live():
		return fmt.Errorf("%w; the QEMU that was receiving the VM on %s is gone", err, to)
	}
	return err
}

func (w *watch) finish(err error) {
	if err == nil && w.job.startMemory() {
		w.job.phase(model.PhaseDisks, model.PhaseOK, doneDisks(w.last))
	}
}

// pause is how long the guest has stood still when Perform returned, as QEMU
// measured it.
func (w *watch) pause(ctx context.Context) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	st, err := w.job.Source.JobStats(ctx)
	if err != nil || st.Type == virt.JobNone {
		st, err = w.job.Source.CompletedJobStats(ctx)
	}
	if err != nil {
		return 0
	}
	return st.Downtime
}
