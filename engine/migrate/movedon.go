package migrate

import (
	"context"
	"fmt"
	"strings"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// movedOn looks whether the VM of a move that is committed and fenced has gone on
// since: another move has hold of it, or has brought it back to the source. What
// the source has then is no stale copy, and must not be touched.
func (j *Job) movedOn(ctx context.Context, src, dst model.DomainStatus) (model.Result, bool) {
	v := j.Journal.View()
	if v.Epoch != journal.AfterCommit || !v.Fenced || v.Keep != "" || v.SourceRan || v.TargetRan || v.PostCopy && !v.Performed {
		return model.Result{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	here, ok1 := markOf(ctx, j.Source, src)
	there, ok2 := markOf(ctx, j.Target, dst)
	if !ok1 || !ok2 {
		return model.Result{}, false
	}
	for _, m := range []Mark{here, there} {
		if m.Job != "" && m.Job != v.Job && m.Role == RoleMoving {
			return model.Result{
				Outcome: model.OutcomePerson, Duration: j.Now().Sub(j.started),
				Reason: fmt.Sprintf("%s has hold of the VM, which has moved on since: nothing was touched on either node", m.Whose()),
				Next:   "let that move end, or have it settled where it was started; then run: horcrux recover",
			}, true
		}
	}
	byMove := there.Role == RoleTombstone && there.Job != v.Job && !dst.Live()
	if src.State == model.StateMissing || here.Job == v.Job || dst.State != model.StateMissing && !byMove {
		return model.Result{}, false
	}
	by := model.JobID("unknown")
	r := model.Result{
		Outcome: model.OutcomeUndone, Owner: j.plan.From, Confirmed: true, Duration: j.Now().Sub(j.started),
		Reason: fmt.Sprintf("%s no longer has the VM, and %s has it again, by no doing of this move", j.plan.To, j.plan.From),
		Next:   fmt.Sprintf("the VM is on %s", j.plan.From),
	}
	if byMove {
		by = there.Job
		r.Reason = fmt.Sprintf("the VM was moved back to %s by %s", j.plan.From, there.Whose())
	}
	if len(v.Renames) > 0 {
		var kept []string
		for _, f := range v.Renames {
			kept = append(kept, f.To)
		}
		r.Next += fmt.Sprintf("; what this move had moved aside there is kept: delete %s when nobody needs it", strings.Join(kept, " and "))
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.SentBack, Note: string(by)}); err != nil {
		r.Outcome, r.Reason = model.OutcomePerson, err.Error()
	}
	return r, true
}

// markOf is the mark of a domain; a host that does not know the domain has none.
func markOf(ctx context.Context, h Host, st model.DomainStatus) (Mark, bool) {
	switch st.State {
	case model.StateUnreachable:
		return Mark{}, false
	case model.StateMissing:
		return Mark{}, true
	}
	m, err := h.ReadMark(ctx)
	if virt.IsNoDomain(err) {
		return Mark{}, true
	}
	return m, err == nil
}
