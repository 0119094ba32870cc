package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/rollback"
)

// Confirm lets go of the source's leftovers: the tombstone and the files that
// the fence moved aside. It refuses unless the target is seen to have the VM.
func (j *Job) Confirm(ctx context.Context) error {
	v := j.Journal.View()
	if v.Confirmed {
		return nil
	}
	if v.Abandons() {
		ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
		defer cancel()
		return j.dropAbandoned(ctx)
	}
	if !v.AwaitsConfirm() {
		return fmt.Errorf("cannot confirm job %s: it has no leftovers to let go of", v.Job)
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	j.phase(model.PhaseConfirm, model.PhaseActive, "letting go of the source's leftovers")
	j.dropRelay(ctx, j.Source, j.Target)
	err := j.discard(ctx)
	if err != nil {
		j.phase(model.PhaseConfirm, model.PhaseFailed, err.Error())
		return err
	}
	j.phase(model.PhaseConfirm, model.PhaseOK, j.nothingLeft())
	return nil
}

// nothingLeft says what the source still has once all that was ours is gone.
func (j *Job) nothingLeft() string {
	s := fmt.Sprintf("nothing of the VM is left on %s", j.plan.From)
	if devices := j.plan.Devices(); len(devices) > 0 {
		s += " but the bytes on " + strings.Join(devices, " and ")
	}
	return s
}

func (j *Job) discard(ctx context.Context) error {
	v := j.Journal.View()
	dst, err := j.Target.Status(ctx)
	if err != nil {
		return fmt.Errorf("cannot confirm: %s, which has the VM, does not answer: %w", j.plan.To, err)
	}
	if dst.State == model.StateMissing {
		return fmt.Errorf("cannot confirm: %s no longer knows the VM, so what is left on %s may be the last copy", j.plan.To, j.plan.From)
	}
	src, err := j.Source.Status(ctx)
	if err != nil {
		return fmt.Errorf("cannot confirm: %s, which has the leftovers, does not answer: %w", j.plan.From, err)
	}
	if src.Live() {
		return fmt.Errorf("cannot confirm: the VM is %s on %s although it moved to %s: somebody started it there", src, j.plan.From, j.plan.To)
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.ConfirmIntent}); err != nil {
		return err
	}
	if src.State != model.StateMissing {
		if err := j.Source.Undefine(ctx); err != nil {
			return fmt.Errorf("cannot remove the tombstone on %s: %w", j.plan.From, err)
		}
	}
	for _, r := range v.Renames {
		del := j.Source.DeleteVolume
		if r.Tree {
			del = j.Source.DeleteTree
		}
		if err := del(ctx, r.To); err != nil {
			return fmt.Errorf("cannot delete %s on %s: %w", r.To, r.Node, err)
		}
	}
	if err := j.dropSnapshots(ctx); err != nil {
		return err
	}
	if j.plan.Transient && dst.Live() && dst.Persistent {
		// The definition was what proves that the target never ran; the VM had none.
		if err := j.Target.Undefine(ctx); err != nil {
			return fmt.Errorf("cannot make the VM transient on %s, as it was: %w", j.plan.To, err)
		}
	}
	return j.Journal.Append(journal.Record{Kind: journal.Confirmed})
}

// Recover settles what a process that is gone has left behind: it looks at both
// hosts and does what the decision table says. libvirt has dropped by then what
// was tied to the lost process.
func (j *Job) Recover(ctx context.Context) model.Result {
	v := j.Journal.View()
	if v.Confirmed {
		return j.confirmed(v)
	}
	if len(v.Debts) > 0 && v.RolledBack {
		return j.payDebts(ctx)
	}
	if v.Abandons() && v.Confirming {
		return j.afterRestore(ctx)
	}
	if v.Abandons() {
		return j.restore(ctx)
	}
	if v.Keep != "" && (v.KeepsSource() || !v.Fenced) {
		src, dst := j.lookBoth(ctx)
		side := rollback.Source
		if !v.KeepsSource() {
			side = rollback.Target
		}
		if err := rollback.CanKeep(v, src, dst, side); err != nil {
			return j.notKept(err)
		}
		return j.keep(ctx, v.Keep)
	}
	if v.Confirming && !v.Confirmed {
		if err := j.Confirm(ctx); err != nil {
			return j.person(rollback.Decision{Owner: rollback.Target, Why: err.Error()}, nil)
		}
		r := j.conclude(nil, nil)
		r.Confirmed, r.Next = true, ""
		return r
	}
	src, dst := j.lookBoth(ctx)
	if v.Adopted && v.Epoch == journal.BeforeCommit && !v.Rollback && v.Keep == "" && !v.SourceRan && !v.TargetRan {
		return j.settleOrphan(ctx, src, dst)
	}
	j.log("info", j.plan.From, "the VM is %s", src)
	j.log("info", j.plan.To, "the VM is %s", dst)
	if r, gone := j.movedOn(ctx, src, dst); gone {
		return r
	}
	if j.resumable(v, src, dst) {
		j.log("info", j.plan.From, "going on where the lost process ended")
		return j.Run(ctx)
	}
	return j.act(ctx, rollback.Decide(v, src, dst), errors.New("the process that moved the VM ended before the move did"), "")
}

// confirmed is the result of a move that let go of its leftovers and ended before
// it could say so. No host is looked at: the VM may be anywhere by now, and where
// it is has nothing to do with this move any more.
func (j *Job) confirmed(v journal.View) model.Result {
	r := j.conclude(nil, nil)
	r.Confirmed, r.Next = true, ""
	if v.Restored || v.KeepsSource() {
		r.Outcome, r.Owner, r.Reason, r.Proof = model.OutcomeUndone, j.plan.From, "the source was restored", ""
	}
	return r
}

// stillOurs refuses to clean up on a target that has the VM from somewhere else
// by now: what this move left there carries its mark.
func (j *Job) stillOurs(ctx context.Context) error {
	st, err := j.Target.Status(ctx)
	if err != nil {
		return fmt.Errorf("%s, which is owed a clean-up, does not answer: %w", j.plan.To, err)
	}
	if st.State == model.StateMissing {
		return nil
	}
	m, err := j.Target.ReadMark(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the mark of the VM on %s: %w", j.plan.To, err)
	}
	if m.Job != j.Journal.View().Job {
		return fmt.Errorf("%s has the VM as %s, and that is not what this move left there: it came since; look, and remove by hand what is not needed", j.plan.To, st)
	}
	return nil
}

// resumable tells that a move which copies files can go on: nothing was
// decided, both nodes answer, and nobody started the VM where it should not run.
func (j *Job) resumable(v journal.View, src, dst model.DomainStatus) bool {
	if v.Epoch != journal.BeforeCommit || v.Rollback || v.Begun || !v.Copying || j.Copier == nil {
		return false
	}
	if src.State == model.StateUnreachable || dst.State == model.StateUnreachable || dst.Live() {
		return false
	}
	if v.Stopping {
		return !src.Live() && src.State != model.StateMissing
	}
	return src.State == j.plan.Was.State
}

func (j *Job) payDebts(ctx context.Context) model.Result {
	v := j.Journal.View()
	if err := j.stillOurs(ctx); err != nil {
		return j.person(rollback.Decision{Owner: rollback.Source, Why: err.Error()}, nil)
	}
	err := rollback.PayTarget(ctx, rollback.Env{View: v, Source: j.Source, Target: j.Target, Report: j.step})
	if err != nil {
		return j.person(rollback.Decision{Owner: rollback.Source, Why: err.Error()}, nil)
	}
	for _, d := range v.Debts {
		if err := j.Journal.Append(journal.Record{Kind: journal.Paid, Debt: &d}); err != nil {
			return j.person(rollback.Decision{Owner: rollback.Source, Why: err.Error()}, nil)
		}
	}
	return model.Result{
		Outcome: model.OutcomeUndone, Owner: j.plan.From, Duration: j.Now().Sub(j.started),
		Reason: "the move had been undone; what was owed on " + string(j.plan.To) + " is done now",
		Next:   fmt.Sprintf("the VM is on %s as before", j.plan.From),
	}
}
