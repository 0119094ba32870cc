package migrate

import (
	"context"
	"errors"
	"fmt"

	"al.essio.dev/pkg/shellescape"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
	"horcrux/rollback"
)

// settle brings a move that cannot go on to an end: it looks at both hosts,
// asks the decision table, and does what that says.
func (j *Job) settle(ctx context.Context, cause error) model.Result {
	ctx = context.WithoutCancel(ctx)
	var no *refused
	proof := ""
	if errors.As(cause, &no) {
		proof = no.proof
	}
	if errors.Is(cause, errUnknown) {
		return j.person(rollback.Decision{Owner: rollback.Target, Why: cause.Error()}, cause)
	}
	if proof == "" && j.Journal.View().Epoch == journal.AfterCommit {
		return j.complete(ctx)
	}
	src, dst := j.lookBoth(ctx)
	v := j.Journal.View()
	if proof != "" {
		v.Epoch = journal.BeforeCommit
	}
	return j.act(ctx, rollback.Decide(v, src, dst), cause, proof)
}

func (j *Job) lookBoth(ctx context.Context) (src, dst model.DomainStatus) {
	ctx, cancel := context.WithTimeout(ctx, unreachablePatience)
	defer cancel()
	got := make(chan model.DomainStatus, 1)
	go func() {
		// The target's silence must not keep the source paused for long.
		ctx, cancel := context.WithTimeout(ctx, lookTimeout)
		defer cancel()
		st, _ := j.ask(ctx, j.Target)
		got <- st
	}()
	src, _ = j.ask(ctx, j.Source)
	return src, <-got
}

// act carries out a decision.
func (j *Job) act(ctx context.Context, d rollback.Decision, cause error, proof string) model.Result {
	for _, side := range d.Suspend {
		j.noteRan(side)
		j.suspend(ctx, side)
	}
	if proof == "" {
		proof = d.Proof
	}
	switch d.Action {
	case rollback.ActUndo:
		return j.undo(ctx, cause, proof)
	case rollback.ActForward:
		return j.forward(ctx, d, cause)
	case rollback.ActResume:
		return j.concludePostCopy(ctx)
	case rollback.ActWait:
		if v := j.Journal.View(); v.PostCopy && v.Epoch == journal.CommitUnknown {
			return j.concludePostCopy(ctx)
		}
	case rollback.ActComplete:
		if j.Journal.View().Epoch != journal.AfterCommit {
			if err := j.Journal.Append(journal.Record{Kind: journal.Committed, Note: d.Why}); err != nil {
				return j.person(d, err)
			}
		}
		return j.complete(ctx)
	}
	return j.person(d, cause)
}

// noteRan makes durable that a copy ran which this move never told to, before it
// is suspended: afterwards nobody could see it any more.
func (j *Job) noteRan(side rollback.Side) {
	v, node := j.Journal.View(), j.plan.From
	seen := v.SourceRan
	if side == rollback.Target {
		node, seen = j.plan.To, v.TargetRan
	}
	if seen {
		return
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.Ran, Keep: node}); err != nil {
		j.log("error", node, "that its copy ran could not be written down: %v", err)
	}
}

func (j *Job) suspend(ctx context.Context, side rollback.Side) {
	h, name := j.Source, j.plan.From
	if side == rollback.Target {
		h, name = j.Target, j.plan.To
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := h.Suspend(ctx); err != nil {
		j.log("error", name, "cannot suspend the VM: %v", err)
		return
	}
	j.log("error", name, "the VM is suspended: two copies must not run")
}

// forward lets the target run when it alone has the guest's state.
func (j *Job) forward(ctx context.Context, d rollback.Decision, cause error) model.Result {
	j.log("warn", j.plan.To, "takes over: %s", d.Why)
	if j.Journal.View().Epoch == journal.BeforeCommit {
		if !j.Journal.View().Gated {
			if j.dst == nil {
				return j.person(d, fmt.Errorf("%w; and the connection that could finish on %s is gone", cause, j.plan.To))
			}
			callCtx, cancel := context.WithTimeout(ctx, actTimeout)
			_, err := j.dst.MigrateFinish(callCtx, j.params, j.lastCookie, j.finishFlags(), false)
			cancel()
			if err != nil {
				return j.person(d, fmt.Errorf("%w; and %s could not finish: %w", cause, j.plan.To, err))
			}
		}
		if err := j.Journal.Commit(); err != nil {
			return j.person(d, err)
		}
	}
	if !j.stays() {
		if err := j.resumeTarget(ctx); err != nil {
			return j.person(d, err)
		}
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.Committed, Note: d.Why}); err != nil {
		return j.person(d, err)
	}
	return j.complete(ctx)
}

// undo gives the VM back to the source.
func (j *Job) undo(ctx context.Context, cause error, proof string) model.Result {
	j.phase(model.PhaseUndo, model.PhaseActive, cause.Error())
	var rights []model.Rights
	if v := j.Journal.View(); v.Adopted && !v.Rollback {
		rights = j.rights(ctx, j.Source) // what the lost journal knew of them
	}
	if err := j.Journal.Rollback(cause.Error(), proof, rights...); err != nil {
		return j.person(rollback.Decision{Owner: rollback.Source, Why: err.Error()}, cause)
	}
	j.dropCopy(ctx)
	if j.Relay != nil {
		j.Relay.Close()
	}
	out := rollback.Undo(ctx, rollback.Env{
		View: j.Journal.View(), Source: j.Source, Target: j.Target, Report: j.step,
		Patience: j.Patience, EndTarget: j.endTarget, EndSource: j.endSource, Empty: j.emptier(),
	})
	if j.Journal.View().Adopted {
		if err := j.dropSnapshots(ctx); err != nil {
			j.log("warn", j.plan.To, "%v", err)
		}
	}
	for _, debt := range out.Debts {
		if err := j.Journal.Append(journal.Record{Kind: journal.Owed, Debt: &debt}); err != nil {
			out.Err = errors.Join(out.Err, err)
		}
	}
	if out.Err != nil {
		j.phase(model.PhaseUndo, model.PhaseFailed, out.Err.Error())
		return j.person(rollback.Decision{Owner: rollback.Source, Why: "the move was taken back, but not all of it: " + out.Err.Error()}, cause)
	}
	if len(out.Debts) == 0 {
		j.dropRelay(ctx, j.Source) // the target's were among the steps
	} else if dir := j.Journal.View().Relay; dir != "" {
		_ = j.Source.DropSockets(ctx, dir)
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.RolledBack}); err != nil {
		return j.person(rollback.Decision{Owner: rollback.Source, Why: err.Error()}, cause)
	}
	died := j.died(ctx)
	if died == "" {
		j.phase(model.PhaseUndo, model.PhaseOK, string(j.plan.From)+" has the VM as before")
	} else {
		j.phase(model.PhaseUndo, model.PhaseOK, string(j.plan.From)+" has the VM, which is off")
	}
	r := model.Result{
		Outcome: model.OutcomeUndone, Owner: j.plan.From, Reason: j.reason(cause), Duration: j.Now().Sub(j.started),
		Next: "mend the cause, then move it again",
	}
	if errors.Is(cause, ErrAborted) {
		r.Next = "nothing of the move is left; it can be started again at any time"
	}
	if late := j.wentLate(ctx, out.Started); late != "" {
		r.Next = late
	}
	if left := j.unproved(ctx); left != "" {
		r.Next = left
	}
	if len(out.Debts) > 0 {
		r.Next = fmt.Sprintf("once %s answers again, run: horcrux recover", j.plan.To)
	}
	if died != "" {
		r.Reason += "; " + died
		r.Next = fmt.Sprintf("its disks are on %s as the guest left them: look why it ended, and start it there: virsh start %s; %s",
			j.plan.From, shellescape.Quote(j.plan.VMName), r.Next)
	}
	return r
}

// wentLate tells of a guest that was asked to shut down and did not in its time:
// it cannot be asked to stay, so it may go down yet, or has and was started again.
func (j *Job) wentLate(ctx context.Context, again bool) string {
	if v := j.Journal.View(); !v.Stopping || v.Stopped || j.plan.Was.State != model.StateRunning {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if st, err := j.Source.Status(ctx); err != nil || !st.Live() {
		return ""
	}
	const more = "a longer --shutdown-timeout gives it the time it takes, --force-off ends it after that"
	if again {
		return fmt.Sprintf("the guest did shut down after its time, and was started again on %s; %s", j.plan.From, more)
	}
	return fmt.Sprintf("the guest was asked to shut down and may still do so: look at it on %s, and if it is off start it there: virsh start %s; %s",
		j.plan.From, shellescape.Quote(j.plan.VMName), more)
}

// died tells of a guest that was live before the move and is not after it was
// taken back: it is not started unasked.
func (j *Job) died(ctx context.Context) string {
	if was := j.plan.Was.State; was != model.StateRunning && was != model.StatePaused {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	st, err := j.Source.Status(ctx)
	if err != nil || st.State != model.StateShutoff && st.State != model.StateCrashed {
		return ""
	}
	return fmt.Sprintf("the VM runs nowhere: its guest ended on %s during the move, which libvirt calls %s", j.plan.From, st)
}

// dropCopy ends what a copy of files still has on the nodes, a lock on the
// source's disks above all. What cannot be removed now is journalled and goes
// with the steps.
func (j *Job) dropCopy(ctx context.Context) {
	if j.Copier == nil || !j.Journal.View().Copying {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	j.Copier.Release()
	if err := j.Copier.Discard(ctx); err != nil {
		j.log("warn", j.plan.To, "what the copy left is not all gone: %v", err)
	}
}

// emptier is how an undo clears devices: nil unless this process made the target
// receive, and so saw them empty just before.
func (j *Job) emptier() func(context.Context, string) error {
	if j.dst == nil {
		return nil
	}
	return j.Target.EmptyDevice
}

// endTarget tells the target to drop what came in. The answer that it did is
// an error by libvirt's protocol.
func (j *Job) endTarget(ctx context.Context) error {
	if j.dst == nil {
		return nil
	}
	defer func() { _ = j.dst.Close(); j.dst = nil }()
	v := j.Journal.View()
	if !v.Performing || v.Gated {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	_, err := j.dst.MigrateFinish(ctx, j.params, nil, j.flags, true)
	if virt.IsCode(err, virt.CodeMigrateFinishOK) || virt.IsNoDomain(err) {
		return nil
	}
	if _, answered := virt.Code(err); answered {
		j.targetSays = err
	}
	return err
}

// reason is the cause of an undone move, with what the target's libvirt kept of the
// end of its QEMU: the source knows only that its own copy broke off.
func (j *Job) reason(cause error) string {
	var said *virt.Error
	if errors.Is(cause, ErrAborted) || !errors.As(j.targetSays, &said) || said.Err == nil {
		return cause.Error()
	}
	return fmt.Sprintf("%v; %s says: %s", cause, j.plan.To, virt.Clean(said.Err.Error()))
}

// endSource tells the source that the move is off. A Perform that failed has
// ended the source's job already, and must not be confirmed.
func (j *Job) endSource(ctx context.Context) error {
	if j.src == nil {
		return nil
	}
	defer func() { _ = j.src.Close(); j.src = nil }()
	v := j.Journal.View()
	if !v.Begun || (v.Performing && !v.Performed) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	return j.src.MigrateConfirm(ctx, j.plan.VM, j.params, nil, j.flags, true)
}

// person ends with what only a person can decide, and says everything that is
// known.
func (j *Job) person(d rollback.Decision, cause error) model.Result {
	owner := j.plan.From
	switch d.Owner {
	case rollback.Target:
		owner = j.plan.To
	case rollback.Nowhere:
		owner = ""
	}
	reason := d.Why
	if cause != nil && cause.Error() != d.Why {
		reason += "; the cause was: " + cause.Error()
	}
	return model.Result{
		Outcome: model.OutcomePerson, Owner: owner, Reason: reason, Duration: j.Now().Sub(j.started),
		Next: fmt.Sprintf("start the VM nowhere by hand; see to it that %s and %s answer, then run: horcrux recover", j.plan.From, j.plan.To),
	}
}
