// Package uitest holds what tests of the console, and its preview, are made
// with: an engine that says what a script says, a cluster to look at, and the
// course of a move.
//
// Nothing here talks to a host, and the real program never imports it: it is
// for layout and flow only, and proves nothing about moving a VM.
package uitest

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	// VM and Node answer VMDetails and NodeDetails, DetailErr in their place;
	// Report and Checks are what Doctor and Health report, ActErr what acts meet.
	VM        model.VMDetails
	Node      model.NodeDetails
	DetailErr error
	Report    []engine.NodeReport
	Checks    []model.CheckResult
	ActErr    error

	// Sight is what Look said last.
	Sight model.Sight

	acts []string
	book []model.LogEntry

	mu      sync.Mutex
	cluster model.Cluster
	jobs    []model.Job
	watch   chan engine.Update
	said    map[model.JobID][]event.Event
	follow  map[model.JobID]chan event.Event
	asked   []model.Request
	started []model.Plan
	did     []Did

	answered  []Answered
	unsettled []engine.Unsettled
}

var _ engine.Service = (*Fake)(nil)

// SetUnsettled sets what Unsettled answers.
func (f *Fake) SetUnsettled(us []engine.Unsettled) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.unsettled = us
}

// Unsettled implements engine.Service.
func (f *Fake) Unsettled(context.Context) ([]engine.Unsettled, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.unsettled, nil
}

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
func (f *Fake) Health(_ context.Context, _ model.UUID, _ model.NodeName, report func(model.CheckResult)) error {
	for _, c := range f.Checks {
		report(c)
	}
	return f.DetailErr
}

// Doctor implements engine.Service.
func (f *Fake) Doctor(_ context.Context, report func(engine.NodeReport)) error {
	for _, r := range f.Report {
		report(r)
	}
	return f.DetailErr
}

// Answer implements engine.Service; what was answered is kept for Answered.
func (f *Fake) Answer(id string, answers []string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered = append(f.answered, Answered{id, answers})
	return nil
}

// Answered is a reply to a question; nil answers declined it.
type Answered struct {
	ID      string
	Answers []string
}

// Answers lists the replies so far.
func (f *Fake) Answers() []Answered {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Answered(nil), f.answered...)
}

// Ask puts questions to the console.
func (f *Fake) Ask(qs ...model.Question) { f.watch <- engine.Update{Questions: qs} }

// Reconnect implements engine.Service.
func (f *Fake) Reconnect(model.NodeName) error { return nil }

// Close implements engine.Service.
func (f *Fake) Close() error { return nil }

// Acted is an act on a VM or a node, in words.
func (f *Fake) Acted() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]string(nil), f.acts...)
}

func (f *Fake) act(format string, args ...any) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.acts = append(f.acts, fmt.Sprintf(format, args...))
	return f.ActErr
}

// Power implements engine.Service.
func (f *Fake) Power(_ context.Context, vm model.UUID, node model.NodeName, act model.PowerAct) error {
	return f.act("%s %s on %s", act, vm, node)
}

// SnapshotAct implements engine.Service.
func (f *Fake) SnapshotAct(_ context.Context, vm model.UUID, node model.NodeName, act model.SnapshotAct) error {
	return f.act("snapshot %s %q of %s on %s", act.Kind, act.Name, vm, node)
}

// Maintain implements engine.Service.
func (f *Fake) Maintain(_ context.Context, node model.NodeName, on bool, why string) error {
	return f.act("maintain %s %v %q", node, on, why)
}

// VMDetails implements engine.Service.
func (f *Fake) VMDetails(context.Context, model.UUID, model.NodeName) (model.VMDetails, error) {
	return f.VM, f.DetailErr
}

// NodeDetails implements engine.Service.
func (f *Fake) NodeDetails(context.Context, model.NodeName) (model.NodeDetails, error) {
	return f.Node, f.DetailErr
}

// Console implements engine.Service; there is none.
func (f *Fake) Console(context.Context, model.UUID, model.NodeName, bool) (io.ReadWriteCloser, error) {
	return nil, errors.New("there is no console here")
}

// Note implements engine.Service.
func (f *Fake) Note(l model.LogEntry) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.book = append([]model.LogEntry{l}, f.book...)
}

// Log implements engine.Service.
func (f *Fake) Log(context.Context, int) ([]model.LogEntry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]model.LogEntry(nil), f.book...), nil
}

// Look implements engine.Service.
func (f *Fake) Look(s model.Sight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Sight = s
}
