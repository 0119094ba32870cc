package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// errUnknown says that the target was told to run and nobody knows whether it
// does. The source stays paused.
var errUnknown = errors.New("the target was told to take over and does not answer")

// commit lets the target run. The intent is durable before the call; from then
// on the source is resumed only on proof that the target never ran.
func (j *Job) commit(ctx context.Context) error {
	if err := j.pointOfNoReturn(); err != nil {
		return err
	}
	if err := j.Journal.Commit(); err != nil {
		return err
	}
	var err error
	if j.wasPaused() {
		// The guest stays as its user left it; either copy is equally good
		// until the source is let go.
		j.downtime = 0
	} else {
		err = j.resumeTarget(ctx)
	}
	if err != nil {
		j.phase(model.PhaseSwitch, model.PhaseFailed, err.Error())
		return err
	}
	if !j.wasPaused() && !j.performed.IsZero() {
		j.downtime = j.pause + j.Now().Sub(j.performed)
	}
	return j.Journal.Append(journal.Record{Kind: journal.Committed})
}

func (j *Job) wasPaused() bool { return j.plan.Was.State == model.StatePaused }

// resumeTarget resumes the target until it is seen running. A refusal that is
// followed by the sight of a paused target may be undone; silence may not.
func (j *Job) resumeTarget(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	for try := 1; ; try++ {
		callCtx, cancel := context.WithTimeout(ctx, resumeTimeout)
		err := j.Target.Resume(callCtx)
		cancel()
		if err == nil {
			return nil
		}
		st, known := j.askTarget(ctx)
		switch {
		case !known:
			return fmt.Errorf("%w: %w", errUnknown, err)
		case st.State == model.StateRunning:
			return nil
		case st.State == model.StatePaused && try < 3:
			j.log("warn", j.plan.To, "did not resume the VM: %v; trying again", err)
		case st.State == model.StatePaused && !unknownOutcome(err):
			return &refused{err: fmt.Errorf("%s refused to run the VM: %w", j.plan.To, err), proof: "resume was refused 3 times and the target was seen " + st.String()}
		default:
			return fmt.Errorf("%w: it says %s: %w", errUnknown, st, err)
		}
	}
}

// refused is a resume that was answered with no, and the proof that the target
// never ran.
type refused struct {
	err   error
	proof string
}

func (r *refused) Error() string { return r.err.Error() }
func (r *refused) Unwrap() error { return r.err }

// askTarget asks until the target answers or patience ends.
func (j *Job) askTarget(ctx context.Context) (model.DomainStatus, bool) {
	ctx, cancel := context.WithTimeout(ctx, commitPatience)
	defer cancel()
	return j.ask(ctx, j.Target)
}

func (j *Job) ask(ctx context.Context, h Host) (model.DomainStatus, bool) {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		callCtx, cancel := context.WithTimeout(ctx, lookTimeout)
		st, err := h.Status(callCtx)
		cancel()
		if err == nil && st.State != model.StateUnreachable {
			return st, true
		}
		if st.Err == "" && err != nil {
			st.Err = err.Error()
		}
		st.State = model.StateUnreachable
		select {
		case <-ctx.Done():
			return st, false
		case <-tick.C:
		}
	}
}

// complete lets go of the source's process, makes it a tombstone, and checks
// the guest on the target. The VM is on the target whatever happens here.
func (j *Job) complete(ctx context.Context) model.Result {
	ctx = context.WithoutCancel(ctx)
	j.phase(model.PhaseSwitch, model.PhaseActive, "")
	owed := j.letGo(ctx)
	if owed == nil {
		owed = j.fence(ctx)
	}
	detail := fmt.Sprintf("%s has the VM", j.plan.To)
	if j.downtime > 0 {
		detail += fmt.Sprintf("; the guest stood still for %d ms", j.downtime.Milliseconds())
	}
	j.phase(model.PhaseSwitch, model.PhaseOK, detail)

	j.phase(model.PhaseVerify, model.PhaseActive, "")
	checks := j.Health(ctx, model.StageAfter, j.Journal.View().Baseline, j.check)
	bad := firstFailed(checks)
	if bad == nil {
		j.phase(model.PhaseVerify, model.PhaseOK, tally(checks))
	} else {
		j.phase(model.PhaseVerify, model.PhaseFailed, tally(checks))
	}
	return j.conclude(bad, owed)
}

func firstFailed(cs []model.CheckResult) *model.CheckResult {
	for i := range cs {
		if cs[i].Verdict == model.Fail {
			return &cs[i]
		}
	}
	return nil
}

func (j *Job) conclude(bad *model.CheckResult, owed error) model.Result {
	id := j.Journal.View().Job
	r := model.Result{
		Outcome: model.OutcomeDone, Owner: j.plan.To, Downtime: j.downtime, Duration: j.Now().Sub(j.started),
		Next: fmt.Sprintf("horcrux confirm %s lets go of what is left on %s; horcrux rollback %s sends the VM back", id, j.plan.From, id),
	}
	if n := len(j.plan.Copies()); n > 0 {
		r.Proof = fmt.Sprintf("libvirt completed the mirror of %d disk(s) with the guest paused; sizes compared at the gate", n)
	} else {
		r.Proof = "the disks are shared; nothing was copied"
	}
	if bad != nil {
		r.Outcome = model.OutcomeDegraded
		r.Reason = fmt.Sprintf("check %q failed on %s: %s", bad.Title, j.plan.To, bad.Evidence)
	}
	if owed != nil {
		r.Outcome = model.OutcomePerson
		r.Reason = fmt.Sprintf("the VM has moved to %s, but %s could not be cleaned up: %v", j.plan.To, j.plan.From, owed)
		r.Next = fmt.Sprintf("bring %s back, do not start the VM there, then run: horcrux recover", j.plan.From)
	}
	return r
}
