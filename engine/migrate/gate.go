package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// gate registers the target, paused, and makes the checks that need no running
// guest. Everything here is part of the guest's pause.
func (j *Job) gate(ctx context.Context) (string, error) {
	began := j.Now()
	p := j.params
	cookieIn := j.lastCookie
	j.lastCookie = nil
	callCtx, cancel := context.WithTimeout(ctx, actTimeout)
	cookie, err := j.dst.MigrateFinish(callCtx, p, cookieIn, j.finishFlags(), false)
	cancel()
	if err != nil {
		if !unknownOutcome(err) {
			return "", fmt.Errorf("%s could not finish: %w", j.plan.To, err)
		}
		// No guest code can have run there, whatever became of the call.
		j.log("warn", j.plan.To, "the answer to Finish was lost: %v; looking", err)
	} else {
		j.lastCookie = cookie
	}
	return j.gateChecks(ctx, began)
}

// gateChecks looks at the paused target and makes the checks that need no
// running guest.
func (j *Job) gateChecks(ctx context.Context, began time.Time) (string, error) {
	lookCtx, cancel := context.WithTimeout(ctx, gateTimeout)
	defer cancel()
	st, err := j.Target.Status(lookCtx)
	if err != nil {
		return "", fmt.Errorf("cannot look at the VM on %s: %w", j.plan.To, err)
	}
	if st.State != model.StatePaused || st.Reason == "ioerror" {
		return "", fmt.Errorf("the VM on %s is %s, not paused as it should be", j.plan.To, st)
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.Gated}); err != nil {
		return "", err
	}
	snapped := j.snapshotAll(lookCtx)
	checks := j.health(lookCtx, model.StageGate, j.Journal.View().Baseline, j.check)
	for _, c := range checks {
		if c.Verdict == model.Fail {
			return "", fmt.Errorf("check %q failed on the paused target %s: %s", c.Title, j.plan.To, c.Evidence)
		}
	}
	if err := snapped(); err != nil {
		return "", err
	}
	if err := j.compareAtGate(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s in %s", tally(checks), j.Now().Sub(began).Round(time.Millisecond)), nil
}

// unknownOutcome tells an answer of libvirt, and a request that never went
// out, from a call whose outcome nobody told us.
func unknownOutcome(err error) bool {
	if _, answered := virt.Code(err); answered {
		return false
	}
	var e *virt.Error
	return !errors.As(err, &e) || e.Sent
}
