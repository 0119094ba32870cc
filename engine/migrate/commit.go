package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
	// A post-copy that was wished for and did not come about has committed
	// already; the target has not run yet all the same.
	if j.Journal.View().Epoch == journal.BeforeCommit {
		if err := j.Journal.Commit(); err != nil {
			return err
		}
	}
	var err error
	if j.stays() {
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
	if !j.stays() {
		j.downtime = j.stoodStill()
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
	// The guest is looked at while the source is cleared: it is what matters.
	var after *checks
	if j.movesMemory() {
		after = j.startChecks(ctx, model.StageAfter)
	}
	owed := j.letGo(ctx)
	if owed == nil {
		j.keepRights(ctx)
		owed = j.fence(ctx)
	}
	detail := fmt.Sprintf("%s has the VM", j.plan.To)
	switch {
	case j.downtime > 0 && !j.movesMemory():
		detail += fmt.Sprintf("; the guest was off for %s", j.downtime.Round(100*time.Millisecond))
	case j.downtime > 0:
		detail += fmt.Sprintf("; the guest stood still for %d ms", j.downtime.Milliseconds())
	}
	j.phase(model.PhaseSwitch, model.PhaseOK, detail)
	j.dropRelay(ctx, j.Source, j.Target)
	if err := j.oneImage(ctx); err != nil && owed == nil {
		owed = err
	}

	if after == nil {
		after = j.startChecks(ctx, model.StageAfter)
	}
	j.phaseAt(model.PhaseVerify, model.PhaseActive, "", after.began)
	checks := after.wait(j.check)
	bad := firstFailed(checks)
	status, detail, ended := model.PhaseOK, tally(checks), after.ended
	if bad != nil {
		status = model.PhaseFailed
	}
	if owed == nil && len(snapshots(j.Journal.View())) > 0 {
		if err := j.compareAfter(ctx, bad == nil); err != nil {
			owed = err
		}
		if v := j.Journal.View(); v.Differs != "" {
			status, detail = model.PhaseFailed, v.Differs
		}
		ended = j.Now()
	}
	j.phaseAt(model.PhaseVerify, status, detail, ended)
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

// proof says which proof of equal disks was made, and by whom.
func (j *Job) proof() string {
	v := j.Journal.View()
	n := len(j.plan.Copies())
	mirrored := n > 0 && !v.Registering
	var parts []string
	if v.Proof != "" {
		parts = append(parts, v.Proof)
	}
	switch {
	case v.Adopted:
		return "no proof of equal disks is known: the journal of the move was lost"
	case mirrored && v.PostCopy:
		parts = append(parts, fmt.Sprintf("libvirt completed the mirror of %d disk(s) with the guest paused; post-copy left no time to compare", n))
	case mirrored && v.Differs != "":
		return "none: " + v.Differs
	case mirrored && len(v.Passes) > 0 && v.Compared != "":
		parts = append(parts, "what was written since: "+v.Compared)
	case mirrored && len(v.Passes) > 0:
		parts = append(parts, fmt.Sprintf("libvirt completed the mirror of what was written since, on %d disk(s), with the guest paused", n))
	case mirrored && v.Compared != "":
		parts = append(parts, v.Compared)
	case mirrored && j.noSnapshot != nil:
		parts = append(parts, fmt.Sprintf("libvirt completed the mirror of %d disk(s) with the guest paused; sizes compared at the gate, and no more: %v", n, j.noSnapshot))
	case mirrored:
		parts = append(parts, fmt.Sprintf("libvirt completed the mirror of %d disk(s) with the guest paused; sizes compared at the gate", n))
	case len(parts) == 0:
		parts = append(parts, "the disks are shared; nothing was copied")
	}
	return strings.Join(parts, "; ")
}

func (j *Job) conclude(bad *model.CheckResult, owed error) model.Result {
	id := j.Journal.View().Job
	r := model.Result{
		Outcome: model.OutcomeDone, Owner: j.plan.To, Downtime: j.downtime, Duration: j.Now().Sub(j.started),
		Next: fmt.Sprintf("horcrux confirm %s lets go of what is left on %s; horcrux rollback %s sends the VM back", id, j.plan.From, id),
	}
	r.Proof = j.proof()
	if bad != nil {
		r.Outcome = model.OutcomeDegraded
		r.Reason = fmt.Sprintf("check %q failed on %s: %s", bad.Title, j.plan.To, bad.Evidence)
	}
	if differs := j.Journal.View().Differs; differs != "" {
		r.Outcome = model.OutcomeDegraded
		r.Reason = fmt.Sprintf("the VM runs on %s, but %s; %s has them as they were at the switch", j.plan.To, differs, j.plan.From)
		r.Next = fmt.Sprintf("do not confirm; look at the guest's file systems; horcrux rollback %s sends the VM back as it is now, horcrux rollback --restore-source %s starts it on %s from the disks of the switch", id, id, j.plan.From)
	}
	if owed != nil {
		r.Outcome = model.OutcomePerson
		r.Reason = fmt.Sprintf("the VM has moved to %s, but %s could not be cleaned up: %v", j.plan.To, j.plan.From, owed)
		r.Next = fmt.Sprintf("bring %s back, do not start the VM there, then run: horcrux recover", j.plan.From)
	}
	return r
}
