package health

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"horcrux/engine/model"
)

const (
	// window is how long counters are watched to see whether they move.
	window = time.Second
	// looks is how often they are read in a window: a counter that moves is
	// believed at once, one that does not is watched to the end.
	looks = 4
	// maxWindows: after a move a guest may need a moment before it writes again.
	maxWindows = 5
	// statusPause and statusPatience: the state may lag behind the resume.
	statusPause    = 100 * time.Millisecond
	statusPatience = 2 * time.Second
)

// exam is one run: readings that several checks need are taken once.
type exam struct {
	ctx    context.Context
	cancel context.CancelFunc
	t      Target
	stage  model.CheckStage
	o      Options

	state   memo[model.DomainStatus]
	def     memo[domain]
	samples [maxWindows*looks + 1]memo[model.DomainStats]
	mu      sync.Mutex
	asked   map[string]*memo[json.RawMessage]
	// agent is held by whoever talks to the guest agent: libvirt serves one
	// question at a time and would make the others wait inside their deadline.
	agent chan struct{}
}

func newExam(ctx context.Context, t Target, stage model.CheckStage, o Options) *exam {
	e := &exam{t: t, stage: stage, o: o.filled(), asked: map[string]*memo[json.RawMessage]{}, agent: make(chan struct{}, 1)}
	e.ctx, e.cancel = context.WithCancel(ctx)
	if e.o.HTTP == nil {
		e.o.HTTP = newHTTPClient(e.ctx, e.o.Dial)
	}
	return e
}

func (e *exam) close() { e.cancel() }

// memo is a reading that is taken once and waited for by all who need it.
type memo[T any] struct {
	once sync.Once
	done chan struct{}
	v    T
	err  error
}

// get takes the reading in the exam's time, not in that of the first to ask.
func (m *memo[T]) get(ctx context.Context, e *exam, read func(context.Context) (T, error)) (T, error) {
	m.once.Do(func() {
		m.done = make(chan struct{})
		go func() {
			defer close(m.done)
			defer func() {
				if p := recover(); p != nil {
					m.err = fmt.Errorf("the reading broke: %v", p)
				}
			}()
			m.v, m.err = read(e.ctx)
		}()
	})
	select {
	case <-m.done:
		return m.v, m.err
	case <-ctx.Done():
		var zero T
		return zero, timedOut(ctx)
	}
}

func timedOut(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	return ctx.Err()
}

// status is the domain's state; after a move it is asked again until it is
// what the baseline makes one expect, for a short while.
func (e *exam) status(ctx context.Context) (model.DomainStatus, error) {
	return e.state.get(ctx, e, func(ctx context.Context) (model.DomainStatus, error) {
		until := e.o.Clock.Now().Add(statusPatience)
		for {
			st, err := e.t.Status(ctx)
			if e.stage != model.StageAfter || err == nil && st.State == e.expected() || !e.o.Clock.Now().Before(until) {
				return st, err
			}
			if e.o.Clock.Sleep(ctx, statusPause) != nil {
				return st, err
			}
		}
	})
}

// expected is the state that the VM should have after a move.
func (e *exam) expected() model.DomainState {
	if b := e.o.baseline(model.CheckRunning); b != nil && b.Facts[factState] == string(model.StatePaused) {
		return model.StatePaused
	}
	return model.StateRunning
}

// still tells that the guest is paused and is not expected to answer.
func (e *exam) still(ctx context.Context) bool {
	st, err := e.status(ctx)
	return err == nil && (st.State == model.StatePaused || st.State == model.StateSuspended)
}

// ended tells that the guest has no process any more: nobody in it will answer,
// however long a guest may take to boot.
func (e *exam) ended(ctx context.Context) bool {
	st, err := e.t.Status(ctx)
	return err == nil && !st.Live()
}

func (e *exam) domain(ctx context.Context) (domain, error) {
	return e.def.get(ctx, e, func(ctx context.Context) (domain, error) {
		text, err := e.t.XML(ctx)
		if err != nil {
			return domain{}, err
		}
		return parseDomain(text)
	})
}

// sample is the nth reading of the counters, looks of them in a window.
func (e *exam) sample(ctx context.Context, n int) (model.DomainStats, error) {
	return e.samples[n].get(ctx, e, func(ctx context.Context) (model.DomainStats, error) {
		if n > 0 {
			if _, err := e.sample(ctx, n-1); err != nil {
				return model.DomainStats{}, err
			}
			if err := e.o.Clock.Sleep(ctx, window/looks); err != nil {
				return model.DomainStats{}, err
			}
		}
		return e.t.Stats(ctx)
	})
}

// qmp asks QEMU once per command.
func (e *exam) qmp(ctx context.Context, command string, into any) error {
	e.mu.Lock()
	m := e.asked[command]
	if m == nil {
		m = &memo[json.RawMessage]{}
		e.asked[command] = m
	}
	e.mu.Unlock()
	raw, err := m.get(ctx, e, func(ctx context.Context) (json.RawMessage, error) {
		return e.t.QMP(ctx, command, nil)
	})
	if err != nil {
		return err
	}
	return decode(command, raw, into)
}

// decode reads an answer; a value of another shape is an error that names the
// question.
func decode(command string, raw json.RawMessage, into any) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("the answer to %s is not understood", command)
	}
	return nil
}

// holdAgent waits for the agent to be free.
func (e *exam) holdAgent(ctx context.Context) (release func(), err error) {
	select {
	case e.agent <- struct{}{}:
		return func() { <-e.agent }, nil
	case <-ctx.Done():
		return nil, timedOut(ctx)
	}
}

func (e *exam) askAgent(ctx context.Context, limit time.Duration, command string, args, into any) error {
	release, err := e.holdAgent(ctx)
	if err != nil {
		return err
	}
	defer release()
	return e.askHeld(ctx, limit, command, args, into)
}

// askHeld is askAgent for one who holds the agent.
func (e *exam) askHeld(ctx context.Context, limit time.Duration, command string, args, into any) error {
	raw, err := e.t.Agent(ctx, command, args, limit)
	if err != nil || into == nil {
		return err
	}
	return decode(command, raw, into)
}
