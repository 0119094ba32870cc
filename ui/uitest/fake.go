// Package uitest holds what tests of the console, and its preview, are made
// with: an engine that says what a script says, a cluster to look at, and the
// course of a move.
//
// Nothing here talks to a host, and the real program never imports it: it is
// for layout and flow only, and proves nothing about moving a VM.
package uitest

import (
	"context"
	"fmt"
	"sync"

	"horcrux/engine"
	"horcrux/engine/event"
	"horcrux/engine/model"
)

// Did is a wish that was passed to a job.
type Did struct {
	Job     model.JobID
	Command model.Command
}

// Fake is an engine.Service whose answers are set by the test. Its methods may
// be called from any goroutine.
type Fake struct {
	// PlanFunc and StartFunc answer Plan and Start; DoFunc answers Do. Nil ones
	// give a plan that passes, a job named "job-1" and so on, and no error.
	PlanFunc  func(model.Request) (model.Plan, error)
	StartFunc func(model.Plan) (model.JobID, error)
	DoFunc    func(model.JobID, model.Command) error

	mu      sync.Mutex
	cluster model.Cluster
	jobs    []model.Job
	watch   chan engine.Update
	said    map[model.JobID][]event.Event
	follow  map[model.JobID]chan event.Event
	asked   []model.Request
	started []model.Plan
	did     []Did
}

var _ engine.Service = (*Fake)(nil)

// NewFake makes an engine that shows a cluster and jobs.
func NewFake(c model.Cluster, jobs []model.Job) *Fake {
	f := &Fake{
		cluster: c, jobs: jobs, watch: make(chan engine.Update, 64),
		said: map[model.JobID][]event.Event{}, follow: map[model.JobID]chan event.Event{},
	}
	f.watch <- engine.Update{Cluster: &c, Jobs: jobs}
	return f
}

// Push tells the console of a new state of the cluster and of jobs; nil leaves
// either as it is.
func (f *Fake) Push(c *model.Cluster, jobs []model.Job) {
	f.mu.Lock()
	if c != nil {
		f.cluster = *c
	}
	if jobs != nil {
		f.jobs = jobs
	}
	f.mu.Unlock()
	f.watch <- engine.Update{Cluster: c, Jobs: jobs}
}

// Say makes a job say events; whoever follows it hears them.
func (f *Fake) Say(id model.JobID, events ...event.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, e := range events {
		e.Job, e.Seq = id, uint64(len(f.said[id])+1)
		f.said[id] = append(f.said[id], e)
		if ch := f.follow[id]; ch != nil {
			ch <- e
		}
	}
}

// End closes the stream of a job: its process is gone.
func (f *Fake) End(id model.JobID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ch := f.follow[id]; ch != nil {
		close(ch)
		delete(f.follow, id)
	}
}

// Asked lists the pre-flights that were asked for.
func (f *Fake) Asked() []model.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]model.Request(nil), f.asked...)
}

// Started lists the plans that were started.
func (f *Fake) Started() []model.Plan {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]model.Plan(nil), f.started...)
}

// Done lists the wishes that were passed to jobs.
func (f *Fake) Done() []Did {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Did(nil), f.did...)
}

// Snapshot implements engine.Service.
func (f *Fake) Snapshot() model.Cluster {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cluster
}

// Watch implements engine.Service.
func (f *Fake) Watch(context.Context) <-chan engine.Update { return f.watch }

// Plan implements engine.Service.
func (f *Fake) Plan(_ context.Context, r model.Request) (model.Plan, error) {
	f.mu.Lock()
	f.asked = append(f.asked, r)
	f.mu.Unlock()
	if f.PlanFunc != nil {
		return f.PlanFunc(r)
	}
	return model.Plan{Request: r, VMName: string(r.VM)}, nil
}

// Start implements engine.Service.
func (f *Fake) Start(_ context.Context, p model.Plan) (model.JobID, error) {
	f.mu.Lock()
	f.started = append(f.started, p)
	n := len(f.started)
	f.mu.Unlock()
	if f.StartFunc != nil {
		return f.StartFunc(p)
	}
	return model.JobID(fmt.Sprintf("job-%d", n)), nil
}

// Do implements engine.Service.
func (f *Fake) Do(_ context.Context, id model.JobID, c model.Command) error {
	f.mu.Lock()
	f.did = append(f.did, Did{id, c})
	f.mu.Unlock()
	if f.DoFunc != nil {
		return f.DoFunc(id, c)
	}
	return nil
}

// Jobs implements engine.Service.
func (f *Fake) Jobs(context.Context) ([]model.Job, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.jobs, nil
}

// Follow implements engine.Service.
func (f *Fake) Follow(_ context.Context, id model.JobID) (<-chan event.Event, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	ch := make(chan event.Event, 4096)
	for _, e := range f.said[id] {
		ch <- e
	}
	f.follow[id] = ch
	return ch, nil
}

// Health implements engine.Service.
func (f *Fake) Health(context.Context, model.UUID, model.NodeName, func(model.CheckResult)) error {
	return nil
}

// Doctor implements engine.Service.
func (f *Fake) Doctor(context.Context, func(engine.NodeReport)) error { return nil }

// Close implements engine.Service.
func (f *Fake) Close() error { return nil }
