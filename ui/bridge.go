package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine"
	"horcrux/engine/event"
	"horcrux/engine/model"
	"horcrux/ui/screen"
)

// mergeFor is how long ordinary news is gathered before it is shown: five
// screens a second are enough for numbers, and spare a slow line. Notable news
// (a phase, a state, a result) does not wait.
const mergeFor = 200 * time.Millisecond

// source is a stream of the engine as the root model reads it: one message at
// a time, each asked for after the one before was shown. A slow terminal thus
// holds up nobody; the engine's channels are what buffers.
type source interface {
	// next waits for news and gathers; it runs as a command.
	next() tea.Msg
	// poll is next without waiting; false if there is nothing.
	poll() (tea.Msg, bool)
}

// Messages of the bridge.
type (
	updateMsg  struct{ engine.Update }
	watchEnded struct{}
	// followNews is what a stream of events told; one that was left is not
	// listened to any more, even if another of the same job is open.
	followNews struct {
		from *follow
		msg  tea.Msg
	}
	// followOpened answers the request for the events of a job.
	followOpened struct {
		by     *follow
		events <-chan event.Event
		err    error
	}
)

// lingerFor is how long notable news waits for more of its kind: a replay comes
// as a burst, and nobody sees five milliseconds.
const lingerFor = 5 * time.Millisecond

// gather reads ch: it waits for a first value, then takes what comes until the
// interval since the last time is over, or, once a value is notable, until the
// burst it came in is. It returns false when ch is closed and gave nothing.
func gather[T any](ch <-chan T, last time.Time, take func(T) (notable bool)) bool {
	v, ok := <-ch
	if !ok {
		return false
	}
	wait := mergeFor - time.Since(last)
	if take(v) {
		wait = lingerFor
	}
	if wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
	loop:
		for {
			select {
			case v, ok := <-ch:
				if !ok {
					break loop
				}
				if take(v) {
					timer.Reset(lingerFor)
				}
			case <-timer.C:
				break loop
			}
		}
	}
	sweep(ch, take)
	return true
}

// sweep takes what ch has at once.
func sweep[T any](ch <-chan T, take func(T) bool) (some, closed bool) {
	for {
		select {
		case v, ok := <-ch:
			if !ok {
				return some, true
			}
			take(v)
			some = true
		default:
			return some, false
		}
	}
}

// watch reads the updates of the cluster and of all jobs.
type watch struct {
	ch   <-chan engine.Update
	last time.Time
	jobs map[model.JobID]string // state and phase, as last told
}

func (w *watch) take(into *engine.Update) func(engine.Update) bool {
	return func(u engine.Update) bool {
		if u.Cluster != nil {
			into.Cluster = u.Cluster
		}
		if u.Questions != nil {
			into.Questions = u.Questions
		}
		if u.Jobs != nil {
			into.Jobs = u.Jobs
			return w.changed(u.Jobs) || u.Questions != nil
		}
		return u.Questions != nil
	}
}

// changed tells whether a job is in another state or phase than last time.
func (w *watch) changed(jobs []model.Job) bool {
	now := make(map[model.JobID]string, len(jobs))
	notable := len(jobs) != len(w.jobs)
	for _, j := range jobs {
		now[j.ID] = stage(j)
		notable = notable || w.jobs[j.ID] != now[j.ID]
	}
	w.jobs = now
	return notable
}

// stage is the state and the phase of a job in one word.
func stage(j model.Job) string {
	p := j.Current()
	return string(j.State) + "/" + string(p.ID) + "/" + string(p.Status)
}

func (w *watch) next() tea.Msg {
	var u engine.Update
	if !gather(w.ch, w.last, w.take(&u)) {
		return watchEnded{}
	}
	w.last = time.Now()
	return updateMsg{u}
}

func (w *watch) poll() (tea.Msg, bool) {
	var u engine.Update
	some, closed := sweep(w.ch, w.take(&u))
	switch {
	case some:
		return updateMsg{u}, true
	case closed:
		return watchEnded{}, true
	}
	return nil, false
}

// follow reads the events of one job, for the page that shows it.
type follow struct {
	id     model.JobID
	cancel context.CancelFunc
	ch     <-chan event.Event
	last   time.Time
	// ended is how the job stood when its process had no more to say; it may
	// get another process, for a confirm or a recovery.
	ended string
}

// take adds an event; of readings in a row all are kept, for the spark lines.
func (f *follow) take(into *[]event.Event) func(event.Event) bool {
	return func(e event.Event) bool {
		*into = append(*into, e)
		return e.Notable()
	}
}

func (f *follow) next() tea.Msg {
	var list []event.Event
	if !gather(f.ch, f.last, f.take(&list)) {
		return followNews{f, screen.FollowEnded{ID: f.id}}
	}
	f.last = time.Now()
	return followNews{f, screen.JobEvents{ID: f.id, Events: list}}
}

func (f *follow) poll() (tea.Msg, bool) {
	var list []event.Event
	some, closed := sweep(f.ch, f.take(&list))
	switch {
	case some:
		return followNews{f, screen.JobEvents{ID: f.id, Events: list}}, true
	case closed:
		return followNews{f, screen.FollowEnded{ID: f.id}}, true
	}
	return nil, false
}
