package migrate

import (
	"context"
	"fmt"
	"slices"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
	"horcrux/rollback"
)

// abandonedSuffix marks what a restore moved aside on the target.
const abandonedSuffix = ".abandoned-"

// Restore boots the source's frozen disks after the target took over and the
// guest died there. A person has typed the VM's name for it.
func (j *Job) Restore(ctx context.Context) model.Result {
	src, dst := j.lookBoth(ctx)
	if err := rollback.CanRestore(j.Journal.View(), src, dst); err != nil {
		return j.cannotKeep(err)
	}
	return j.keep(ctx, j.plan.From)
}

// Keep carries out a person's choice of the node that has the VM: the other
// side is fenced and seen to be so before the chosen one runs.
func (j *Job) Keep(ctx context.Context, node model.NodeName) model.Result {
	side := rollback.Source
	if node == j.plan.To {
		side = rollback.Target
	}
	src, dst := j.lookBoth(ctx)
	if err := rollback.CanKeep(j.Journal.View(), src, dst, side); err != nil {
		return j.cannotKeep(err)
	}
	return j.keep(ctx, node)
}

// cannotKeep leaves everything as it is.
func (j *Job) cannotKeep(err error) model.Result {
	r := j.person(rollback.Decision{Owner: j.ownerNow(), Why: err.Error()}, nil)
	r.Next = "nothing was changed; what the reason names has to be mended first"
	return r
}

// ownerNow is who has the VM by the journal alone.
func (j *Job) ownerNow() rollback.Side {
	v := j.Journal.View()
	switch {
	case v.Restored, v.Epoch == journal.BeforeCommit && !v.Adopted:
		return rollback.Source
	case v.Epoch == journal.AfterCommit && !v.KeepsSource():
		return rollback.Target
	}
	return rollback.Nowhere
}

// keep writes the choice down and goes on with it. It may be called again after
// a crash.
func (j *Job) keep(ctx context.Context, node model.NodeName) model.Result {
	ctx = context.WithoutCancel(ctx)
	if j.Journal.View().Keep == "" {
		rec := journal.Record{Kind: journal.Decided, Keep: node, By: j.By}
		if node == j.plan.From {
			rec.Renames = j.abandon()
		}
		if err := j.Journal.Append(rec); err != nil {
			return j.person(rollback.Decision{Owner: j.ownerNow(), Why: err.Error()}, nil)
		}
	}
	if node == j.plan.From {
		return j.restore(ctx)
	}
	return j.keepTarget(ctx)
}

// abandon lists the target's files that are this VM's alone. What other VMs may
// use too keeps its name.
func (j *Job) abandon() []journal.Rename {
	var rs []journal.Rename
	aside := func(p string, tree bool) {
		r := journal.Rename{Node: j.plan.To, From: p, To: p + abandonedSuffix + string(j.Journal.View().Job), Tree: tree}
		if p != "" && !slices.ContainsFunc(rs, func(o journal.Rename) bool { return o.From == p }) {
			rs = append(rs, r)
		}
	}
	for _, d := range j.plan.Copies() {
		if d.Type == "file" {
			aside(d.Path, false)
		}
	}
	for _, f := range j.plan.Travels {
		aside(f.Path, f.Role == model.FileTPM)
	}
	for _, f := range j.plan.Files {
		if f.Own() && !f.Present {
			aside(f.Path, f.Role == model.FileTPM)
		}
	}
	for _, l := range j.Journal.View().Overlays() {
		for _, p := range l.Paths {
			aside(p, false)
		}
	}
	return rs
}

// restore fences the target, makes that durable, then brings the source back.
func (j *Job) restore(ctx context.Context) model.Result {
	j.phase(model.PhaseUndo, model.PhaseActive, "the target is fenced, then the source is brought back")
	env := rollback.RestoreEnv{View: j.Journal.View(), Source: j.Source, Target: j.Target, Bury: j.buryTarget, Report: j.step}
	if !env.View.TargetFenced {
		if err := rollback.FenceTarget(ctx, env); err != nil {
			return j.notRestored(err)
		}
		if err := j.Journal.Append(journal.Record{Kind: journal.TargetFenced}); err != nil {
			return j.notRestored(err)
		}
		env.View = j.Journal.View()
	}
	if err := rollback.BringBack(ctx, env); err != nil {
		return j.notRestored(err)
	}
	if !env.View.Restored {
		if err := j.Journal.Append(journal.Record{Kind: journal.Restored}); err != nil {
			return j.notRestored(err)
		}
	}
	j.dropRelay(ctx, j.Source, j.Target)
	j.phase(model.PhaseUndo, model.PhaseOK, string(j.plan.From)+" has the VM again")
	v := j.Journal.View()
	r := model.Result{
		Outcome: model.OutcomeUndone, Owner: j.plan.From, Duration: j.Now().Sub(j.started),
		Reason: fmt.Sprintf("the source was restored; what was written on %s since it took over is not in it", j.plan.To),
		Next:   fmt.Sprintf("horcrux confirm %s deletes what is left on %s", v.Job, j.plan.To),
	}
	if n := len(v.Abandoned); n > 0 {
		r.Next += fmt.Sprintf(" (%d file(s) named *%s%s)", n, abandonedSuffix, v.Job)
	}
	return r
}

func (j *Job) notRestored(err error) model.Result {
	j.phase(model.PhaseUndo, model.PhaseFailed, err.Error())
	return j.notKept(err)
}

// notKept ends with a choice that is written down and not carried out yet.
func (j *Job) notKept(err error) model.Result {
	r := j.person(rollback.Decision{Owner: j.ownerNow(), Why: fmt.Sprintf("a person chose %s, and that is not carried out yet: %v", j.Journal.View().Keep, err)}, nil)
	r.Next = fmt.Sprintf("start the VM nowhere by hand; mend the cause, see to it that %s and %s answer, then run: horcrux recover", j.plan.From, j.plan.To)
	return r
}

// buryTarget makes a tombstone of the target's definition, unless it is one.
func (j *Job) buryTarget(ctx context.Context) (string, error) {
	m, err := j.Target.ReadMark(ctx)
	if err != nil {
		return "", fmt.Errorf("cannot read the mark on %s: %w", j.plan.To, err)
	}
	id := j.Journal.View().Job
	if m.Job != "" && m.Job != id && m.Role == RoleMoving {
		return "", fmt.Errorf("%s has hold of the VM on %s", m.Whose(), j.plan.To)
	}
	xml, err := j.Target.XML(ctx, virt.XMLOptions{Inactive: true, Secure: true})
	if err != nil {
		return "", fmt.Errorf("cannot read the definition on %s: %w", j.plan.To, err)
	}
	tomb, ok, err := tombstone(xml, j.plan.From, id)
	if err != nil {
		return "", fmt.Errorf("cannot make a tombstone on %s: %w", j.plan.To, err)
	}
	if !ok {
		return "unregistered from " + string(j.plan.To), j.Target.Undefine(ctx)
	}
	if err := j.Target.Define(ctx, tomb); err != nil {
		return "", fmt.Errorf("cannot define the tombstone on %s: %w", j.plan.To, err)
	}
	return fmt.Sprintf("a tombstone on %s, which cannot start", j.plan.To), j.Target.Mark(ctx, j.mark(RoleTombstone))
}

// keepTarget fences the source for good and lets the target run.
func (j *Job) keepTarget(ctx context.Context) model.Result {
	person := func(err error) model.Result {
		return j.person(rollback.Decision{Owner: rollback.Target, Why: err.Error()}, nil)
	}
	st, known := j.ask(ctx, j.Source)
	if known && st.Live() {
		if err := j.Source.Destroy(ctx); err != nil {
			return person(fmt.Errorf("cannot end the copy on %s: %w", j.plan.From, err))
		}
		st, known = j.ask(ctx, j.Source)
	}
	if !known || st.Live() {
		return person(fmt.Errorf("the copy on %s is not seen off: %s %s", j.plan.From, st, st.Err))
	}
	// A definition that cannot start comes before the target runs.
	if err := j.fence(ctx); err != nil {
		return person(err)
	}
	if err := j.runTarget(ctx); err != nil {
		return person(err)
	}
	if j.Journal.View().CommittedAt.IsZero() {
		if err := j.Journal.Append(journal.Record{Kind: journal.Committed, Note: "a person chose " + string(j.plan.To)}); err != nil {
			return person(err)
		}
	}
	return j.complete(ctx)
}

func (j *Job) runTarget(ctx context.Context) error {
	st, known := j.ask(ctx, j.Target)
	switch {
	case !known || st.State == model.StateMissing:
		return fmt.Errorf("the VM is %s on %s: %s", st.State, j.plan.To, st.Err)
	case st.State == model.StatePaused && st.Reason != "ioerror" && !j.wasPaused():
		return j.resumeTarget(ctx)
	case st.State == model.StateShutoff && st.Reason != "shutdown" && j.plan.Was.State == model.StateRunning:
		if err := j.Target.Start(ctx); err != nil {
			if st, known := j.ask(ctx, j.Target); !known || st.State != model.StateRunning {
				return fmt.Errorf("cannot start the VM on %s: %w", j.plan.To, err)
			}
		}
	}
	return nil
}

// afterRestore goes on with a confirm of a restore that was interrupted.
func (j *Job) afterRestore(ctx context.Context) model.Result {
	if err := j.dropAbandoned(ctx); err != nil {
		return j.person(rollback.Decision{Owner: rollback.Source, Why: err.Error()}, nil)
	}
	return model.Result{Outcome: model.OutcomeUndone, Owner: j.plan.From, Confirmed: true, Duration: j.Now().Sub(j.started), Reason: "the source was restored"}
}

// dropAbandoned deletes what a restore left on the target.
func (j *Job) dropAbandoned(ctx context.Context) error {
	v := j.Journal.View()
	src, err := j.Source.Status(ctx)
	if err != nil {
		return fmt.Errorf("cannot confirm: %s, which has the VM, does not answer: %w", j.plan.From, err)
	}
	if src.State == model.StateMissing {
		return fmt.Errorf("cannot confirm: %s no longer knows the VM, so what is left on %s may be the last copy", j.plan.From, j.plan.To)
	}
	m, err := j.Target.ReadMark(ctx)
	if err != nil {
		return fmt.Errorf("cannot confirm: %s, which has the leftovers, does not answer: %w", j.plan.To, err)
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.ConfirmIntent}); err != nil {
		return err
	}
	if m.Job == v.Job && m.Role == RoleTombstone {
		if err := j.Target.Undefine(ctx); err != nil && !virt.IsNoDomain(err) {
			return fmt.Errorf("cannot remove the tombstone on %s: %w", j.plan.To, err)
		}
	}
	if err := j.dropSnapshots(ctx); err != nil {
		return err
	}
	for _, r := range v.Abandoned {
		del := j.Target.DeleteVolume
		if r.Tree {
			del = j.Target.DeleteTree
		}
		if err := del(ctx, r.To); err != nil {
			return fmt.Errorf("cannot delete %s on %s: %w", r.To, r.Node, err)
		}
	}
	return j.Journal.Append(journal.Record{Kind: journal.Confirmed})
}

// Facts is what a person needs to choose: what both hosts say, and what each
// choice would lose.
func (j *Job) Facts(ctx context.Context) *model.Decision {
	src, dst := j.lookBoth(ctx)
	v := j.Journal.View()
	return &model.Decision{
		Sides:   []model.SideFacts{j.side(ctx, j.Source, j.plan.From, src), j.side(ctx, j.Target, j.plan.To, dst)},
		Choices: rollback.Choices(v, src, dst, j.Now()),
	}
}

func (j *Job) side(ctx context.Context, h Host, node model.NodeName, st model.DomainStatus) model.SideFacts {
	f := model.SideFacts{Node: node, Status: st}
	if st.State == model.StateUnreachable {
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if m, err := h.ReadMark(ctx); err == nil && m.Job != "" {
		f.Mark = &m
	}
	for _, p := range j.paths(node) {
		f.Disks = append(f.Disks, h.File(ctx, p))
	}
	return f
}

// paths are where a node has the VM's disks, under the names that they have now.
func (j *Job) paths(node model.NodeName) []string {
	v := j.Journal.View()
	aside := v.Abandoned
	if node == j.plan.From && v.Fencing && !v.Restored {
		aside = v.Renames
	}
	var ps []string
	for _, d := range j.plan.Disks {
		p := d.Source
		if node == j.plan.To && d.Path != "" {
			p = d.Path
		}
		if p == "" || d.ReadOnly || d.Type != "file" && d.Type != "block" {
			continue
		}
		for _, r := range aside {
			if r.Node == node && r.From == p {
				p = r.To
			}
		}
		ps = append(ps, p)
	}
	return ps
}
