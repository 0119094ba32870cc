package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"horcrux/engine/ends"
	"horcrux/engine/event"
	"horcrux/engine/fleet"
	"horcrux/engine/jobs"
	"horcrux/engine/journal"
	"horcrux/engine/migrate"
	"horcrux/engine/model"
	"horcrux/engine/survey"
	"horcrux/health"
)

// maxOrder bounds what is read from the parent.
const maxOrder = 64 << 20

// Main is the whole life of a job's process: in carries the order, and readyOut
// is told when the journal is open. It returns the exit code of the process,
// which nobody waits for.
func Main(ctx context.Context, in io.Reader, readyOut io.WriteCloser) int {
	// The terminal that started us may go; the move does not.
	signal.Ignore(syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	var o Order
	err := json.NewDecoder(io.LimitReader(in, maxOrder)).Decode(&o)
	if err == nil {
		err = serve(ctx, o, func() {
			fmt.Fprintln(readyOut, ready)
			readyOut.Close()
		})
	}
	if err != nil {
		fmt.Fprintln(readyOut, err)
		readyOut.Close()
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// process is one job being worked on.
type process struct {
	order   Order
	store   *jobs.Store
	journal *journal.Journal
	out     *jobs.Writer
	fleet   *fleet.Fleet

	mu      sync.Mutex // guards job and stopped
	job     *migrate.Job
	stopped bool // an abort came before there was a move to stop
}

func serve(ctx context.Context, o Order, opened func()) error {
	p, unlock, err := open(o)
	if err != nil {
		return err
	}
	defer unlock()
	defer p.journal.Close()
	defer p.out.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.store.Serve(ctx, o.Job, p.take); err != nil {
		return err
	}
	opened()

	p.fleet = fleet.Open(o.Config, fleet.Options{
		Prompter: passphrases(o.Passphrases), Only: []model.NodeName{p.plan().From, p.plan().To},
	})
	defer p.fleet.Close()
	switch o.Purpose {
	case Move:
		p.move(ctx)
	case Confirm:
		p.confirm(ctx)
	case Recover:
		p.recover(ctx)
	}
	return nil
}

func (p *process) plan() *model.Plan { return p.journal.View().Plan }

// open takes the locks and the journal: a new one for a move, the old one for
// everything else.
func open(o Order) (p *process, unlock func(), err error) {
	if o.Purpose != Move && o.Purpose != Confirm && o.Purpose != Recover {
		return nil, nil, fmt.Errorf("cannot work on job %s: unknown purpose %q", o.Job, o.Purpose)
	}
	p = &process{order: o}
	if p.store, err = jobs.Open(o.StateDir); err != nil {
		return nil, nil, err
	}
	lock, err := p.store.Lock(o.Job)
	if err != nil {
		return nil, nil, err
	}
	unlock = func() { _ = lock.Unlock() }
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	if o.Purpose == Move {
		if o.Plan == nil {
			return nil, nil, errors.New("cannot move without a plan")
		}
		if p.journal, err = journal.Create(p.store.Dir(o.Job), o.Job, time.Now); err != nil {
			return nil, nil, err
		}
		err = p.journal.Append(journal.Record{Kind: journal.Planned, Plan: o.Plan, By: o.By, SendsBack: o.SendsBack})
	} else {
		p.journal, err = journal.Open(p.store.Dir(o.Job), o.Job, time.Now)
		if err == nil && p.plan() == nil {
			err = fmt.Errorf("cannot work on job %s: its journal is empty", o.Job)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	vmLock, err := p.store.LockVM(p.plan().VM)
	if err != nil {
		return nil, nil, err
	}
	unlock = func() { _ = vmLock.Unlock(); _ = lock.Unlock() }
	p.out, err = p.store.Writer(o.Job, time.Now)
	return p, unlock, err
}

// take passes a wish to the move. Before there is one, only an abort makes
// sense.
func (p *process) take(c model.Command) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.job != nil:
		return p.job.Do(c)
	case p.order.Purpose == Move && (c.Kind == model.CommandAbort || c.Kind == model.CommandRollback):
		p.stopped = true
		return nil
	}
	return fmt.Errorf("cannot %s now: job %s is busy with %s", c.Kind, p.order.Job, p.order.Purpose)
}

// begin makes the move known to those who wish.
func (p *process) begin(j *migrate.Job) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		return migrate.ErrAborted
	}
	p.job = j
	return nil
}

func (p *process) emit(e event.Event) { p.out.Emit(e) }

func (p *process) phase(id model.PhaseID, s model.PhaseStatus, detail string) {
	p.emit(event.Event{Type: event.TypePhase, Phase: &model.Phase{ID: id, Status: s, Detail: detail, At: time.Now().UTC()}})
}

// end makes the result durable, then shows it. A result that leaves something
// to do does not end the journal.
func (p *process) end(r model.Result) {
	v := p.journal.View()
	if r.Outcome != model.OutcomePerson && !v.AwaitsConfirm() && !v.Over {
		if err := p.journal.Append(journal.Record{Kind: journal.Ended, Result: &r}); err != nil {
			r.Outcome, r.Reason = model.OutcomePerson, err.Error()
		}
	}
	p.emit(event.Event{Type: event.TypeResult, Result: &r})
}

// ends waits for both nodes and binds the VM to them.
func (p *process) ends(ctx context.Context, wait bool) (src, dst *ends.End, err error) {
	var es [2]*ends.End
	for i, name := range []model.NodeName{p.plan().From, p.plan().To} {
		n, ok := p.fleet.Node(name)
		if !ok {
			return nil, nil, fmt.Errorf("node %s is not in the configuration", name)
		}
		if wait {
			waitCtx, cancel := context.WithTimeout(ctx, 2*p.order.Config.SSH.ConnectTimeout)
			err := n.Wait(waitCtx)
			cancel()
			if err != nil {
				return nil, nil, err
			}
		}
		es[i] = ends.New(n, p.plan().VM)
	}
	return es[0], es[1], nil
}

// build makes the move from the journal's plan.
func (p *process) build(src, dst *ends.End) *migrate.Job {
	apps := p.order.Config.Applications
	name := p.plan().VMName
	return migrate.New(migrate.Env{
		Journal: p.journal, Source: src, Target: dst, Emit: p.emit, Now: time.Now, By: p.order.By,
		Health: func(ctx context.Context, stage model.CheckStage, baseline []model.CheckResult, report func(model.CheckResult)) []model.CheckResult {
			at := src
			if stage != model.StageBaseline {
				at = dst
			}
			return health.Run(ctx, ends.Patient{End: at}, stage, health.Options{Applications: apps, VMName: name, Baseline: baseline}, report)
		},
	})
}

// replan makes the plan again with fresh facts, before anything is done.
func (p *process) replan(ctx context.Context) (model.Plan, error) {
	plan, err := survey.Plan(ctx, p.fleet, survey.Local{Store: p.store, Own: p.order.Job, SendsBack: p.order.SendsBack}, p.plan().Request, time.Now)
	if err != nil {
		return plan, err
	}
	if b := plan.Blocking(); b != nil {
		return plan, &refusal{*b}
	}
	return plan, p.journal.Append(journal.Record{Kind: journal.Replanned, Plan: &plan})
}

type refusal struct{ model.Finding }

func (r *refusal) Error() string { return r.Title + ": " + r.Detail }
