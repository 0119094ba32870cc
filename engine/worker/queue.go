package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/jobs"
	"horcrux/engine/journal"
	"horcrux/engine/migrate"
	"horcrux/engine/model"
	"horcrux/engine/queue"
)

// turnEvery is how often a move that waits looks whether it is its turn.
const turnEvery = 500 * time.Millisecond

// line is a move's place in the queue of its account.
type line struct {
	p      *process
	entry  queue.Entry
	said   queue.Verdict
	claims claims
}

// await waits until the move may begin. Whoever ends the process ends the
// waiting.
func (p *process) await(ctx context.Context) error {
	pl := p.plan()
	l := &line{p: p, entry: queue.Entry{
		Job: p.order.Job, VM: pl.VM, Name: pl.VMName, From: pl.From, To: pl.To,
		Memory: migrate.Needs(pl), Free: pl.MemFree, Enqueued: p.journal.View().Started,
	}, claims: claims{p: p}}
	p.line = l
	// An abort also ends a visit to a node that is slow to answer.
	visit, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-p.stop:
			cancel()
		case <-visit.Done():
		}
	}()
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		t, err := l.turn(visit)
		if err == nil && t == look {
			p.connect()
			l.claims.visit(visit, p.journal.View().Waiting)
			t, err = l.turn(visit)
		}
		if err != nil && !p.aborted() || t == begin {
			return err
		}
		select {
		case <-tick.C:
		case <-p.stop:
			return migrate.ErrAborted
		case <-ctx.Done():
			return errors.New("its process was told to end while the move waited in the queue")
		}
	}
}

// what is a move's answer to the verdict of the queue.
type what int

const (
	stay  what = iota
	look       // ask the nodes for the moves of other consoles first
	begin      // it has its places
)

// turn asks once. The lock makes asking and taking one act, so that two moves
// of one console never take the same place.
func (l *line) turn(ctx context.Context) (what, error) {
	p := l.p
	lock, err := p.store.LockQueue(ctx)
	if err != nil {
		return stay, err
	}
	defer func() { _ = lock.Unlock() }()
	if err := p.store.PutTicket(l.entry); err != nil {
		return stay, err
	}
	own, err := p.store.Queue()
	if err != nil {
		return stay, err
	}
	perNode := max(1, p.order.Config.Migration.ParallelPerNode)
	alone, v := queue.Ask(own, p.order.Job, perNode), queue.Ask(l.claims.all(own), p.order.Job, perNode)
	due := l.claims.due(alone, v, time.Now())
	if !v.Begin {
		if err := l.wait(v); err != nil || !due {
			return stay, err
		}
	}
	if due {
		return look, nil
	}
	if p.journal.View().Waiting {
		if err := p.journal.Append(journal.Record{Kind: journal.Admitted}); err != nil {
			return stay, err
		}
		p.phase(model.PhaseQueue, model.PhaseOK, "it is its turn")
	}
	l.entry.Admitted = time.Now().UTC()
	return begin, p.store.PutTicket(l.entry)
}

// wait says why, when that changed.
func (l *line) wait(v queue.Verdict) error {
	p := l.p
	if !p.journal.View().Waiting {
		if err := p.journal.Append(journal.Record{Kind: journal.Queued, Note: v.Why}); err != nil {
			return err
		}
	}
	if v != l.said {
		l.said = v
		p.waits(v)
	}
	return nil
}

// arrived tells the queue that the target counts the VM's memory by itself now.
func (l *line) arrived() {
	if l == nil || l.entry.Arrived || l.entry.Admitted.IsZero() {
		return
	}
	l.entry.Arrived = true
	_ = l.p.store.PutTicket(l.entry)
}

func (p *process) waits(v queue.Verdict) {
	ph := model.Phase{ID: model.PhaseQueue, Status: model.PhaseActive, Detail: v.Why, Place: v.Place, At: time.Now().UTC()}
	p.emitPhase(ph)
}

// busyVM says in words who works on a VM whose lock is taken.
func busyVM(s *jobs.Store, own model.JobID, vm *model.Plan, err error) error {
	if !errors.Is(err, jobs.ErrBusy) {
		return err
	}
	ids, _ := s.IDs()
	for _, id := range ids {
		if id == own || !s.Alive(id) {
			continue
		}
		v, readErr := journal.Read(s.Dir(id))
		if readErr != nil || v.Plan == nil || v.Plan.VM != vm.VM {
			continue
		}
		what := "is moving it"
		if v.Waiting {
			what = "waits in the queue to move it"
		}
		return fmt.Errorf("cannot work on %s: job %s %s from %s to %s: wait for it, or stop it with horcrux abort %s: %w",
			vm.VMName, id, what, v.Plan.From, v.Plan.To, id, jobs.ErrBusy)
	}
	return fmt.Errorf("cannot work on %s: another process of this account has hold of it and is about to end: try again: %w", vm.VMName, jobs.ErrBusy)
}
