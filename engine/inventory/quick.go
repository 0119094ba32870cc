package inventory

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/pulse"
	"horcrux/engine/virt"
)

const (
	// share keeps the questions below a third of a slow node's time.
	share = 3
	// soonest is between two readings, however many hints there are.
	soonest = 100 * time.Millisecond
	// patience bounds one reading; the fleet judges the connection itself.
	patience = 30 * time.Second
	// paled is the age from which a figure on screen does not wait for company
	// when it is known again: it may be shown as old already.
	paled = 4 * time.Second
)

// quick reads domains, counters and load as they are due, again and again.
func (w *watcher) quick(ctx context.Context, conn *virt.Conn) {
	for ctx.Err() == nil {
		q, wait := w.due(time.Now())
		if q.none() {
			if !pause(ctx, wait, w.now) {
				return
			}
			continue
		}
		began := time.Now()
		w.read(ctx, conn, q)
		took := time.Since(began)
		if !pause(ctx, max(soonest-took, 0), nil) || !pause(ctx, took*(share-1), w.now) {
			return
		}
	}
}

// pause waits, or less if hint says so; false when ctx has ended.
func pause(ctx context.Context, d time.Duration, hint <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-hint:
	case <-ctx.Done():
	}
	return ctx.Err() == nil
}

// question is what is asked of a node at one time.
type question struct {
	list, load bool
	all        bool         // the counters of all domains
	ids        []model.UUID // or of these
}

func (q question) none() bool { return !q.list && !q.load && !q.all && len(q.ids) == 0 }

// due tells what is to be asked now, and, if that is nothing, when the next
// thing will be. What is nearly due goes along with what is.
func (w *watcher) due(now time.Time) (q question, wait time.Duration) {
	p := w.inv.pace(w.deaf.Load())
	w.mu.Lock()
	defer w.mu.Unlock()
	wait = slowest
	ripe := func(at time.Time, every time.Duration) bool {
		left := every - now.Sub(at)
		if left <= every/8 {
			return true
		}
		wait = min(wait, pulse.Together(left, every/8))
		return false
	}
	if left := w.retryAt.Sub(now); left > 0 {
		wait = left
	} else if ripe(w.sweptAt, w.spread(p.sweep)) {
		clear(w.hints)
		return question{list: true, load: true, all: true}, 0
	}
	q.list = w.relist
	near := false
	for id := range w.sight.close {
		if v := w.vms[id]; v != nil {
			near = true
			if v.hinted() || ripe(v.askedAt, p.close) {
				q.ids = append(q.ids, id)
			}
		}
	}
	for id := range w.sight.rows {
		if _, asked := w.sight.close[id]; asked {
			continue
		}
		if v := w.vms[id]; v != nil && (v.hinted() || ripe(v.askedAt, p.shown)) {
			q.ids = append(q.ids, id)
		}
	}
	for id := range w.hints { // of what nobody sees: its state is to be right all the same
		if v := w.vms[id]; v != nil && v.hinted() && !w.sight.names(id) {
			q.ids = append(q.ids, id)
		}
	}
	clear(w.hints)
	switch {
	case near:
		q.load = ripe(w.loadAt, p.close)
	case w.sight.node:
		q.load = ripe(w.loadAt, p.load)
	}
	if 2*len(q.ids) > len(w.vms) {
		q.all, q.ids = true, nil
	}
	return q, wait
}

// spread keeps the nodes from being swept at the same time: the first round
// after all were read at the start is of another length for each.
func (w *watcher) spread(every time.Duration) time.Duration {
	if w.sweeps != 1 {
		return every
	}
	return every/3 + 2*every/3*time.Duration(w.place%16)/16
}

func (w *watcher) read(parent context.Context, conn *virt.Conn, q question) {
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	var wg sync.WaitGroup
	news := None
	if q.load {
		w.mu.Lock()
		w.loadAt = time.Now() // even if there is none to be had
		w.mu.Unlock()
		wg.Go(func() {
			load, err := conn.Load(ctx)
			if _, answered := virt.Code(err); err == nil || answered {
				w.loaded(load, time.Now())
			}
		})
	}
	failed := false
	if q.list {
		w.mu.Lock()
		w.relist = false // before the question: a hint that comes meanwhile counts
		w.mu.Unlock()
		refs, err := conn.Domains(ctx)
		if err == nil {
			news = max(news, w.listed(refs, time.Now()))
			w.firstList.Do(func() { close(w.listedOnce) })
		}
		failed = err != nil
	}
	if q.all || len(q.ids) > 0 {
		w.asking(q)
		told := 0
		err := conn.EachStats(ctx, q.ids, func(s *model.DomainStats) {
			told++
			news = max(news, w.counted(s))
		})
		failed = failed || err != nil
		if err == nil && told < len(q.ids) {
			w.missed()
		}
	}
	wg.Wait()
	w.mu.Lock()
	switch now := time.Now(); {
	case failed:
		w.failed(now)
	case q.list && q.all:
		w.sweptAt = now
		w.sweeps++
	}
	if q.load && w.sight.node {
		news = max(news, Seen)
	}
	w.mu.Unlock()
	w.touched(max(news, Unseen))
}

// failed has all asked again, in a while, because what a question was about is
// not known; to be called under the lock. Others that fail meanwhile do not put
// that off.
func (w *watcher) failed(now time.Time) {
	w.sweptAt = time.Time{}
	if w.retryAt.Before(now) {
		w.retryAt = now.Add(idle)
	}
}

// asking marks what is asked: a hint that comes from now on asks again.
func (w *watcher) asking(q question) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range q.ids {
		if v := w.vms[id]; v != nil {
			v.askedAt = now
		}
	}
	if q.all {
		for _, v := range w.vms {
			v.askedAt = now
		}
	}
}

// missed has the domains listed again, because the host did not tell of one that
// was asked for; not at once if they just were.
func (w *watcher) missed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relist = w.relist || time.Since(w.listedAt) > idle
}

// listed takes in which domains there are.
func (w *watcher) listed(refs []virt.DomainRef, at time.Time) News {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen, w.listedAt = at, at
	there := make(map[model.UUID]struct{}, len(refs))
	wanted, news := false, Unseen
	for _, r := range refs {
		there[r.UUID] = struct{}{}
		v := w.vms[r.UUID]
		if v == nil {
			v = &vm{ref: r, lot: uint8(rand.Uint32()), wanted: true, doubted: true, hintAt: at}
			w.vms[r.UUID], w.order, news = v, nil, Urgent
		}
		if v.ref != r {
			w.order, news = nil, Urgent
			v.ref, v.wanted, v.doubted, v.hintAt, v.started, v.startAsked, v.setsAt = r, true, true, at, time.Time{}, 0, time.Time{}
			v.shown = nil
			v.askAgain()
		}
		if v.state == "" {
			v.seen, v.shown = at, nil // that much is known
		}
		if v.hinted() {
			w.hints[r.UUID] = struct{}{}
		}
		wanted = wanted || v.wanted
	}
	for id, v := range w.vms {
		if _, ok := there[id]; !ok {
			w.xmlBytes -= v.xmlLen
			delete(w.vms, id)
			w.order, news = nil, Urgent
		}
	}
	if wanted {
		signal(w.look)
	}
	return news
}

// counted takes in the counters of one domain, and keeps nothing of s.
func (w *watcher) counted(s *model.DomainStats) News {
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.vms[s.UUID]
	if v == nil {
		return None
	}
	first, age := v.state == "", s.At.Sub(v.seen)
	if v.heard(s) {
		v.wanted = v.wanted || !first
		signal(w.look)
		return Urgent
	}
	switch {
	case !w.sight.all && !w.sight.names(s.UUID):
		return Unseen
	case age > paled:
		return Urgent
	}
	return Seen
}

// loaded takes in the load of the host; a driver without one gives an empty one.
func (w *watcher) loaded(l virt.HostLoad, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = at
	if l.CPUTotal == 0 && l.MemTotal == 0 {
		return
	}
	if total := l.CPUTotal - w.load.CPUTotal; w.load.CPUTotal > 0 && total > 0 && l.CPUBusy >= w.load.CPUBusy {
		w.percent = min(100*float64(l.CPUBusy-w.load.CPUBusy)/float64(total), 100)
	}
	w.load = l
}

// forgetRates keeps a gap in the connection from looking like one long average.
func (w *watcher) forgetRates() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.load.CPUTotal, w.load.CPUBusy = 0, 0
	w.sweptAt, w.retryAt, w.sweeps = time.Time{}, time.Time{}, 0
	for _, v := range w.vms {
		v.count.at = time.Time{}
		v.wanted = true
	}
}
