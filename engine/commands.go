package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/jobs"
	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/survey"
	"horcrux/engine/worker"
	"horcrux/rollback"
)

// Do passes a wish to a job.
func (e *Engine) Do(ctx context.Context, id model.JobID, c model.Command) error {
	c.By = Who(e.opt.Env)
	switch c.Kind {
	case model.CommandAbort, model.CommandTune:
		what := e.onJob(string(c.Kind), id)
		what.Detail = wishes(c)
		return e.Act(what, func() error {
			err := e.store.Send(ctx, id, c)
			if errors.Is(err, jobs.ErrNoProcess) {
				return e.cannot(string(c.Kind), id)
			}
			return err
		})
	case model.CommandConfirm:
		return e.Confirm(ctx, id)
	case model.CommandRollback:
		_, err := e.Rollback(ctx, id)
		return err
	case model.CommandRestore:
		return e.Restore(ctx, id)
	case model.CommandKeep:
		return e.Keep(ctx, id, c.Keep)
	case model.CommandRecover:
		return e.settle(ctx, id)
	}
	return fmt.Errorf("cannot do %q to a job", c.Kind)
}

// cannot says why a wish cannot be granted to a job without a process.
func (e *Engine) cannot(what string, id model.JobID) error {
	j, err := e.job(id)
	if err != nil {
		return err
	}
	switch {
	case j.State == model.JobAwaiting:
		return fmt.Errorf("cannot %s job %s: %s has moved to %s already; confirm %s or roll it back", what, id, j.VMName, j.To, id)
	case j.State.Ended():
		return fmt.Errorf("cannot %s job %s: it has ended: %s", what, id, j.State)
	}
	return fmt.Errorf("cannot %s job %s: its process is gone: run horcrux recover", what, id)
}

// Confirm lets go of what a finished move left on its source.
func (e *Engine) Confirm(ctx context.Context, id model.JobID) error {
	what := e.onJob("confirm", id)
	what.Outcome = "begun"
	return e.Act(what, func() error { return e.confirm(ctx, id) })
}

func (e *Engine) confirm(ctx context.Context, id model.JobID) error {
	if e.store.Alive(id) {
		return e.store.Send(ctx, id, model.Command{Kind: model.CommandConfirm})
	}
	v, err := journal.Read(e.store.Dir(id))
	if err != nil {
		return err
	}
	if !v.AwaitsConfirm() && !v.Abandons() {
		return e.cannot("confirm", id)
	}
	return worker.Spawn(ctx, e.opt.Worker, e.store, e.order(worker.Confirm, id))
}

// Rollback takes a move back: before the switch by undoing it, after it by
// moving the VM home again while it runs. It returns the job to watch, which in
// the second case is a new one.
func (e *Engine) Rollback(ctx context.Context, id model.JobID) (by model.JobID, err error) {
	what := e.onJob("rollback", id)
	what.Outcome = "begun"
	err = e.Act(what, func() error {
		by, err = e.rollback(ctx, id)
		return err
	})
	return by, err
}

func (e *Engine) rollback(ctx context.Context, id model.JobID) (model.JobID, error) {
	if e.store.Alive(id) {
		return id, e.store.Send(ctx, id, model.Command{Kind: model.CommandRollback})
	}
	v, err := journal.Read(e.store.Dir(id))
	if err != nil {
		return "", err
	}
	if !v.AwaitsConfirm() && !v.Confirmed && v.SentBack == "" && !v.KeepsSource() {
		return "", e.cannot("roll back", id)
	}
	lookCtx, cancel := context.WithTimeout(ctx, lossWithin)
	mode, err := rollback.CanSendBack(v, e.statusOn(lookCtx, v.Plan.To, v.Plan.VM))
	cancel()
	if err != nil {
		return "", fmt.Errorf("cannot roll back job %s: %w", id, err)
	}
	r := v.Plan.Request
	r.From, r.To, r.Mode = r.To, r.From, mode
	r.Options.AutoConfirm = true
	p, err := e.planBack(ctx, r, id)
	if err == nil && p.Blocking() != nil && v.Plan.Mode != mode && v.Plan.Mode == model.ModeOffline {
		// What could not come over while it ran may not go back so either.
		r.Mode = model.ModeOffline
		p, err = e.planBack(ctx, r, id)
	}
	if err != nil {
		return "", err
	}
	return e.start(ctx, p, id)
}

// Settled is what recovery made of one job.
type Settled struct {
	Job    model.Job
	Events []event.Event
	Result *model.Result
	Err    error
}

// Recover settles every job whose process is gone before its end, one after
// another, and reports each event and then each job as it is settled. Jobs that
// wait for a confirm are left alone: nothing is wrong with them. Then it looks
// at the hosts for moves that no journal here knows; orphans says that the
// consoles of those that are not ours are gone for good.
func (e *Engine) Recover(ctx context.Context, orphans bool, watch func(event.Event), report func(Settled)) error {
	js, err := e.Jobs(ctx)
	if err != nil {
		return err
	}
	for _, j := range js {
		if !e.needsRecovery(j) && !e.revived(j) {
			continue
		}
		s := Settled{Job: j}
		s.Result, s.Err = e.recoverOne(ctx, j.ID, watch)
		report(s)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return e.recoverOrphans(ctx, orphans, watch, report)
}

// revived tells of a move that waits for its confirm that its source was seen
// live: somebody has made what is left there startable, and started it.
func (e *Engine) revived(j model.Job) bool {
	if j.State != model.JobAwaiting || e.store.Alive(j.ID) {
		return false
	}
	for _, v := range e.inv.Snapshot().VMs {
		if v.UUID == j.VM && v.Node == j.From && (model.DomainStatus{State: v.State}).Live() {
			return true
		}
	}
	return false
}

func (e *Engine) needsRecovery(j model.Job) bool {
	if e.store.Alive(j.ID) {
		return false
	}
	if j.State == model.JobInterrupted || j.State == model.JobPerson {
		return true
	}
	v, err := journal.Read(e.store.Dir(j.ID))
	return err == nil && (len(v.Debts) > 0 || v.KeepsSource() && !v.Restored)
}

// settle begins the recovery of one job and returns once its process has the
// journal open.
func (e *Engine) settle(ctx context.Context, id model.JobID) error {
	what := e.onJob("recover", id)
	what.Outcome = "begun"
	return e.Act(what, func() error {
		j, err := e.job(id)
		if err != nil {
			return err
		}
		if !e.needsRecovery(j) {
			return fmt.Errorf("cannot recover job %s: it is %s, and nothing of it is left to settle", id, j.State)
		}
		return worker.Spawn(ctx, e.opt.Worker, e.store, e.order(worker.Recover, id))
	})
}

func (e *Engine) recoverOne(ctx context.Context, id model.JobID, watch func(event.Event)) (*model.Result, error) {
	before, err := e.job(id)
	if err != nil {
		return nil, err
	}
	last := e.Last(id)
	if err := worker.Spawn(ctx, e.opt.Worker, e.store, e.order(worker.Recover, id)); err != nil {
		return nil, err
	}
	ch, err := e.FollowFrom(ctx, id, last)
	if err != nil {
		return nil, err
	}
	var res *model.Result
	for ev := range ch {
		watch(ev)
		if ev.Type == event.TypeResult {
			res = ev.Result
		}
	}
	if res == nil {
		return nil, fmt.Errorf("the recovery of job %s (%s) ended without a result; see %s in its folder", id, before.VMName, jobs.LogFile)
	}
	return res, nil
}

// Knows tells whether this console has the journal of a job.
func (e *Engine) Knows(id model.JobID) bool { return e.store.Has(id) }

// Last is the number of the last event of a job, zero for none.
func (e *Engine) Last(id model.JobID) uint64 { return e.store.Last(id) }

// FollowFrom is Follow without what was said up to event number after.
func (e *Engine) FollowFrom(ctx context.Context, id model.JobID, after uint64) (<-chan event.Event, error) {
	all, err := e.store.Follow(ctx, id)
	if err != nil {
		return nil, err
	}
	out := make(chan event.Event)
	go func() {
		defer close(out)
		for ev := range all {
			if ev.Seq <= after {
				continue
			}
			select {
			case out <- ev:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// planBack makes the plan of the move home, which may find there what the
// first move left.
func (e *Engine) planBack(ctx context.Context, r model.Request, back model.JobID) (model.Plan, error) {
	return survey.Plan(ctx, e.fleet, survey.Local{Store: e.store, SendsBack: back}, r, time.Now)
}
