package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
	"horcrux/rollback"
)

const (
	// postCopySilent: no new byte for so long, and the line is taken for broken.
	postCopySilent = 20 * time.Second
	// resumePause parts two attempts to go on with a broken post-copy.
	resumePause = 5 * time.Second
	// personAfter: what only a person can decide must have been seen for so
	// long, since each side learns of the other's end in its own time.
	personAfter = 5 * time.Second
	// remindEvery is how often the log says that a post-copy still waits.
	remindEvery = time.Minute
)

// mayPostCopy tells that the move was begun so that it can switch to post-copy.
func (j *Job) mayPostCopy() bool {
	return j.plan.Options.Policy == model.PolicyPostCopy && j.plan.Mode == model.ModeLive && !j.wasPaused()
}

// finishFlags: a move that came to its end without post-copy keeps its gate,
// which libvirt has no flag for together with post-copy until then.
func (j *Job) finishFlags() virt.MigrateFlags {
	if j.flags&virt.MigratePostcopy != 0 {
		return j.flags&^virt.MigratePostcopy | virt.MigratePaused
	}
	return j.flags
}

// startPostCopy switches over. It is the commit point of this way: the guest
// goes on on the target, and nothing leads back. So the intent is durable
// first, and an abort is not taken any more.
func (w *watch) startPostCopy(ctx context.Context, why string) {
	j := w.job
	if err := j.pointOfNoReturn(); err != nil {
		return // an abort is on its way
	}
	j.inSwitch(true)
	err := j.Journal.Append(journal.Record{Kind: journal.PostCopying, Note: why})
	if err == nil {
		err = j.Journal.Commit()
	}
	if err != nil {
		w.abort(ctx, err)
		return
	}
	j.log("warn", j.plan.From, "switches to post-copy, which cannot be undone: %s", why)
	callCtx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	w.stopped = j.Now()
	if err = j.Source.StartPostCopy(callCtx); err == nil || unknownOutcome(err) {
		if err != nil {
			j.log("warn", j.plan.From, "did not answer whether post-copy has begun: %v", err)
		}
		return
	}
	st, lookErr := j.Source.Status(callCtx)
	if lookErr != nil || st.State != model.StateRunning {
		j.log("warn", j.plan.From, "refused the post-copy, and the VM is %s: %v", st, err)
		return
	}
	// Refused, and the guest is seen running where it was: the commit intent
	// came to nothing, and the move may be undone.
	w.stopped = time.Time{}
	w.conv.refused()
	j.inSwitch(false)
	w.abort(ctx, &refused{
		err:   fmt.Errorf("%s would not switch to post-copy: %w", j.plan.From, err),
		proof: "post-copy was refused and the VM was seen running on " + string(j.plan.From),
	})
}

func (j *Job) inSwitch(on bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.switching = on
}

// postCopying tells whether the guest has left the source for good. A source
// that runs, or that stands still as at the end of every copy, has it still.
func (j *Job) postCopying(ctx context.Context) bool {
	v := j.Journal.View()
	if !v.PostCopy || v.Epoch != journal.CommitUnknown {
		return false
	}
	st, known := j.askWithin(context.WithoutCancel(ctx), j.Source, unreachablePatience)
	switch {
	case !known || strings.HasPrefix(st.Reason, "postcopy"):
		return true
	case st.State == model.StateRunning || st.State == model.StatePaused:
		j.inSwitch(false)
		return false
	}
	return true
}

// attend stays with a post-copy until the target has all of the memory, or a
// person must decide. It never stops either side and never gives up.
func (j *Job) attend(ctx context.Context) (rollback.Decision, error) {
	ctx = context.WithoutCancel(ctx)
	a := &attendance{job: j, moved: j.Now(), said: j.Now()}
	if j.dst != nil && j.Journal.View().Performed {
		a.finish(ctx)
	}
	tick := time.NewTicker(pollSoon)
	defer tick.Stop()
	for {
		select {
		case err := <-a.finished:
			a.finished = nil
			if err == nil {
				a.runs()
				return rollback.Decision{Action: rollback.ActComplete, Owner: rollback.Target, Why: "the target has all of the memory"}, nil
			}
			j.log("warn", j.plan.To, "the post-copy did not come to its end: %v", err)
		case <-j.wishes:
		case <-tick.C:
			if a.ran {
				tick.Reset(pollEvery)
			}
		}
		if d, over := a.look(ctx); over {
			return d, nil
		}
	}
}

// attendance is what is remembered of a post-copy that is attended to.
type attendance struct {
	job      *Job
	finished chan error
	rates    rates
	bytes    uint64
	moved    time.Time // when the last new byte was seen
	tried    time.Time
	broke    time.Time // when a break was seen that only one side knew of
	said     time.Time
	ran      bool
	odd      time.Time // since when only a person could decide
}

// finish tells the target to run the guest; the answer comes with the last page.
func (a *attendance) finish(ctx context.Context) {
	j := a.job
	link, params, cookie, flags := j.dst, j.params, j.lastCookie, j.flags
	j.lastCookie = nil
	done := make(chan error, 1)
	go func() {
		c, err := link.MigrateFinish(ctx, params, cookie, flags, false)
		if err == nil {
			j.mu.Lock()
			j.lastCookie = c
			j.mu.Unlock()
		}
		done <- err
	}()
	a.finished = done
}

// look takes both hosts' word and does what follows. over tells that the
// post-copy has come to an end, one way or the other.
func (a *attendance) look(ctx context.Context) (d rollback.Decision, over bool) {
	j := a.job
	src, dst := j.peek(ctx, j.Source), j.peek(ctx, j.Target)
	a.progress(ctx)
	if dst.State == model.StateRunning {
		a.runs()
	}
	d = rollback.Decide(j.Journal.View(), src, dst)
	now := j.Now()
	if d.Action != rollback.ActPerson {
		a.odd = time.Time{}
	}
	switch d.Action {
	case rollback.ActComplete:
		// The answer to Finish, if it is still to come, has the cookie.
		return d, a.finished == nil || now.Sub(a.moved) > postCopySilent
	case rollback.ActResume:
		a.resume(ctx, src, dst)
	case rollback.ActPerson:
		if a.odd.IsZero() {
			a.odd = now
		}
		// Before Finish has let it run, the target stands still: no news.
		waiting := a.finished != nil && dst.State == model.StatePaused
		return d, !waiting && now.Sub(a.odd) >= personAfter
	default:
		a.wait(ctx, src, dst, d)
	}
	return d, false
}

// runs notes that the guest goes on on the target.
func (a *attendance) runs() {
	if a.ran {
		return
	}
	a.ran = true
	j := a.job
	j.downtime = j.stoodStill()
	j.phase(model.PhaseSwitch, model.PhaseActive, fmt.Sprintf("the guest runs on %s and fetches the rest of its memory from %s", j.plan.To, j.plan.From))
}

// wait breaks off a post-copy whose line is dead: QEMU itself would wait for as
// long as the network does, a quarter of an hour by default.
func (a *attendance) wait(ctx context.Context, src, dst model.DomainStatus, d rollback.Decision) {
	j := a.job
	now := j.Now()
	if now.Sub(a.said) >= remindEvery {
		a.said = now
		j.log("warn", j.plan.To, "%s (%s: %s; %s: %s)", d.Why, j.plan.From, src, j.plan.To, dst)
	}
	if src.Reason != "postcopy" || dst.State != model.StateRunning || now.Sub(a.moved) < postCopySilent || now.Sub(a.tried) < postCopySilent {
		return
	}
	a.tried = now
	j.log("warn", j.plan.From, "no memory has gone over for %s: the post-copy is broken off, to be started again", postCopySilent)
	callCtx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if err := j.Source.PausePostCopy(callCtx); err != nil {
		j.log("warn", j.plan.From, "did not break off the post-copy: %v", err)
	}
}

// progress reports how much memory is still missing.
func (a *attendance) progress(ctx context.Context) {
	j := a.job
	callCtx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	st, err := j.Source.JobStats(callCtx)
	if err != nil || !st.Active() {
		return
	}
	p := a.rates.progress(st, j.Now(), 0, false)
	if p.MemProcessed != a.bytes {
		a.bytes, a.moved = p.MemProcessed, j.Now()
	}
	j.Emit(event.Event{Type: event.TypeProgress, Progress: &p})
}

// resume goes through the whole protocol again, on new connections, for what
// is still missing.
func (a *attendance) resume(ctx context.Context, src, dst model.DomainStatus) {
	j := a.job
	now := j.Now()
	if now.Sub(a.tried) < resumePause {
		return
	}
	if src.Reason != "postcopy failed" || dst.Reason != "postcopy failed" || a.finished != nil {
		a.settleBreak(ctx, src, dst)
		return
	}
	a.tried = now
	j.log("info", "", "both nodes have broken the post-copy off; trying to go on")
	if err := j.performAgain(ctx); err != nil {
		j.log("warn", "", "it does not go on yet: %v", err)
		return
	}
	j.log("info", j.plan.To, "the post-copy goes on")
	a.moved, a.broke = j.Now(), time.Time{}
	a.finish(ctx)
}

// settleBreak has the side that has not noticed break off too: libvirt takes
// up a post-copy again only when both have, and one that is prepared too soon
// never answers. Each is left time to notice by itself.
func (a *attendance) settleBreak(ctx context.Context, src, dst model.DomainStatus) {
	j := a.job
	now := j.Now()
	if a.broke.IsZero() {
		a.broke = now
		j.log("warn", "", "the post-copy broke off (%s: %s; %s: %s); it goes on when both nodes know and the network carries it", j.plan.From, src, j.plan.To, dst)
	}
	if now.Sub(a.broke) < 2*resumePause || now.Sub(a.tried) < 2*resumePause {
		return
	}
	a.tried = now
	callCtx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if src.Reason != "postcopy failed" {
		if err := j.Source.PausePostCopy(callCtx); err != nil {
			j.log("warn", j.plan.From, "did not break off the post-copy: %v", err)
		}
	}
	if dst.Reason == "postcopy failed" {
		return
	}
	// A QEMU whose main thread waits for memory of the guest does not answer.
	if err := j.Target.PauseIncoming(callCtx); err != nil && now.Sub(a.said) >= remindEvery {
		a.said = now
		j.log("warn", j.plan.To, "does not break off the post-copy (its QEMU may itself wait for memory that only %s has): %v", j.plan.From, err)
	}
}

// performAgain makes the first three calls of the protocol for a broken
// post-copy. The guest's state is on both sides; only the line is new.
func (j *Job) performAgain(ctx context.Context) error {
	if err := j.Journal.Append(journal.Record{Kind: journal.PostCopying, Note: "again"}); err != nil {
		return err
	}
	j.closeLinks()
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := j.openLinks(ctx); err != nil {
		return err
	}
	if v, err := j.dst.LibVersion(ctx); err != nil {
		return fmt.Errorf("cannot ask %s for its version: %w", j.plan.To, err)
	} else if model.DiesOfResume(v) {
		return fmt.Errorf("libvirtd %s on %s would die of that: update it to 12.8 or newer, the guest runs on meanwhile", v, j.plan.To)
	}
	j.params = j.makeParams()
	flags := j.flags | virt.MigratePostcopy | virt.MigratePostcopyResume
	cookie, xml, err := j.src.MigrateBegin(ctx, j.plan.VM, j.params, flags)
	if err != nil {
		return fmt.Errorf("cannot begin again on %s: %w", j.plan.From, err)
	}
	j.params.DestXML = xml
	cookie, uri, err := j.dst.MigratePrepare(ctx, j.params, cookie, flags)
	if err != nil {
		return errors.Join(fmt.Errorf("cannot prepare %s again: %w", j.plan.To, err), j.callOff(ctx, flags))
	}
	if uri != "" {
		j.params.MigrateURI = uri
	}
	if cookie, err = j.src.MigratePerform(ctx, j.plan.VM, j.params, cookie, flags); err != nil {
		_, _ = j.dst.MigrateFinish(ctx, j.params, nil, flags, true)
		return fmt.Errorf("cannot go on from %s: %w", j.plan.From, err)
	}
	j.flags, j.lastCookie = flags, cookie
	return nil
}

// callOff ends an attempt that came no further than Begin; a broken post-copy
// stays what it was.
func (j *Job) callOff(ctx context.Context, flags virt.MigrateFlags) error {
	return j.src.MigrateConfirm(ctx, j.plan.VM, j.params, nil, flags, true)
}

// peek is one look that does not wait for a host that does not answer.
func (j *Job) peek(ctx context.Context, h Host) model.DomainStatus {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	st, err := h.Status(ctx)
	if err != nil {
		st.State, st.Err = model.StateUnreachable, err.Error()
	}
	return st
}

func (j *Job) askWithin(ctx context.Context, h Host, d time.Duration) (model.DomainStatus, bool) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return j.ask(ctx, h)
}

// concludePostCopy stays with the post-copy and brings the move to its end.
func (j *Job) concludePostCopy(ctx context.Context) model.Result {
	j.phase(model.PhaseGate, model.PhaseSkipped, "post-copy has no gate")
	d, err := j.attend(ctx)
	if d.Action != rollback.ActComplete {
		r := j.person(d, err)
		src, dst := j.lookBoth(ctx)
		r.Reason += fmt.Sprintf(" (%s: %s; %s: %s)", j.plan.From, src, j.plan.To, dst)
		r.Next = fmt.Sprintf("nothing was stopped or deleted on either node; decide what the reason says, then run: horcrux recover %s", j.Journal.View().Job)
		j.phase(model.PhaseSwitch, model.PhaseFailed, d.Why)
		return r
	}
	j.phase(model.PhaseMemory, model.PhaseOK, "the last of it fetched by post-copy")
	if j.Journal.View().Epoch != journal.AfterCommit {
		if err := j.Journal.Append(journal.Record{Kind: journal.Committed, Note: d.Why}); err != nil {
			return j.person(d, err)
		}
	}
	return j.complete(ctx)
}
