package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/migrate"
	"horcrux/engine/model"
	"horcrux/engine/queue"
	"horcrux/engine/survey"
)

const (
	// lookFor is how long a look at the marks of other consoles is taken for the
	// present when a place is taken.
	lookFor = 3 * time.Second
	// lookEvery is how often a move looks again that only moves of other consoles
	// keep waiting.
	lookEvery = 5 * time.Second
	// claimEvery is how often the mark of a waiting move is counted up.
	claimEvery = 30 * time.Second
	// claimLasts is how long a waiting mark that is not counted up is believed:
	// three counts, and time for a slow host.
	claimLasts = 100 * time.Second
	// claimWithin bounds one visit to the nodes.
	claimWithin = 10 * time.Second
	// alsoWithin bounds the part of it at a node that is none of the move's own.
	alsoWithin = 3 * time.Second
)

// claims is what the queues of all consoles know of each other: the mark that
// this move has on its VM while it waits, and the marks of others on its two
// nodes. A node that is silent tells nothing; the move goes by what is known, as
// the limits are a courtesy, and two moves of one VM are kept apart elsewhere.
type claims struct {
	p       *process
	beat    uint64 // that the mark was last written with
	written time.Time
	looked  time.Time
	said    string // the last complaint
	known   map[model.JobID]sighting
	others  []queue.Entry
}

// sighting is the newest mark of a move of another console, and since when it
// has been the same.
type sighting struct {
	mark  model.Mark
	since time.Time
}

// visit looks at both nodes, and at those from which other consoles move to the
// target, and shows on the source that this move waits if it does.
func (c *claims) visit(ctx context.Context, waits bool) {
	ctx, cancel := context.WithTimeout(ctx, claimWithin)
	defer cancel()
	var (
		found []survey.Claim
		errs  []error
	)
	for _, name := range append([]model.NodeName{c.p.plan().From, c.p.plan().To}, c.p.also()...) {
		here, err := c.ask(ctx, name, waits)
		found, errs = append(found, here...), append(errs, err)
	}
	c.take(found, time.Now())
	c.looked = time.Now()
	c.complain(errors.Join(errs...))
}

func (c *claims) ask(ctx context.Context, name model.NodeName, waits bool) ([]survey.Claim, error) {
	if slices.Contains(c.p.also(), name) {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, alsoWithin)
		defer cancel()
	}
	at, err := c.p.at(ctx, name, true)
	if err != nil {
		return nil, err
	}
	if waits && name == c.p.plan().From && time.Since(c.written) >= claimEvery {
		if err := c.show(ctx, at); err != nil {
			return nil, err
		}
	}
	n, _ := c.p.fleet.Node(name)
	return survey.Claims(ctx, n)
}

func (c *claims) complain(err error) {
	if err == nil || err.Error() == c.said {
		return
	}
	c.said = err.Error()
	c.p.emit(event.Event{Type: event.TypeLog, Log: &model.LogLine{
		Level: "warn", Text: "other consoles may not see that this move waits, nor this one what they move: " + c.said,
	}})
}

// take counts what was found: moves of other consoles, each once, and of those
// that wait only the ones whose console shows that it lives.
func (c *claims) take(found []survey.Claim, now time.Time) {
	known := map[model.JobID]sighting{}
	c.others = nil
	for _, f := range found {
		m := f.Mark
		if m.Console == c.p.store.Console() {
			continue
		}
		if _, twice := known[m.Job]; twice {
			continue
		}
		s := sighting{m, now}
		if old, ok := c.known[m.Job]; ok && old.mark.Beat == m.Beat && old.mark.Role == m.Role {
			s = old
		}
		known[m.Job] = s
		if m.Role == model.RoleWaiting && now.Sub(s.since) > claimLasts {
			continue
		}
		c.others = append(c.others, f.Entry())
	}
	c.known = known
	slices.SortFunc(c.others, queue.Before)
}

// show writes the mark, or counts it up. A mark of another move stays: the plan
// that is made at this one's turn will say so.
func (c *claims) show(ctx context.Context, at host) error {
	m, err := at.ReadMark(ctx)
	if err != nil {
		return err
	}
	own := c.p.store.Console()
	if m.Job != "" && m.Job != c.p.order.Job && (m.Role != model.RoleWaiting || m.Console != own) {
		return nil
	}
	next := migrate.Signed(model.RoleWaiting, c.p.journal.View(), c.p.plan(), own, machine())
	next.Beat = c.beat + 1
	if err := at.Mark(ctx, next); err != nil {
		return err
	}
	c.beat, c.written = next.Beat, time.Now()
	return nil
}

// host is the source, as far as a mark is concerned.
type host interface {
	ReadMark(context.Context) (model.Mark, error)
	Mark(context.Context, model.Mark) error
}

// unclaim takes the mark of a move away that waited and did not begin. Without
// its node it stays: no console counts it for long, and recover takes it away.
func (p *process) unclaim(ctx context.Context) {
	if !p.journal.View().Queued {
		return
	}
	p.connect()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimWithin)
	defer cancel()
	src, err := p.at(ctx, p.plan().From, true)
	if err == nil {
		err = src.RemoveMark(ctx)
	}
	if err != nil {
		p.emit(event.Event{Type: event.TypeLog, Log: &model.LogLine{
			Level: "warn", Text: fmt.Sprintf("the mark of this move stays on the VM until %s answers, and is removed by the next horcrux recover then: %v", p.plan().From, err),
		}})
	}
}

// all are the moves of this console and those of others that are known of.
func (c *claims) all(own []queue.Entry) []queue.Entry {
	all := slices.Clone(own)
	for _, e := range c.others {
		if !slices.ContainsFunc(own, func(o queue.Entry) bool { return o.Job == e.Job }) {
			all = append(all, e)
		}
	}
	return all
}

// due tells whether the nodes have to be asked before the verdict counts. With
// own alone is the verdict without the moves of other consoles.
func (c *claims) due(alone, with queue.Verdict, now time.Time) bool {
	age := now.Sub(c.looked)
	switch {
	case alone.Begin && with.Begin:
		return age > lookFor
	case alone.Begin:
		return age > lookEvery
	}
	return now.Sub(c.written) >= claimEvery && age > lookEvery
}
