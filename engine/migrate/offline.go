package migrate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// offlineStages is the way of a VM that is off, or is shut down for the move.
// Each stage may be entered again after a crash.
func (j *Job) offlineStages() []stage {
	return []stage{
		{phase: model.PhasePreflight, run: j.baseline, done: func(v journal.View) bool { return v.Marked }},
		{phase: model.PhasePrepare, run: j.offlinePrepare},
		{phase: model.PhaseStop, run: j.stopGuest},
		{phase: model.PhaseDisks, run: j.offlineCopy, done: func(v journal.View) bool { return v.Copied > 0 }},
		{phase: model.PhaseGate, run: j.offlineGate},
	}
}

// offlinePrepare looks once more before the guest is disturbed.
func (j *Job) offlinePrepare(ctx context.Context) (string, error) {
	if j.Copier == nil {
		return "", errNoCopier
	}
	v := j.Journal.View()
	if !v.Stopping && !v.Copying {
		if err := j.lookBeforePrepare(ctx); err != nil {
			return "", err
		}
		if err := j.compareMedia(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d file(s) to bring over", len(j.plan.Files)), nil
}

func (j *Job) offlineCopy(ctx context.Context) (string, error) {
	return j.copyFiles(ctx, 0, model.PhaseDisks, j.plan.Files)
}

// stopGuest shuts the guest down, by its agent, then by ACPI, and only if that
// was allowed by force. Each way is given its time, and only the host's word
// that the VM is off counts.
func (j *Job) stopGuest(ctx context.Context) (string, error) {
	if j.plan.Was.State != model.StateRunning {
		return "it is off already", nil
	}
	v := j.Journal.View()
	if v.Stopped {
		return "shut down", nil
	}
	if !v.Stopping {
		if err := j.Journal.Append(journal.Record{Kind: journal.Stopping}); err != nil {
			return "", err
		}
	}
	how, err := j.shutDown(ctx)
	if err != nil {
		return "", err
	}
	j.off = j.Now()
	return how, j.Journal.Append(journal.Record{Kind: journal.Stopped, Note: how})
}

const (
	// shutdownEvery is how often the host is asked whether the guest is off.
	shutdownEvery = 300 * time.Millisecond
	// afterAbort is how long a guest that was asked to shut down is waited for
	// when the move is called off, so that it is not left going down unseen.
	afterAbort = 30 * time.Second
)

func (j *Job) shutDown(ctx context.Context) (string, error) {
	began := j.Now()
	limit := j.plan.Options.ShutdownTimeout
	if limit <= 0 {
		limit = time.Minute
	}
	var refused []error
	for _, way := range j.shutdownWays() {
		j.log("info", j.plan.From, "asking the guest by %s to shut down, for at most %s", way, limit)
		asked := j.Now()
		callCtx, cancel := context.WithTimeout(ctx, min(limit, lookTimeout))
		err := j.Source.ShutdownBy(callCtx, way)
		cancel()
		if err != nil {
			refused = append(refused, fmt.Errorf("by %s: %w", way, err))
			j.log("warn", j.plan.From, "cannot ask the guest by %s: %v", way, err)
			// A lost answer may be of a request that arrived.
			if !unknownOutcome(err) {
				continue
			}
		}
		switch off, err := j.awaitOff(ctx, max(0, limit-j.Now().Sub(asked))); {
		case err != nil:
			return "", err
		case off:
			return fmt.Sprintf("shut down by %s in %s", way, j.Now().Sub(began).Round(100*time.Millisecond)), nil
		}
		refused = append(refused, fmt.Errorf("by %s: still running after %s", way, limit))
	}
	if !j.plan.Options.ForceOff {
		return "", fmt.Errorf("the guest on %s did not shut down (%w), and to force it off was not allowed", j.plan.From, errors.Join(refused...))
	}
	j.log("warn", j.plan.From, "the guest did not shut down; forcing it off, as was allowed")
	callCtx, cancel := context.WithTimeout(ctx, actTimeout)
	err := j.Source.Destroy(callCtx)
	cancel()
	if off, lookErr := j.awaitOff(ctx, actTimeout); lookErr != nil || !off {
		return "", fmt.Errorf("cannot force the VM off on %s: %w", j.plan.From, errors.Join(err, lookErr))
	}
	return "forced off, since it did not shut down", nil
}

// shutdownWays leaves the agent out if it did not answer before the move.
func (j *Job) shutdownWays() []virt.ShutdownWay {
	for _, c := range j.Journal.View().Baseline {
		if c.Check == model.CheckAgent && c.Verdict == model.Pass {
			return []virt.ShutdownWay{virt.ShutdownAgent, virt.ShutdownACPI}
		}
	}
	return []virt.ShutdownWay{virt.ShutdownACPI}
}

// awaitOff waits until the VM is off. Once the guest was asked, an abort gives
// it a moment to go down: it is started again then.
func (j *Job) awaitOff(ctx context.Context, limit time.Duration) (bool, error) {
	tick := time.NewTicker(shutdownEvery)
	defer tick.Stop()
	until := j.Now().Add(limit)
	var called error
	for {
		callCtx, cancel := context.WithTimeout(ctx, lookTimeout)
		st, err := j.Source.Status(callCtx)
		cancel()
		if err == nil && (st.State == model.StateShutoff || st.State == model.StateCrashed || st.State == model.StateMissing) {
			return true, called
		}
		if called == nil {
			if called = j.abortAsked(); called != nil {
				until = j.Now().Add(min(limit, afterAbort))
			}
		}
		if j.Now().After(until) {
			return false, errors.Join(called, err)
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-tick.C:
		}
	}
}

// offlineGate makes the source unable to start, and the target ready: defined,
// with a process whose guest has not run yet if the VM ran before. Until the
// switch all of it can be undone.
func (j *Job) offlineGate(ctx context.Context) (string, error) {
	began := j.Now()
	ctx, cancel := context.WithTimeout(ctx, 2*prepareTimeout)
	defer cancel()
	if err := j.publish(ctx, 0, j.plan.Files); err != nil {
		return "", err
	}
	return j.hand(ctx, began)
}

// hand does what offline and a block move with a stop have in common, once the
// files have their names on the target.
func (j *Job) hand(ctx context.Context, began time.Time) (string, error) {
	if err := j.fenceSource(ctx); err != nil {
		return "", err
	}
	j.Copier.Release()
	if err := j.register(ctx); err != nil {
		return "", err
	}
	if j.stays() {
		if err := j.Journal.Append(journal.Record{Kind: journal.Gated}); err != nil {
			return "", err
		}
		return fmt.Sprintf("defined on %s, off as before", j.plan.To), nil
	}
	if err := j.Target.StartPaused(ctx); err != nil {
		st, lookErr := j.Target.Status(ctx)
		if lookErr != nil || st.State != model.StatePaused {
			return "", fmt.Errorf("%s cannot start the VM: %w", j.plan.To, err)
		}
	}
	return j.gateChecks(ctx, began)
}

// register defines the VM on the target as it is defined on the source.
func (j *Job) register(ctx context.Context) error {
	if !j.Journal.View().Registering {
		if err := j.Journal.Append(journal.Record{Kind: journal.Registering}); err != nil {
			return err
		}
	}
	// A plan of an earlier version of this program has the one only.
	if err := j.Target.Define(ctx, cmp.Or(j.plan.TargetXML, j.plan.InactiveXML)); err != nil {
		return fmt.Errorf("cannot define the VM on %s: %w", j.plan.To, err)
	}
	if err := j.Target.Mark(ctx, j.mark(model.RoleMoving)); err != nil {
		return fmt.Errorf("cannot mark the VM on %s: %w", j.plan.To, err)
	}
	st, err := j.Target.Status(ctx)
	if err != nil {
		return fmt.Errorf("cannot look at the VM on %s: %w", j.plan.To, err)
	}
	if st.State == model.StateMissing || !st.Persistent {
		return fmt.Errorf("%s does not know the VM after defining it: %s", j.plan.To, st)
	}
	return nil
}

// stays tells that the VM does not run after the move, since it did not before:
// off, or paused by its user.
func (j *Job) stays() bool { return j.wasPaused() || j.wasOff() }

func (j *Job) wasOff() bool {
	return j.plan.Was.State == model.StateShutoff || j.plan.Was.State == model.StateCrashed
}
