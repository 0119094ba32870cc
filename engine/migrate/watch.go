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

// watch looks at the copy while it runs, and acts on what it sees.
type watch struct {
	job    *Job
	last   model.Progress
	rates  rates
	conv   converge
	asked  error // why we asked libvirt to abort
	when   time.Time
	silent bool
	// heard is when libvirt last said how far it is.
	heard time.Time
	// cut: QEMU's connections to the target were cut.
	cut    bool
	nudged time.Time
	// stopped is when the guest was paused by us.
	stopped time.Time
}

func newWatch(j *Job) *watch {
	w := &watch{job: j, heard: j.Now(), conv: converge{policy: j.plan.Options.Policy, bytes: j.plan.Memory + j.plan.CopyBytes, began: j.Now()}}
	if w.conv.policy == model.PolicyPostCopy && !j.mayPostCopy() {
		w.conv.policy = model.PolicyAbort
	}
	if j.stopsAtOnce() {
		w.stopped = j.Now()
	}
	if len(j.plan.Copies()) == 0 {
		j.phase(model.PhaseDisks, model.PhaseSkipped, "nothing to copy: both nodes see the same disks")
		j.startMemory()
		j.phase(model.PhaseMemory, model.PhaseActive, "")
	} else {
		j.phase(model.PhaseDisks, model.PhaseActive, "")
	}
	return w
}

// until polls and takes wishes until Perform returns.
func (w *watch) until(ctx context.Context, done <-chan performed) performed {
	tick := time.NewTicker(w.every())
	defer tick.Stop()
	for {
		select {
		case res := <-done:
			return res
		case c := <-w.job.wishes:
			w.take(ctx, c)
		case <-ctx.Done():
			w.abort(context.WithoutCancel(ctx), ctx.Err())
			return w.ending(done)
		case <-tick.C:
			w.poll(ctx)
			w.unheard(ctx)
			w.giveUp(ctx)
			tick.Reset(w.every())
		}
	}
}

// ending waits for the end of a copy that was called off.
func (w *watch) ending(done <-chan performed) performed {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case res := <-done:
			return res
		case <-tick.C:
			w.giveUp(context.Background())
		}
	}
}

// every is short while the guest has to be stopped as soon as the disks are done.
func (w *watch) every() time.Duration {
	if w.job.stopsForMemory() && w.stopped.IsZero() {
		return pollSoon
	}
	return pollEvery
}

func (w *watch) poll(ctx context.Context) {
	callCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	st, err := w.job.Source.JobStats(callCtx)
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
	w.heard = w.job.Now()
	now, lim := w.job.Now(), w.job.limits()
	p := w.rates.progress(st, now, lim.bandwidth, len(w.job.plan.Copies()) > 0)
	if p.Phase == model.PhaseMemory {
		if w.job.startMemory() {
			w.job.phase(model.PhaseDisks, model.PhaseOK, doneDisks(p))
			w.job.phase(model.PhaseMemory, model.PhaseActive, "")
		}
		if w.job.stopsForMemory() && w.stopped.IsZero() {
			w.suspend(ctx)
		}
	}
	p.Path = w.job.plan.Way
	r := w.rates.reading(p, now)
	for _, a := range w.conv.step(r, lim) {
		w.follow(ctx, a)
	}
	p.Diverging = w.conv.diverging(r, lim)
	w.last = p
	w.job.Emit(event.Event{Type: event.TypeProgress, Progress: &p})
}

// follow does what the convergence advises.
func (w *watch) follow(ctx context.Context, a advice) {
	switch a.kind {
	case adviseDowntime:
		w.allow(ctx, a)
	case adviseProbe:
		w.probe(ctx, a.why)
	case adviseSuspend:
		w.job.log("warn", w.job.plan.From, "the guest is paused for the rest of the copy: %s", a.why)
		w.suspend(ctx)
	case advisePostCopy:
		w.startPostCopy(ctx, a.why)
	case adviseAbort:
		if w.asked == nil {
			w.abort(ctx, fmt.Errorf("the copy from %s to %s was stopped: %s", w.job.plan.From, w.job.plan.To, a.why))
		}
	}
}

func (w *watch) allow(ctx context.Context, a advice) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := w.job.Source.SetMaxDowntime(ctx, a.downtime); err != nil {
		w.job.log("warn", w.job.plan.From, "did not take the downtime limit of %s: %v", a.downtime, err)
		return
	}
	if a.why != "" {
		w.job.log("info", w.job.plan.From, "allows a pause of %s now: %s", a.downtime, a.why)
	}
}

// probe tells what both hosts say when nothing arrives any more.
func (w *watch) probe(ctx context.Context, why string) {
	for _, h := range []Host{w.job.Source, w.job.Target} {
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		st, err := h.Status(ctx)
		cancel()
		if err != nil {
			w.job.log("warn", h.Name(), "%s, and it does not answer: %v", why, err)
			continue
		}
		w.job.log("warn", h.Name(), "%s; the VM is %s there", why, st)
	}
}

// suspend stops the guest until it runs on the target, or the move is undone.
// The journal has it before, since from then on a source that is paused is to
// be resumed by an undo.
func (w *watch) suspend(ctx context.Context) {
	if err := w.job.Journal.Append(journal.Record{Kind: journal.Suspending}); err != nil {
		w.abort(ctx, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := w.job.Source.Suspend(ctx); err != nil {
		w.job.log("warn", w.job.plan.From, "did not pause the guest: %v", err)
		return
	}
	w.stopped = w.job.Now()
	w.job.log("info", w.job.plan.From, "the guest is paused until it runs on %s", w.job.plan.To)
}

// why is the cause of a failed copy: what we asked for, or what libvirt says
// and what the target shows of it.
func (w *watch) why(ctx context.Context, err error) error {
	to := w.job.plan.To
	if w.asked != nil && !errors.Is(err, virt.ErrLost) {
		if !errors.Is(w.asked, ErrAborted) && w.silentTarget(ctx) {
			return fmt.Errorf("%w; %s does not answer", w.asked, to)
		}
		return w.asked
	}
	within := targetEndsWithin
	if errors.Is(err, virt.ErrLost) {
		within = 0 // of the target nothing is known by that
	}
	err = fmt.Errorf("the copy from %s to %s failed: %w", w.job.plan.From, to, err)
	if w.job.byRelay() {
		if broke := w.job.Relay.Err(); broke != nil {
			err, within = fmt.Errorf("%w; %w", err, broke), 0
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	switch st, lookErr := w.targetEnds(ctx, within); {
	case lookErr != nil:
		return fmt.Errorf("%w; %s does not answer", err, to)
	case !st.Live():
		return fmt.Errorf("%w; the QEMU that was receiving the VM on %s is gone", err, to)
	}
	return err
}

// A copy that broke off because the target's QEMU ended is known on the source
// first. Told to drop what came in before it has noticed, the target's libvirt
// forgets why its QEMU ended. The guest runs on at the source meanwhile.
const (
	targetEndsWithin = 2 * time.Second
	targetEndsPoll   = 50 * time.Millisecond
)

// targetEnds waits for a moment whether the target's copy ends by itself.
func (w *watch) targetEnds(ctx context.Context, within time.Duration) (model.DomainStatus, error) {
	end := time.NewTimer(within)
	defer end.Stop()
	tick := time.NewTicker(targetEndsPoll)
	defer tick.Stop()
	for {
		st, err := w.job.Target.Status(ctx)
		if err != nil || !st.Live() {
			return st, err
		}
		select {
		case <-tick.C:
		case <-end.C:
			return st, nil
		case <-ctx.Done():
			return st, nil
		}
	}
}

func (w *watch) silentTarget(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	_, err := w.job.Target.Status(ctx)
	return err != nil
}

func (w *watch) finish(err error) {
	if err == nil && w.job.startMemory() {
		w.job.phase(model.PhaseDisks, model.PhaseOK, doneDisks(w.last))
	}
}
