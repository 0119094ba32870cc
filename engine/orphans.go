package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/audit"
	"horcrux/engine/ends"
	"horcrux/engine/event"
	"horcrux/engine/jobs"
	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/survey"
	"horcrux/rollback"
)

// youngest is the age below which a mark of another console is never taken for
// abandoned: its move may not have reached libvirt yet.
const youngest = time.Minute

// Orphan is a move that shows on a host and that no journal of this console
// knows.
type Orphan struct {
	VM   model.UUID
	Name string
	// Node is where it was seen.
	Node model.NodeName
	// Mark is what the move wrote; without a job if nothing.
	Mark model.Mark
}

// Ours tells that this console had its journal.
func (o Orphan) ours(console string) bool { return o.Mark.Console == console }

func (o Orphan) job() model.Job {
	from, to := o.Mark.From, o.Mark.To
	if from == "" {
		from = o.Node
	}
	return model.Job{ID: o.Mark.Job, VM: o.VM, VMName: o.Name, From: from, To: to, State: model.JobPerson, Started: o.Mark.Since, By: o.Mark.By}
}

// Orphans lists them as the newest facts of the hosts have them, one per VM.
// With gone also what waits for a confirm at a console that is gone for good.
func (e *Engine) Orphans(gone bool) []Orphan {
	held := map[model.UUID]bool{}
	js, _, _ := e.jobs()
	for _, j := range js {
		held[j.VM] = held[j.VM] || !j.State.Ended()
	}
	return findOrphans(e.Snapshot(), e.store.Console(), gone, e.store.Has, held)
}

// findOrphans is the choice without the hosts: known tells of a job whether its
// journal is here, held of a VM whether an unfinished job is about it.
func findOrphans(c model.Cluster, console string, gone bool, known func(model.JobID) bool, held map[model.UUID]bool) []Orphan {
	var all []Orphan
	at := map[model.UUID]int{}
	running := map[model.UUID]bool{}
	for _, v := range c.VMs {
		running[v.UUID] = running[v.UUID] || v.State == model.StateRunning
	}
	for _, v := range c.VMs {
		o := Orphan{VM: v.UUID, Name: v.Name, Node: v.Node}
		switch m := v.Mark; {
		case m != nil && known(m.Job) && (m.Role != model.RoleWaiting || held[v.UUID]):
			continue
		case m != nil && m.Role == model.RoleWaiting && m.Console != console && !gone:
			continue // what waits in the queue of another console
		case m != nil && m.Role == model.RoleTombstone && m.Console != console && !gone:
			continue // what waits for a confirm at another console
		case m != nil:
			o.Mark = *m
		case v.State == model.StatePaused && v.Reason == "migration" && !held[v.UUID] && !running[v.UUID]:
			// Beside one that runs it is the copy that another tool is making.
		default:
			continue
		}
		if i, ok := at[v.UUID]; ok {
			if all[i].Mark.Job == "" {
				all[i] = o
			}
			continue
		}
		at[v.UUID] = len(all)
		all = append(all, o)
	}
	return all
}

// recoverOrphans settles what the hosts prove, and lists the rest.
func (e *Engine) recoverOrphans(ctx context.Context, gone bool, watch func(event.Event), report func(Settled)) error {
	for _, o := range e.Orphans(gone) {
		s := Settled{Job: o.job()}
		s.Result, s.Err = e.recoverOrphan(ctx, o, gone, watch)
		if s.Result != nil || s.Err != nil {
			report(s)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func (e *Engine) recoverOrphan(ctx context.Context, o Orphan, gone bool, watch func(event.Event)) (*model.Result, error) {
	if o.Mark.Job == "" {
		return &model.Result{
			Outcome: model.OutcomePerson, Reason: fmt.Sprintf("%s is paused by a migration on %s, and no move of Horcrux has marked it: another tool moves it, or has left it so", o.Name, o.Node),
			Next: "see to it with the tool that moves it; virsh domjobinfo tells whether it still does",
		}, nil
	}
	if o.Mark.Role == model.RoleWaiting {
		return e.recoverClaim(ctx, o, gone)
	}
	src, dst := survey.Sides(ctx, e.fleet, o.VM, o.Mark.From, o.Mark.To)
	dec := rollback.Orphan(src, dst)
	if src.Mark == nil && dst.Mark == nil && src.Status.State != model.StateUnreachable && dst.Status.State != model.StateUnreachable {
		return nil, nil // it ended since it was seen
	}
	ours := o.ours(e.store.Console())
	if !ours {
		if dec.Action == rollback.ActWait && (src.Status.JobActive || dst.Status.JobActive) {
			return nil, nil // it is under way
		}
		why := mayLive(o.Mark, gone, time.Now())
		if why == "" && e.beats(ctx, o, src) {
			why = "its mark was counted up just now: that console is alive"
		}
		if why != "" {
			return e.foreign(o, dec, src, dst, why), nil
		}
	}
	if free, err := e.vmFree(o.VM); err != nil || !free {
		return nil, errors.Join(err, fmt.Errorf("a process of this console is at work on %s: wait for it", o.Name))
	}
	if dec.Action == rollback.ActWait {
		return orphanResult(o, dec, src, dst, "bring both nodes back, then run: horcrux recover"), nil
	}
	if err := e.adopt(ctx, o, src, dst); err != nil {
		return nil, err
	}
	return e.recoverOne(ctx, o.Mark.Job, watch)
}

// mayLive says why a move of another console must be left to it; empty if a
// person said that it is gone for good and nothing speaks against that.
func mayLive(m model.Mark, gone bool, now time.Time) string {
	switch {
	case !gone:
		return "that console has its journal"
	case m.Since.IsZero():
		return ""
	case now.Sub(m.Since) < youngest:
		return fmt.Sprintf("it began only %s ago, so its console may well be alive", now.Sub(m.Since).Round(time.Second))
	}
	return ""
}

// beatPatience is how long a mark is watched before its move is taken for dead:
// three of the ten seconds between beats, and time for a slow host. One that
// waits is counted up every thirty seconds.
const (
	beatPatience  = 45 * time.Second
	claimPatience = 75 * time.Second
)

// beats watches the mark of a move of another console for as long as it would
// take to be counted up.
func (e *Engine) beats(ctx context.Context, o Orphan, src model.SideFacts) bool {
	if src.Mark == nil || src.Mark.Role != model.RoleMoving {
		return false
	}
	return e.countsUp(ctx, o.Mark.From, o.VM, *src.Mark, beatPatience)
}

func (e *Engine) countsUp(ctx context.Context, node model.NodeName, vm model.UUID, was model.Mark, patience time.Duration) bool {
	n, ok := e.fleet.Node(node)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	for {
		if m, err := ends.New(n, vm).ReadMark(ctx); err == nil && (m.Job != was.Job || m.Beat != was.Beat) {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// foreign lists a move of another console.
func (e *Engine) foreign(o Orphan, dec rollback.Decision, src, dst model.SideFacts, why string) *model.Result {
	r := orphanResult(o, dec, src, dst,
		fmt.Sprintf("run horcrux recover there; if that console is gone for good: horcrux recover --orphans, once the mark is older than %s", youngest))
	r.Reason = fmt.Sprintf("%s has hold of it, and %s; %s", o.Mark.Whose(), why, dec.Why)
	r.Decide.Choices = nil
	return r
}

func orphanResult(o Orphan, dec rollback.Decision, src, dst model.SideFacts, next string) *model.Result {
	r := &model.Result{Outcome: model.OutcomePerson, Reason: dec.Why, Next: next, Decide: &model.Decision{Sides: []model.SideFacts{src, dst}}}
	switch dec.Owner {
	case rollback.Source:
		r.Owner = o.Mark.From
	case rollback.Target:
		r.Owner = o.Mark.To
	}
	return r
}

func (e *Engine) vmFree(vm model.UUID) (bool, error) {
	l, err := e.store.LockVM(vm)
	if errors.Is(err, jobs.ErrBusy) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, l.Unlock()
}

// adopt makes a journal for a move whose own is lost, under the same name, so
// that everything that can be done to a job can be done to it.
func (e *Engine) adopt(ctx context.Context, o Orphan, src, dst model.SideFacts) error {
	what := audit.Entry{Act: "adopt", Job: string(o.Mark.Job), VM: o.Name, Node: string(o.Mark.From), To: string(o.Mark.To), Detail: "its journal is lost; it was begun by " + o.Mark.By}
	return e.Act(what, func() error { return e.adoptJob(ctx, o, src, dst) })
}

func (e *Engine) adoptJob(ctx context.Context, o Orphan, src, dst model.SideFacts) error {
	fail := func(err error) error { return fmt.Errorf("cannot adopt job %s of %s: %w", o.Mark.Job, o.Name, err) }
	p, err := survey.Adopt(ctx, e.fleet, o.VM, o.Mark, src, dst, time.Now().UTC())
	if err != nil {
		return fail(err)
	}
	if err := e.store.MakeAs(o.Mark.Job); err != nil {
		return fail(err)
	}
	j, err := journal.Create(e.store.Dir(o.Mark.Job), o.Mark.Job, time.Now)
	if err != nil {
		return fail(err)
	}
	defer j.Close()
	by := o.Mark.By
	if by == "" {
		by = "an unknown console"
	}
	if err := j.Append(journal.Record{Kind: journal.Planned, Plan: &p, By: by}); err != nil {
		return fail(err)
	}
	ours := dst.Mark != nil && dst.Mark.Job == o.Mark.Job && dst.Mark.Role == model.RoleMoving
	return j.Append(journal.Record{Kind: journal.Adopted, Ours: ours, By: Who(e.opt.Env), Note: "the journal of the move was lost"})
}

// KeepOrphan is Keep for a move whose journal is lost.
func (e *Engine) KeepOrphan(ctx context.Context, id model.JobID, node model.NodeName, gone bool) error {
	for _, o := range e.Orphans(gone) {
		if o.Mark.Job != id {
			continue
		}
		if o.Mark.Role == model.RoleWaiting {
			return fmt.Errorf("there is nothing to decide about %s: job %s waited to move it and never began: horcrux recover removes its mark", o.Name, id)
		}
		src, dst := survey.Sides(ctx, e.fleet, o.VM, o.Mark.From, o.Mark.To)
		if src.Status.JobActive || dst.Status.JobActive {
			return fmt.Errorf("cannot decide about %s: libvirt is at work on it: the move may be alive", o.Name)
		}
		if !o.ours(e.store.Console()) {
			why := mayLive(o.Mark, gone, time.Now())
			if why == "" && e.beats(ctx, o, src) {
				why = "its mark was counted up just now"
			}
			if why != "" {
				return fmt.Errorf("cannot decide about %s: %s has hold of it, and %s: if that console is gone for good, add --orphans", o.Name, o.Mark.Whose(), why)
			}
		}
		if free, err := e.vmFree(o.VM); err != nil || !free {
			return errors.Join(err, fmt.Errorf("cannot decide about %s: a process of this console is at work on it", o.Name))
		}
		if err := e.adopt(ctx, o, src, dst); err != nil {
			return err
		}
		return e.Keep(ctx, id, node)
	}
	return fmt.Errorf("%w: %q", jobs.ErrNoJob, id)
}

// Unsettled is one thing that a crash has left, for a person to settle.
type Unsettled struct {
	Job model.JobID
	VM  string
	// Text says what it is, Command what settles it.
	Text, Command string
	// Ready: nothing was asked of a person about it, and both nodes answer, so that
	// it can be settled now.
	Ready bool
}

func (e *Engine) answers(node model.NodeName) bool {
	for _, n := range e.inv.Snapshot().Nodes {
		if n.Name == node {
			return n.State == model.NodeUp || n.State == model.NodeBusy
		}
	}
	return false
}

// Unsettled lists what is not settled, by the journals of this console and by
// the marks on the hosts, once every node has answered or is known not to.
func (e *Engine) Unsettled(ctx context.Context) ([]Unsettled, error) {
	// What no host said within the time is listed without it.
	_ = e.Wait(ctx)
	js, err := e.Jobs(ctx)
	if err != nil {
		return nil, err
	}
	var all []Unsettled
	for _, j := range js {
		if !e.needsRecovery(j) && !e.revived(j) {
			continue
		}
		u := Unsettled{Job: j.ID, VM: j.VMName, Command: "horcrux recover"}
		u.Ready = j.State != model.JobPerson && j.State != model.JobAwaiting && e.answers(j.From) && e.answers(j.To)
		switch {
		case j.State == model.JobPerson && j.Result != nil:
			u.Text = j.Result.Reason
		case j.State == model.JobInterrupted:
			u.Text = fmt.Sprintf("the process of its move from %s to %s is gone", j.From, j.To)
		case j.State == model.JobAwaiting:
			u.Text = fmt.Sprintf("it has moved to %s and is live on %s too", j.To, j.From)
		default:
			u.Text = fmt.Sprintf("%s is owed a clean-up of its move from %s", j.To, j.From)
		}
		all = append(all, u)
	}
	for _, o := range e.Orphans(false) {
		u := Unsettled{Job: o.Mark.Job, VM: o.Name, Command: "horcrux recover"}
		switch {
		case o.Mark.Job == "":
			u.Text = fmt.Sprintf("it is paused by a migration on %s that is none of ours", o.Node)
		case o.ours(e.store.Console()) && o.Mark.Role == model.RoleWaiting:
			u.Text = fmt.Sprintf("job %s waited to move it from %s, and its process is gone", o.Mark.Job, o.Node)
		case o.ours(e.store.Console()):
			u.Text = fmt.Sprintf("job %s has marked it on %s, and its journal is lost", o.Mark.Job, o.Node)
		default:
			continue // another console's business, which may be alive
		}
		all = append(all, u)
	}
	return all, nil
}
