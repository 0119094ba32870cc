package migrate

import (
	"context"
	"errors"
	"fmt"

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
	if !v.AwaitsConfirm() {
		return fmt.Errorf("cannot confirm job %s: it has no leftovers to let go of", v.Job)
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	j.phase(model.PhaseConfirm, model.PhaseActive, "letting go of the source's leftovers")
	err := j.discard(ctx)
	if err != nil {
		j.phase(model.PhaseConfirm, model.PhaseFailed, err.Error())
		return err
	}
	j.phase(model.PhaseConfirm, model.PhaseOK, fmt.Sprintf("nothing of the VM is left on %s", j.plan.From))
	return nil
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
		if err := j.Source.DeleteVolume(ctx, r.To); err != nil {
			return fmt.Errorf("cannot delete %s on %s: %w", r.To, r.Node, err)
		}
	}
	return j.Journal.Append(journal.Record{Kind: journal.Confirmed})
}

// Recover settles what a process that is gone has left behind: it looks at both
// hosts and does what the decision table says. libvirt has dropped by then what
// was tied to the lost process.
func (j *Job) Recover(ctx context.Context) model.Result {
	v := j.Journal.View()
	if len(v.Debts) > 0 && v.RolledBack {
		return j.payDebts(ctx)
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
	j.log("info", j.plan.From, "the VM is %s", src)
	j.log("info", j.plan.To, "the VM is %s", dst)
	return j.act(ctx, rollback.Decide(v, src, dst), errors.New("the process that moved the VM ended before the move did"), "")
}

func (j *Job) payDebts(ctx context.Context) model.Result {
	v := j.Journal.View()
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
