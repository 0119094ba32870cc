package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"horcrux/engine/audit"
	"horcrux/engine/ends"
	"horcrux/engine/event"
	"horcrux/engine/fleet"
	"horcrux/engine/jobs"
	"horcrux/engine/journal"
	"horcrux/engine/maintenance"
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

// afterRecord is called after each durable record. It is nil but in a program
// that was built for crash tests.
var afterRecord func(journal.Record)

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
	// stop is closed by that abort, for a move that waits in the queue.
	stop chan struct{}
	line *line // the move's place in the queue, nil for other purposes
}

func serve(ctx context.Context, o Order, opened func()) error {
	p, unlock, err := open(o)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := p.store.Serve(ctx, o.Job, p.take); err != nil {
		return err
	}
	opened()
	defer func() {
		if p.fleet != nil {
			p.fleet.Close()
		}
	}()
	if o.Purpose == Move {
		defer p.store.DropTicket(o.Job)
		began := time.Now()
		if err := p.await(ctx); err != nil {
			p.notBegun(ctx, err, time.Since(began))
			return nil
		}
	}
	p.connect()
	switch o.Purpose {
	case Move:
		p.move(ctx)
	case Confirm:
		p.confirm(ctx)
	case Recover:
		p.recover(ctx)
	case Restore, Keep:
		p.keep(ctx)
	}
	return nil
}

// connect opens the two nodes, unless it was done. They stay open from then on:
// a login may have cost a person a touch or an answer.
func (p *process) connect() {
	if p.fleet != nil {
		return
	}
	p.fleet = fleet.Open(p.order.Config, fleet.Options{
		Prompter: &secrets{passphrases: p.order.Passphrases, answers: p.order.Answers}, Patience: patience, Turns: p.store.LoginsDir(),
		Answered: p.order.Answered,
		Only:     append([]model.NodeName{p.plan().From, p.plan().To}, p.also()...),
	})
}

// also are the nodes that are only looked at. A login that a person had to answer
// for is not worth that.
func (p *process) also() []model.NodeName {
	if p.order.Purpose != Move || len(p.order.Answers) > 0 {
		return nil
	}
	return p.order.Also
}

// patience is just below the 30 s after which the daemons end a move whose
// client is silent: a shorter break of the network costs nothing. TCP is heard
// of again only 25 s after a cut of more than 12 s, as its pauses double.
const patience = 27 * time.Second

func (p *process) plan() *model.Plan { return p.journal.View().Plan }

// open takes the locks and the journal: a new one for a move, the old one for
// everything else.
func open(o Order) (*process, func(), error) {
	switch o.Purpose {
	case Move, Confirm, Recover, Restore, Keep:
	default:
		return nil, nil, fmt.Errorf("cannot work on job %s: unknown purpose %q", o.Job, o.Purpose)
	}
	p := &process{order: o, stop: make(chan struct{})}
	var held []func()
	unlock := func() {
		for _, f := range slices.Backward(held) {
			f()
		}
	}
	if err := p.openAll(&held); err != nil {
		unlock()
		return nil, nil, err
	}
	return p, unlock, nil
}

// openAll adds to held what has to be let go of again. A move takes the lock of
// its VM before it has a journal, so that one which is refused leaves no job.
func (p *process) openAll(held *[]func()) (err error) {
	o := p.order
	if p.store, err = jobs.Open(o.StateDir); err != nil {
		return err
	}
	lock, err := p.store.Lock(o.Job)
	if err != nil {
		return err
	}
	*held = append(*held, func() { _ = lock.Unlock() })
	plan := o.Plan
	if o.Purpose != Move {
		if p.journal, err = journal.Open(p.store.Dir(o.Job), o.Job, time.Now); err != nil {
			return err
		}
		p.journal.After = afterRecord
		*held = append(*held, func() { p.journal.Close() })
		plan = p.plan()
	}
	if plan == nil {
		return fmt.Errorf("cannot work on job %s: it has no plan", o.Job)
	}
	vmLock, err := p.store.LockVM(plan.VM)
	if err != nil {
		return busyVM(p.store, o.Job, plan, err)
	}
	*held = append(*held, func() { _ = vmLock.Unlock() })
	if o.Purpose == Move {
		if p.journal, err = journal.Create(p.store.Dir(o.Job), o.Job, time.Now); err != nil {
			return err
		}
		p.journal.After = afterRecord
		*held = append(*held, func() { p.journal.Close() })
		if err := p.journal.Append(journal.Record{Kind: journal.Planned, Plan: o.Plan, By: o.By, SendsBack: o.SendsBack}); err != nil {
			return err
		}
	}
	if p.out, err = p.store.Writer(o.Job, time.Now); err != nil {
		return err
	}
	*held = append(*held, func() { p.out.Close() })
	return nil
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
		if !p.stopped {
			p.stopped = true
			close(p.stop)
		}
		return nil
	}
	return fmt.Errorf("cannot %s now: job %s is busy with %s", c.Kind, p.order.Job, p.order.Purpose)
}

// aborted tells that the wish to stop came before there was a move.
func (p *process) aborted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stopped
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

func (p *process) emit(e event.Event) {
	if e.Type == event.TypePhase && e.Phase.ID == model.PhaseSwitch && e.Phase.Status == model.PhaseOK {
		p.line.arrived()
	}
	p.out.Emit(e)
}

func (p *process) phase(id model.PhaseID, s model.PhaseStatus, detail string) {
	p.emitPhase(model.Phase{ID: id, Status: s, Detail: detail, At: time.Now().UTC()})
}

func (p *process) emitPhase(ph model.Phase) {
	p.emit(event.Event{Type: event.TypePhase, Phase: &ph})
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
	p.record(r)
	p.emit(event.Event{Type: event.TypeResult, Result: &r})
}

// record writes into the audit log what came of the job, for whom it was done.
func (p *process) record(r model.Result) {
	plan := p.plan()
	err := audit.Open(p.store.Root()).Append(audit.Entry{
		Actor: p.order.Who, Act: acts[p.order.Purpose], Job: string(p.order.Job), VM: plan.VMName,
		Node: string(plan.From), To: string(plan.To), Outcome: string(r.Outcome), Detail: describe(r),
	})
	if err != nil {
		p.emit(event.Event{Type: event.TypeLog, Log: &model.LogLine{Level: "warn", Text: err.Error()}})
	}
}

// acts are the words of the audit log.
var acts = map[Purpose]string{Move: "migrate", Confirm: "confirm", Recover: "recover", Restore: "restore-source", Keep: "keep"}

func describe(r model.Result) string {
	s := "nobody knows where the VM is"
	if r.Owner != "" {
		s = "the VM is on " + string(r.Owner)
	}
	if r.Reason != "" {
		s += ": " + r.Reason
	}
	return s
}

// ends waits for both nodes and binds the VM to them.
func (p *process) ends(ctx context.Context, wait bool) (src, dst *ends.End, err error) {
	if src, err = p.at(ctx, p.plan().From, wait); err != nil {
		return nil, nil, err
	}
	dst, err = p.at(ctx, p.plan().To, wait)
	return src, dst, err
}

func (p *process) at(ctx context.Context, name model.NodeName, wait bool) (*ends.End, error) {
	n, ok := p.fleet.Node(name)
	if !ok {
		return nil, fmt.Errorf("node %s is not in the configuration", name)
	}
	if wait {
		ctx, cancel := context.WithTimeout(ctx, 2*p.order.Config.SSH.ConnectTimeout)
		defer cancel()
		if err := n.Wait(ctx); err != nil {
			return nil, err
		}
	}
	return ends.New(n, p.plan().VM).ForJob(p.order.Job), nil
}

// machine is the name of the one that this runs on.
func machine() string {
	name, _ := os.Hostname()
	return name
}

// build makes the move from the journal's plan.
func (p *process) build(src, dst *ends.End) *migrate.Job {
	apps := p.order.Config.Applications
	name := p.plan().VMName
	booted := boots(p.plan())
	return migrate.New(migrate.Env{
		Copier: p.copier(), Relay: p.relay(), Detour: p.detour(), Journal: p.journal, Source: src, Target: dst, Emit: p.emit, Now: time.Now, By: p.order.By, Console: p.store.Console(), Machine: machine(),
		Health: func(ctx context.Context, stage model.CheckStage, baseline []model.CheckResult, report func(model.CheckResult)) []model.CheckResult {
			at := src
			if stage != model.StageBaseline {
				at = dst
			}
			return health.Run(ctx, ends.Patient{End: at}, stage, health.Options{Applications: apps, VMName: name, Baseline: baseline, Booted: booted}, report)
		},
	})
}

// boots tells that the guest starts anew in this move.
func boots(p *model.Plan) bool {
	return p.Was.State == model.StateRunning && (p.Mode == model.ModeOffline || p.Mode == model.ModeBlock && p.Options.Finish == model.FinishStop)
}

// fresh is how old a plan may be that is carried out as it is: what it takes to
// start this process.
const fresh = 3 * time.Second

// replan makes the plan again with fresh facts, before anything is done: while
// somebody read it, or it waited its turn, things may have changed.
func (p *process) replan(ctx context.Context) (model.Plan, error) {
	// A mark of maintenance needs no host to be seen, so it is looked at first, and
	// of a plan that is carried out as it is too.
	old := maintenance.Judge(p.store.Root(), *p.plan())
	if b := old.Blocking(); b != nil && b.ID == maintenance.FindingID {
		return old, &refusal{*b}
	}
	if p.journal.View().Last == journal.Planned && time.Since(old.Made) < fresh && old.Blocking() == nil {
		return old, nil
	}
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
