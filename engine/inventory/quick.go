package inventory

import (
	"context"
	"sync"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

const (
	// idle is the interval for nodes on which nothing is looked at.
	idle = 2 * time.Second
	// fewVMs are read at the intervals given here; with more they grow.
	fewVMs = 5000
	// share keeps the questions below a third of a slow node's time.
	share = 3
	// soonest is between two readings, however many hints there are.
	soonest = 100 * time.Millisecond
	// patience bounds one reading; the fleet judges the connection itself.
	patience = 30 * time.Second
)

// quick reads the list of domains, their counters and the host's load, again
// and again.
func (w *watcher) quick(ctx context.Context, conn *virt.Conn) {
	for ctx.Err() == nil {
		began := time.Now()
		w.read(ctx, conn)
		took := time.Since(began)
		if !pause(ctx, max(soonest-took, 0), nil) || !pause(ctx, max(w.interval(), took*share)-took, w.now) {
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

func (w *watcher) interval() time.Duration {
	hot, all := w.inv.hotVMs()
	if all {
		return w.inv.interval
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.vms {
		if _, ok := hot[id]; ok {
			return w.inv.interval
		}
	}
	return max(w.inv.interval, w.inv.unhurried(idle))
}

func (w *watcher) read(parent context.Context, conn *virt.Conn) {
	ctx, cancel := context.WithTimeout(parent, patience)
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if load, err := conn.Load(ctx); err == nil {
			w.loaded(load)
		}
	})
	if refs, err := conn.Domains(ctx); err == nil {
		w.listed(refs, time.Now())
		w.firstList.Do(func() { close(w.listedOnce) })
		if stats, err := conn.AllStats(ctx); err == nil {
			w.counted(stats)
		}
	}
	wg.Wait()
	w.touched()
}

// listed takes in which domains there are.
func (w *watcher) listed(refs []virt.DomainRef, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = at
	there := make(map[model.UUID]struct{}, len(refs))
	wanted := false
	for _, r := range refs {
		there[r.UUID] = struct{}{}
		v := w.vms[r.UUID]
		if v == nil {
			v = &vm{ref: r, wanted: true, doubted: true}
			w.vms[r.UUID], w.order = v, nil
		}
		if v.ref != r {
			w.order = nil
			v.ref, v.wanted, v.doubted, v.started, v.startAsked, v.setsAt = r, true, true, time.Time{}, 0, time.Time{}
			v.askAgain()
		}
		v.seen = at
		wanted = wanted || v.wanted
	}
	for id, v := range w.vms {
		if _, ok := there[id]; !ok {
			w.xmlBytes -= v.xmlLen
			delete(w.vms, id)
			w.order = nil
		}
	}
	if wanted {
		signal(w.look)
	}
}

func (w *watcher) counted(stats []model.DomainStats) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range stats {
		v := w.vms[s.UUID]
		if v == nil {
			continue
		}
		first := v.state.State == ""
		if v.heard(s) {
			v.wanted = v.wanted || !first
			signal(w.look)
		}
	}
}

func (w *watcher) loaded(l virt.HostLoad) {
	w.mu.Lock()
	defer w.mu.Unlock()
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
	for _, v := range w.vms {
		v.stats.At = time.Time{}
		v.wanted = true
	}
}
