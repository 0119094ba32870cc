// Package migrate carries out one live move: the five calls of libvirt's
// migration protocol, driven one by one, with the target left paused until we
// decide to let it run.
//
// Guarantees, in this order: never two running copies, never none that could
// run, no byte lost. The target is resumed only by us and only after the
// intent is durable in the journal; before that every failure is undone, after
// that the source is never resumed. Every act on a host has a deadline and is
// followed by a look at what the host says.
//
// It must not know of processes, screens or sockets: it runs in process in
// tests as it does in a job's own process.
package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// Deadlines of single acts. Define, Begin and Prepare may have to wait for the
// host's first probing of QEMU, which was measured at 32 s.
const (
	actTimeout     = 30 * time.Second
	prepareTimeout = 120 * time.Second
	lookTimeout    = 10 * time.Second
	gateTimeout    = 2 * time.Second
	resumeTimeout  = 5 * time.Second
	// commitPatience is how long a lost answer to the resume is asked after
	// before a person is told; the source stays paused all that time.
	commitPatience = 60 * time.Second
	// unreachablePatience is how long a node that went away is waited for.
	unreachablePatience = 45 * time.Second
)

// ErrAborted says that a person stopped the move.
var ErrAborted = errors.New("aborted by the user")

// Env is what a move works with.
type Env struct {
	Journal        *journal.Journal
	Source, Target Host
	// Health makes the checks of one stage and reports each; it never fails.
	Health func(ctx context.Context, stage model.CheckStage, baseline []model.CheckResult, report func(model.CheckResult)) []model.CheckResult
	Emit   func(event.Event)
	Now    func() time.Time
	// By is who asked for the move, for the journal.
	By string
}

// Job is one move under way. Run, Confirm and Recover are called from one
// goroutine; Do may be called from any.
type Job struct {
	Env
	plan model.Plan

	src, dst Link
	flags    virt.MigrateFlags
	params   virt.MigrateParams
	started  time.Time

	// performed is when Perform returned, paused the guest's pause before it.
	performed time.Time
	pause     time.Duration
	downtime  time.Duration
	// lastCookie is what the latest successful phase handed on; empty after a
	// phase that failed.
	lastCookie []byte

	mu        sync.Mutex
	aborted   bool
	committed bool // no abort is taken any more
	wishes    chan model.Command
	bandwidth uint64
	memory    bool // the disks are done
}

// New makes a job from its journal, which holds the plan.
func New(e Env) *Job {
	return &Job{Env: e, plan: *e.Journal.View().Plan, started: e.Now(), wishes: make(chan model.Command, 8), bandwidth: e.Journal.View().Plan.Options.Bandwidth}
}

// Do takes a person's wish, or says why it cannot be done now.
func (j *Job) Do(c model.Command) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch c.Kind {
	case model.CommandAbort, model.CommandRollback:
		if j.committed {
			return fmt.Errorf("the switch has been made: %s has the VM; wait for the checks, then roll back, which sends it back", j.plan.To)
		}
		j.aborted = true
	case model.CommandTune:
		if j.committed {
			return errors.New("the copy is over, there is nothing left to tune")
		}
	default:
		return fmt.Errorf("cannot %s now: the move is still running", c.Kind)
	}
	select {
	case j.wishes <- c:
	default:
		return errors.New("too many wishes at once; try again")
	}
	return nil
}

func (j *Job) abortAsked() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.aborted {
		return ErrAborted
	}
	return nil
}

// pointOfNoReturn closes the door to an abort, unless one came first.
func (j *Job) pointOfNoReturn() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.aborted {
		return ErrAborted
	}
	j.committed = true
	return nil
}

// Run moves the VM and returns how it ended. It returns after the checks; the
// source's leftovers are let go by Confirm.
func (j *Job) Run(ctx context.Context) model.Result {
	defer j.closeLinks()
	for _, stage := range []struct {
		phase model.PhaseID
		run   func(context.Context) (string, error)
	}{
		{model.PhasePreflight, j.baseline},
		{model.PhasePrepare, j.prepare},
		{model.PhaseMemory, j.perform},
		{model.PhaseGate, j.gate},
	} {
		if stage.phase != model.PhaseMemory {
			// The copy tells for itself which of its two phases it is in.
			j.phase(stage.phase, model.PhaseActive, "")
		}
		err := j.abortAsked()
		detail := ""
		if err == nil {
			detail, err = stage.run(ctx)
		}
		if err != nil {
			j.phase(j.failedPhase(stage.phase), model.PhaseFailed, err.Error())
			return j.settle(ctx, err)
		}
		j.phase(stage.phase, model.PhaseOK, detail)
	}
	if err := j.commit(ctx); err != nil {
		return j.settle(ctx, err)
	}
	return j.complete(ctx)
}

// failedPhase puts a failure of the copy on the part that was being copied.
func (j *Job) failedPhase(p model.PhaseID) model.PhaseID {
	if p == model.PhaseMemory && j.inDisks() {
		return model.PhaseDisks
	}
	return p
}

func (j *Job) closeLinks() {
	for _, l := range []Link{j.src, j.dst} {
		if l != nil {
			_ = l.Close()
		}
	}
	j.src, j.dst = nil, nil
}
