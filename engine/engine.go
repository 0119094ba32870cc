package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"horcrux/config"
	"horcrux/engine/audit"
	"horcrux/engine/ends"
	"horcrux/engine/event"
	"horcrux/engine/fleet"
	"horcrux/engine/inventory"
	"horcrux/engine/jobs"
	"horcrux/engine/maintenance"
	"horcrux/engine/model"
	"horcrux/engine/survey"
	"horcrux/engine/transport"
	"horcrux/engine/worker"
	"horcrux/health"
)

// Options are what an engine needs besides the configuration.
type Options struct {
	// StateDir holds the jobs; empty for $XDG_STATE_HOME/horcrux.
	StateDir string
	// Worker is the command that becomes a job's process.
	Worker []string
	// Prompter asks what a login needs a person for; nil if nobody can be asked.
	Prompter transport.Prompter
	// Desk puts those questions into the updates of Watch instead, to be
	// answered with Answer; Prompter is not used then.
	Desk bool
	// Env reads the environment.
	Env func(string) string
	// Begin holds all connections back until it is closed; nil for at once.
	Begin <-chan struct{}
	// Only restricts the connections to these nodes; empty means all.
	Only []model.NodeName
}

// Engine is the Service over real hosts.
type Engine struct {
	cfg    config.Config
	opt    Options
	fleet  *fleet.Fleet
	inv    *inventory.Inventory
	store  *jobs.Store
	secret *remembering
	desk   *desk

	maintenance *maintenance.Store
	book        *logbook

	mu     sync.Mutex // guards viewer, latest and turn
	viewer *jobs.Viewer
	latest []model.Job
	turn   uint64 // counts the changes of jobs that were seen
}

// StateDir is where jobs are kept, for an environment.
func StateDir(env func(string) string) (string, error) {
	if d := env("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "horcrux"), nil
	}
	if h := env("HOME"); filepath.IsAbs(h) {
		return filepath.Join(h, ".local", "state", "horcrux"), nil
	}
	return "", errors.New("cannot tell where to keep the jobs: set HOME or XDG_STATE_HOME")
}

// Open connects to the nodes and returns at once; what is known grows from then.
func Open(cfg config.Config, o Options) (*Engine, error) {
	if o.StateDir == "" {
		d, err := StateDir(o.Env)
		if err != nil {
			return nil, err
		}
		o.StateDir = d
	}
	store, err := jobs.Open(o.StateDir)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, opt: o, store: store, viewer: store.Viewer(), desk: newDesk()}
	if o.Desk {
		o.Prompter = e.desk
	}
	e.maintenance, e.book = maintenance.Open(o.StateDir), newLogbook(o.StateDir)
	e.secret = &remembering{ask: o.Prompter, trusted: e.trust}
	fo := fleet.Options{Only: o.Only, Turns: e.store.LoginsDir(), Log: e.heard, Begin: o.Begin}
	if o.Prompter != nil {
		fo.Prompter = e.secret
	}
	e.fleet = fleet.Open(cfg, fo)
	e.inv = inventory.New(e.fleet, cfg.PollInterval)
	return e, nil
}

// closeWithin bounds Close. Connections take a second to end with calls on the
// way; whatever takes longer ends with the process.
const closeWithin = 1500 * time.Millisecond

// Close ends the connections.
func (e *Engine) Close() error {
	done := make(chan struct{})
	go func() {
		e.inv.Close()
		e.fleet.Close()
		close(done)
	}()
	t := time.NewTimer(closeWithin)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
	}
	e.book.close()
	return nil
}

// Wait waits until every node has answered or is known not to, and its first
// facts are there.
func (e *Engine) Wait(ctx context.Context) error { return e.inv.Wait(ctx) }

// Snapshot is the newest inventory, with the jobs that have hold of VMs.
func (e *Engine) Snapshot() model.Cluster { return e.complete(e.inv.Snapshot()) }

// complete adds what the journals on this machine know.
func (e *Engine) complete(c model.Cluster) model.Cluster {
	e.mu.Lock()
	jobs := e.latest
	e.mu.Unlock()
	return e.maintenance.Onto(withMarks(withJobs(c, jobs), e.store.Console()))
}

// withMarks tells the marks of this console from those of others.
func withMarks(c model.Cluster, own string) model.Cluster {
	cloned := false
	for i, v := range c.VMs {
		if v.Mark == nil || v.Mark.Ours == (v.Mark.Console == own) {
			continue
		}
		if !cloned {
			c.VMs, cloned = slices.Clone(c.VMs), true
		}
		w, m := *v, *v.Mark
		m.Ours = m.Console == own
		w.Mark = &m
		c.VMs[i] = &w
	}
	return c
}

// withJobs marks the VMs that moves have hold of, and the copies that are only
// being built.
func withJobs(c model.Cluster, js []model.Job) model.Cluster {
	held := map[model.UUID]model.Job{}
	for _, j := range slices.Backward(js) { // the newest last, so that it wins
		if !j.State.Ended() {
			held[j.VM] = j
		}
	}
	bound, incoming, running := around(c.VMs)
	if len(held)+len(bound)+len(incoming) == 0 {
		return c
	}
	var vms []*model.VM
	for i, v := range c.VMs {
		j, ok := held[v.UUID]
		mine := ok && !v.Tombstone
		arriving := v.State == model.StatePaused &&
			((mine && !j.Switched && v.Node == j.To) || bound[v.UUID] == v.Node || (v.Reason == "migration" && running[v.UUID]))
		if !mine && !arriving {
			continue
		}
		if vms == nil {
			vms = slices.Clone(c.VMs)
		}
		w := *v
		w.Arriving = arriving
		if mine {
			w.Job = j.ID
		}
		vms[i] = &w
	}
	if vms != nil {
		c.VMs = vms
	}
	return c
}

// around gathers what tells a copy that is being built from the VM: where moves
// of any console are bound for, what waits for a migration to come in, and
// which of those run somewhere.
func around(vms []*model.VM) (bound map[model.UUID]model.NodeName, incoming, running map[model.UUID]bool) {
	bound, incoming, running = map[model.UUID]model.NodeName{}, map[model.UUID]bool{}, map[model.UUID]bool{}
	for _, v := range vms {
		// The source has the mark of any console, and is alive until the switch.
		if m := v.Mark; m != nil && m.Role == model.RoleMoving && m.From == v.Node && (v.State == model.StateRunning || v.State == model.StatePaused) {
			bound[v.UUID] = m.To
		}
		if v.State == model.StatePaused && v.Reason == "migration" {
			incoming[v.UUID] = true
		}
	}
	for i := range vms {
		if len(incoming) > 0 && incoming[vms[i].UUID] && vms[i].State == model.StateRunning {
			running[vms[i].UUID] = true
		}
	}
	return bound, incoming, running
}

// Jobs lists all jobs, newest first.
func (e *Engine) Jobs(context.Context) ([]model.Job, error) {
	js, _, err := e.jobs()
	return js, err
}

// jobs also numbers what it returns, since whoever asks first is told of a change.
func (e *Engine) jobs() ([]model.Job, uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	js, changed, err := e.viewer.Jobs()
	if changed {
		e.turn++
	}
	if err == nil {
		e.latest = js
	}
	return slices.Clone(js), e.turn, err
}

// Job is one job, by its whole name or a unique beginning of it.
func (e *Engine) Job(prefix string) (model.Job, error) {
	id, err := e.store.Resolve(prefix)
	if err != nil {
		return model.Job{}, err
	}
	return e.job(id)
}

func (e *Engine) job(id model.JobID) (model.Job, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.viewer.Job(id)
}

// jobsEvery is how soon a change of a job is seen.
const jobsEvery = 250 * time.Millisecond

// looksRest bounds what pictures of the cluster cost, whatever the news: making
// one takes at most one part in so many of the time.
const looksRest = 50

// Watch sends an update at once and then whenever something changed: soon for
// what is urgent, after a while for figures, later for what nobody sees.
func (e *Engine) Watch(ctx context.Context) <-chan Update {
	out := make(chan Update, 1)
	go func() {
		defer close(out)
		js, turn, _ := e.jobs()
		first := e.Snapshot()
		pending := Update{Cluster: &first, Jobs: orEmpty(js)}
		tick := time.NewTicker(jobsEvery)
		defer tick.Stop()
		changed, stop := e.inv.Subscribe()
		defer stop()
		again := time.NewTimer(0) // when the cluster is looked at again
		defer again.Stop()
		last, next := time.Now(), time.Now() // the last look, and the soonest moment for another
		due := next                          // zero when none is due
		by := func(at time.Time) {
			if at = later(at, next); due.IsZero() || at.Before(due) {
				due = at
				again.Reset(time.Until(at))
			}
		}
		for {
			var sink chan Update
			if pending.Cluster != nil || pending.Jobs != nil || pending.Questions != nil {
				sink = out
			}
			select {
			case sink <- pending:
				pending = Update{}
			case <-changed:
				_, gap := e.inv.News()
				by(last.Add(gap))
			case <-again.C:
				due, last = time.Time{}, time.Now()
				c := e.complete(e.inv.Show())
				pending.Cluster = &c
				next = time.Now().Add(time.Since(last) * looksRest)
			case <-e.desk.changed:
				pending.Questions = e.desk.list()
			case <-tick.C:
				if e.maintenance.Changed() {
					by(last)
				}
				if js, now, err := e.jobs(); err == nil && now != turn {
					turn = now
					pending.Jobs = orEmpty(js)
					by(last)
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func orEmpty(js []model.Job) []model.Job {
	if js == nil {
		return []model.Job{}
	}
	return js
}

// Plan makes the pre-flight of one move.
func (e *Engine) Plan(ctx context.Context, r model.Request) (model.Plan, error) {
	return survey.Plan(ctx, e.fleet, survey.Local{Store: e.store}, r, time.Now)
}

// Start hands a plan to a process of its own.
func (e *Engine) Start(ctx context.Context, p model.Plan) (model.JobID, error) {
	return e.start(ctx, p, "")
}

func (e *Engine) start(ctx context.Context, p model.Plan, sendsBack model.JobID) (model.JobID, error) {
	p = maintenance.Judge(e.store.Root(), p)
	if b := p.Blocking(); b != nil {
		return "", &Refused{Plan: p, Finding: *b}
	}
	id, err := e.store.Make()
	if err != nil {
		return "", err
	}
	what := audit.Entry{
		Act: "migrate", Job: string(id), VM: p.VMName, Node: string(p.From), To: string(p.To), Outcome: "begun", Detail: "mode " + string(p.Mode),
	}
	err = e.Act(what, func() error {
		o := e.order(worker.Move, id)
		o.Plan, o.SendsBack = &p, sendsBack
		o.Also = boundFor(e.Snapshot(), p)
		return worker.Spawn(ctx, e.opt.Worker, e.store, o)
	})
	if err != nil {
		if _, statErr := e.job(id); statErr != nil {
			_ = e.store.Discard(id)
		}
		return "", err
	}
	return id, nil
}

func (e *Engine) order(p worker.Purpose, id model.JobID) worker.Order {
	o := worker.Order{Purpose: p, StateDir: e.store.Root(), Job: id, By: Who(e.opt.Env), Who: audit.Who(e.opt.Env), Config: e.cfg}
	o.Passphrases, o.Answers = e.secret.all()
	o.Answered = e.fleet.Answered()
	return o
}

// Refused says that a pre-flight forbids the move; nothing was changed.
type Refused struct {
	Plan    model.Plan
	Finding model.Finding
}

func (r *Refused) Error() string {
	s := fmt.Sprintf("cannot move %s to %s: %s: %s", r.Plan.VMName, r.Plan.To, r.Finding.Title, r.Finding.Detail)
	if r.Finding.Remedy != "" {
		s += ": " + r.Finding.Remedy
	}
	return s
}

// Follow replays what a job said and goes on until its process ends.
func (e *Engine) Follow(ctx context.Context, id model.JobID) (<-chan event.Event, error) {
	return e.store.Follow(ctx, id)
}

// Health makes the eight checks of a VM now.
func (e *Engine) Health(ctx context.Context, vm model.UUID, node model.NodeName, report func(model.CheckResult)) error {
	n, ok := e.fleet.Node(node)
	if !ok {
		return fmt.Errorf("node %s is not in the configuration", node)
	}
	if err := n.Wait(ctx); err != nil {
		return err
	}
	at := ends.New(n, vm)
	st, err := at.Status(ctx)
	if err != nil {
		return fmt.Errorf("cannot look at the VM on %s: %w", node, err)
	}
	if st.State == model.StateMissing {
		return fmt.Errorf("%s has no VM with UUID %s", node, vm)
	}
	health.Run(ctx, ends.Patient{End: at}, model.StageNow, health.Options{Applications: e.cfg.Applications, VMName: e.nameOf(vm)}, report)
	return nil
}

func (e *Engine) nameOf(vm model.UUID) string {
	for _, v := range e.inv.Snapshot().VMs {
		if v.UUID == vm {
			return v.Name
		}
	}
	return string(vm)
}

// Doctor looks at every node, all at once, and reports each as it is done.
func (e *Engine) Doctor(ctx context.Context, report func(NodeReport)) error {
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for _, n := range e.fleet.Nodes() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f := survey.Doctor(ctx, n)
			mu.Lock()
			defer mu.Unlock()
			report(NodeReport{Node: n.Name(), Findings: f})
		}()
	}
	wg.Wait()
	return ctx.Err()
}
