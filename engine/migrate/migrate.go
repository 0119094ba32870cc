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
var ErrAborted = errors.New(model.AbortedByUser)

// Env is what a move works with.
type Env struct {
	Journal        *journal.Journal
	Source, Target Host
	// Health makes the checks of one stage and reports each; it never fails.
	Health func(ctx context.Context, stage model.CheckStage, baseline []model.CheckResult, report func(model.CheckResult)) []model.CheckResult
	Emit   func(event.Event)
	Now    func() time.Time
	// By is who asked for the move, for the journal; Console is the name of the
	// state folder that has it.
	By, Console string
	// Machine is the host name of the machine that this runs on.
	Machine string
	// Patience bounds the waiting for a host to show what it was told; zero for
	// what rollback takes by itself.
	Patience time.Duration
	// Copier brings files over; nil if no mode that needs it will be asked for.
	Copier Copier
	// Relay carries the streams of a move whose way is relay; nil if there is none.
	Relay Relay
	// Detour makes the one that goes through this process, for a move that chose SSH
	// from node to node by itself and is not let in; nil where a person chose.
	Detour func() Relay
}

// Job is one move under way. Run, Confirm and Recover are called from one
// goroutine; Do may be called from any.
type Job struct {
	Env
	plan model.Plan

	src, dst Link
	// targetSays is why the copy that came in had ended before it was told to.
	targetSays error
	flags      virt.MigrateFlags
	params     virt.MigrateParams
	started    time.Time

	// base are the checks before the move, while they are being made.
	base *checks
	// performed is when Perform returned, paused the guest's pause before it.
	performed time.Time
	pause     chan time.Duration
	downtime  time.Duration
	// off is when the guest was seen shut down for the move.
	off time.Time
	// detoured: Relay is what Detour made.
	detoured bool
	// lastCookie is what the latest successful phase handed on; empty after a
	// phase that failed.
	lastCookie []byte
	// noSnapshot is why the disks could not be compared in full.
	noSnapshot error

	mu        sync.Mutex
	aborted   bool
	committed bool // no abort is taken any more
	switching bool // because of post-copy
	wishes    chan model.Command
	tuned     limits
	memory    bool // the disks are done
	// stopComparing ends the comparison of the disks after the switch.
	stopComparing context.CancelFunc
}

// New makes a job from its journal, which holds the plan.
func New(e Env) *Job {
	return &Job{Env: e, plan: *e.Journal.View().Plan, started: e.Now(), wishes: make(chan model.Command, 8), tuned: planLimits(e.Journal.View().Plan.Options)}
}

// Do takes a person's wish, or says why it cannot be done now.
func (j *Job) Do(c model.Command) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch c.Kind {
	case model.CommandAbort, model.CommandRollback:
		if j.stopComparing != nil && c.Kind == model.CommandAbort {
			j.stopComparing()
			return nil
		}
		if j.stopComparing != nil {
			return fmt.Errorf("%s has the VM, and the disks are being compared: horcrux abort ends only that; then roll back", j.plan.To)
		}
		if j.committed && j.switching {
			return fmt.Errorf("post-copy is under way: %s runs the VM and %s still holds some of its memory, so neither may be stopped; wait for its end, then roll back, which sends it back", j.plan.To, j.plan.From)
		}
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

// stage is one stretch of a move before its switch. What it returns is shown
// beside its phase.
type stage struct {
	phase model.PhaseID
	run   func(context.Context) (string, error)
	// tells: it says for itself which phases it is in.
	tells bool
	// done tells from the journal that an earlier process has been through it.
	done func(journal.View) bool
}

// stages are the way of each mode to its switch.
func (j *Job) stages() []stage {
	switch j.plan.Mode {
	case model.ModeOffline:
		return j.offlineStages()
	case model.ModeBlock:
		return j.blockStages()
	}
	return []stage{
		{phase: model.PhasePreflight, run: j.baseline},
		{phase: model.PhasePrepare, run: j.prepare},
		{phase: model.PhaseMemory, run: j.perform, tells: true},
		{phase: model.PhaseGate, run: j.gate},
	}
}

// Run moves the VM and returns how it ended. It returns after the checks; the
// source's leftovers are let go by Confirm.
func (j *Job) Run(ctx context.Context) model.Result {
	defer j.closeLinks()
	for _, s := range j.stages() {
		if s.done != nil && s.done(j.Journal.View()) {
			continue
		}
		if !s.tells {
			j.phase(s.phase, model.PhaseActive, "")
		}
		err := j.abortAsked()
		detail := ""
		if err == nil {
			detail, err = j.lives(ctx, s)
		}
		if j.postCopying(ctx) {
			return j.concludePostCopy(ctx)
		}
		if err != nil {
			j.phase(j.failedPhase(s.phase), model.PhaseFailed, err.Error())
			return j.settle(ctx, err)
		}
		j.phase(s.phase, model.PhaseOK, detail)
	}
	j.phase(model.PhaseSwitch, model.PhaseActive, "")
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
	if j.base != nil {
		j.base.cancel()
		j.base = nil
	}
	for _, l := range []Link{j.src, j.dst} {
		if l != nil {
			_ = l.Close()
		}
	}
	if j.Relay != nil {
		j.Relay.Close()
	}
	j.src, j.dst = nil, nil
}
