package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/ends"
	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/migrate"
	"horcrux/engine/model"
)

// move runs a move from its pre-flight to its checks, and lets go of the
// leftovers if that was wished and all checks passed.
func (p *process) move(ctx context.Context) {
	began := time.Now()
	p.phase(model.PhasePreflight, model.PhaseActive, "looking at both nodes")
	src, dst, err := p.ends(ctx, true)
	if err == nil {
		_, err = p.replan(ctx)
	}
	if err != nil {
		p.refuse(ctx, err, time.Since(began))
		return
	}
	job := p.build(src, dst)
	if err := p.begin(job); err != nil {
		p.refuse(ctx, err, time.Since(began))
		return
	}
	r := p.ask(ctx, job, job.Run(ctx))
	if nothingDone(p.journal.View().Last) {
		p.unclaim(ctx)
	}
	r.Duration = time.Since(began)
	if r.Outcome == model.OutcomeDone && p.plan().Options.AutoConfirm {
		r = p.letGo(ctx, r)
	}
	r = p.cameBack(ctx, src, r)
	p.awaitConfirm(r)
	p.end(r)
}

// cameBack closes the move that this one took back, if it is such a one and the
// VM has arrived. What cannot be closed now is closed by the next recover.
func (p *process) cameBack(ctx context.Context, src *ends.End, r model.Result) model.Result {
	p.order.SendsBack = p.journal.View().SendsBack
	if p.order.SendsBack == "" || r.Outcome != model.OutcomeDone && r.Outcome != model.OutcomeDegraded {
		return r
	}
	if err := p.returned(ctx, src, r); err != nil {
		r.Outcome = model.OutcomePerson
		r.Reason = fmt.Sprintf("the VM is on %s again, and job %s, which had taken it away, cannot be closed: %v", p.plan().To, p.order.SendsBack, err)
		r.Next = "mend the cause, then run: horcrux recover"
	}
	return r
}

// notBegun ends a move that left the queue before its turn.
func (p *process) notBegun(ctx context.Context, err error, took time.Duration) {
	p.unclaim(ctx)
	p.phase(model.PhaseQueue, model.PhaseSkipped, err.Error())
	r := model.Result{
		Outcome: model.OutcomeRefused, Owner: p.plan().From, Reason: err.Error(), Duration: took,
		Next: "nothing was changed; the move can be started again at any time",
	}
	if errors.Is(err, migrate.ErrAborted) {
		r.Reason = "aborted by the user while it waited in the queue"
	}
	p.end(r)
}

// nothingDone tells that no record announces anything that could have been
// done to a host.
func nothingDone(last journal.Kind) bool {
	switch last {
	case journal.Planned, journal.Queued, journal.Admitted, journal.Replanned:
		return true
	}
	return false
}

func (p *process) refuse(ctx context.Context, err error, took time.Duration) {
	p.unclaim(ctx)
	p.phase(model.PhasePreflight, model.PhaseFailed, err.Error())
	r := model.Result{
		Outcome: model.OutcomeRefused, Owner: p.plan().From, Reason: err.Error(), Duration: took,
		Next: "nothing was changed; mend what the reason names, then start the move again",
	}
	var no *refusal
	if errors.As(err, &no) && no.Remedy != "" {
		r.Next = "nothing was changed; " + no.Remedy
	}
	p.end(r)
}

// awaitConfirm shows that the move stands between its two commit points.
func (p *process) awaitConfirm(r model.Result) {
	if p.journal.View().AwaitsConfirm() && r.Outcome != model.OutcomePerson {
		p.phase(model.PhaseConfirm, model.PhaseActive, "waits for confirm or rollback")
	}
}

// letGo confirms a move whose checks all passed.
func (p *process) letGo(ctx context.Context, r model.Result) model.Result {
	if err := p.job.Confirm(ctx); err != nil {
		r.Outcome, r.Reason = model.OutcomePerson, err.Error()
		return r
	}
	r.Confirmed = true
	r.Next = ""
	return r
}

func (p *process) confirm(ctx context.Context) {
	r := model.Result{Outcome: model.OutcomeDone, Owner: p.plan().To}
	restored := p.journal.View().Restored
	if restored {
		r.Outcome, r.Owner = model.OutcomeUndone, p.plan().From
	}
	src, dst, err := p.ends(ctx, true)
	if err == nil {
		err = p.build(src, dst).Confirm(ctx)
	}
	if err != nil {
		r.Outcome, r.Reason = model.OutcomePerson, err.Error()
		r.Next = fmt.Sprintf("the VM is on %s; nothing it needs was touched; mend the cause, then confirm again", r.Owner)
	} else {
		r.Confirmed = true
	}
	// The journal has no result yet: only the end of a move goes into it.
	if j, err := p.store.Viewer().Job(p.order.Job); err == nil && j.Result != nil && !restored {
		r.Duration, r.Downtime, r.Proof = j.Result.Duration, j.Result.Downtime, j.Result.Proof
	}
	p.end(r)
}

func (p *process) recover(ctx context.Context) {
	// What was settled and written down needs no more than to be said: the VM may
	// be anywhere by now.
	if v := p.journal.View(); v.Over && v.Result != nil && len(v.Debts) == 0 {
		p.end(*v.Result)
		return
	}
	if nothingDone(p.journal.View().Last) {
		p.notBegun(ctx, errors.New("its process ended before the move began"), 0)
		return
	}
	src, dst, err := p.ends(ctx, false)
	if err != nil {
		p.end(model.Result{Outcome: model.OutcomePerson, Reason: err.Error(), Next: "put the node back into the configuration, then run: horcrux recover"})
		return
	}
	job := p.build(src, dst)
	r := p.cameBack(ctx, src, p.ask(ctx, job, job.Recover(ctx)))
	p.awaitConfirm(r)
	p.end(r)
}

// ask adds to a result that only a person can go on from what that person needs
// to know.
func (p *process) ask(ctx context.Context, job *migrate.Job, r model.Result) model.Result {
	if r.Outcome != model.OutcomePerson {
		return r
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), factsWithin)
	defer cancel()
	r.Decide = job.Facts(ctx)
	return r
}

// factsWithin bounds the second look at two hosts of which one may be silent.
const factsWithin = 20 * time.Second

// keep carries out what a person chose, or a restore of the source.
func (p *process) keep(ctx context.Context) {
	src, dst, err := p.ends(ctx, false)
	if err != nil {
		p.end(model.Result{Outcome: model.OutcomePerson, Reason: err.Error(), Next: "put the node back into the configuration, then try again"})
		return
	}
	job := p.build(src, dst)
	var r model.Result
	if p.order.Purpose == Restore {
		r = job.Restore(ctx)
	} else {
		r = job.Keep(ctx, p.order.Keep)
	}
	r = p.ask(ctx, job, r)
	p.awaitConfirm(r)
	p.end(r)
}

// returned closes the move that this one took back: what that one left on the
// node that has the VM again is stale, and the six steps are shown as they are
// found to be done.
func (p *process) returned(ctx context.Context, from *ends.End, r model.Result) error {
	step := func(id model.StepID, err error, detail string) {
		s := model.StepResult{Step: id, Title: model.StepTitles[id], Kind: model.RollbackSendBack, Status: model.PhaseOK, Detail: detail}
		if err != nil {
			s.Status, s.Detail = model.PhaseFailed, err.Error()
		}
		p.emit(event.Event{Type: event.TypeStep, Step: &s})
	}
	left := "kept until confirm"
	if r.Confirmed {
		left = "deleted"
	}
	plan := p.plan()
	step(model.StepDisks, nil, fmt.Sprintf("the disks on %s are %s", plan.From, left))
	step(model.StepUnregister, nil, fmt.Sprintf("the VM cannot start on %s any more", plan.From))
	st, err := from.Status(ctx)
	if err == nil && st.Live() {
		err = fmt.Errorf("%s still has the VM as %s", plan.From, st)
	}
	step(model.StepRelease, err, fmt.Sprintf("no process of it on %s", plan.From))
	closed := p.closeOriginal(ctx)
	step(model.StepConfig, closed, fmt.Sprintf("defined on %s as before", plan.To))
	step(model.StepNetwork, nil, "announced by QEMU when the memory arrived")
	step(model.StepRun, nil, fmt.Sprintf("%s has the VM", plan.To))
	return closed
}

// closeOriginal ends the journal of the move that was taken back, and deletes
// the stale files that it moved aside.
func (p *process) closeOriginal(ctx context.Context) error {
	id := p.order.SendsBack
	lock, err := p.store.Lock(id)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Unlock() }()
	j, err := journal.Open(p.store.Dir(id), id, time.Now)
	if err != nil {
		return err
	}
	defer j.Close()
	if j.View().SentBack != "" {
		return nil
	}
	out, err := p.store.Writer(id, time.Now)
	if err != nil {
		return err
	}
	defer out.Close()
	n, ok := p.fleet.Node(p.plan().To)
	if !ok {
		return fmt.Errorf("node %s is not in the configuration", p.plan().To)
	}
	at := ends.New(n, p.plan().VM)
	for _, r := range j.View().Renames {
		del := at.DeleteVolume
		if r.Tree {
			del = at.DeleteTree
		}
		if err := del(ctx, r.To); err != nil {
			return fmt.Errorf("cannot delete the stale %s on %s: %w", r.To, r.Node, err)
		}
	}
	if err := j.Append(journal.Record{Kind: journal.SentBack, Note: string(p.order.Job)}); err != nil {
		return err
	}
	r := model.Result{
		Outcome: model.OutcomeUndone, Owner: p.plan().To, Confirmed: true,
		Reason: "sent back by job " + string(p.order.Job), Next: fmt.Sprintf("the VM is on %s", p.plan().To),
	}
	if err := j.Append(journal.Record{Kind: journal.Ended, Result: &r}); err != nil {
		return err
	}
	out.Emit(event.Event{Type: event.TypeResult, Result: &r})
	return nil
}
