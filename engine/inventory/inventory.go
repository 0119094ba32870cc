package inventory

import (
	"cmp"
	"context"
	"sync"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
)

// Inventory is the present picture of the cluster.
type Inventory struct {
	interval time.Duration
	watchers []*watcher
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu      sync.Mutex
	hot     map[model.UUID]struct{} // nil until SetHot: then all are
	subs    map[chan struct{}]struct{}
	stale   bool
	cluster model.Cluster
}

// New begins to watch all nodes of f; interval is how often the quick figures
// are read.
func New(f *fleet.Fleet, interval time.Duration) *Inventory {
	ctx, cancel := context.WithCancel(context.Background())
	inv := &Inventory{
		interval: interval, cancel: cancel, subs: make(map[chan struct{}]struct{}), stale: true,
	}
	for _, n := range f.Nodes() {
		inv.watchers = append(inv.watchers, newWatcher(inv, n))
	}
	for _, w := range inv.watchers {
		inv.wg.Go(func() { w.run(ctx) })
	}
	return inv
}

// Close stops the watching. The fleet is the caller's.
func (inv *Inventory) Close() {
	inv.cancel()
	inv.wg.Wait()
}

// Snapshot is what is known now. It asks nobody, and what it gives out is
// never changed again.
func (inv *Inventory) Snapshot() model.Cluster {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if inv.stale {
		inv.stale = false
		inv.cluster = inv.assemble()
	}
	c := inv.cluster
	c.At = time.Now()
	return c
}

func (inv *Inventory) assemble() model.Cluster {
	c := model.Cluster{Nodes: make([]model.Node, 0, len(inv.watchers))}
	parts := make([][]*model.VM, 0, len(inv.watchers))
	total := 0
	for _, w := range inv.watchers {
		n, vms := w.picture()
		c.Nodes = append(c.Nodes, n)
		part := make([]*model.VM, len(vms))
		for i := range vms {
			part[i] = &vms[i]
		}
		parts = append(parts, part)
		total += len(vms)
	}
	c.VMs = make([]model.VM, 0, total)
	for _, v := range merged(parts) {
		c.VMs = append(c.VMs, *v)
	}
	return c
}

// merged puts sorted parts into one order, by halves.
func merged(parts [][]*model.VM) []*model.VM {
	switch len(parts) {
	case 0:
		return nil
	case 1:
		return parts[0]
	}
	a, b := merged(parts[:len(parts)/2]), merged(parts[len(parts)/2:])
	out := make([]*model.VM, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		if byName(a[0], b[0]) <= 0 {
			out, a = append(out, a[0]), a[1:]
		} else {
			out, b = append(out, b[0]), b[1:]
		}
	}
	return append(append(out, a...), b...)
}

func byName(a, b *model.VM) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UUID, b.UUID))
}

// Subscribe gives a channel that says that something changed since it was last
// read, at once for the first time; stop ends it.
func (inv *Inventory) Subscribe() (changed <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	ch <- struct{}{}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.subs[ch] = struct{}{}
	return ch, func() {
		inv.mu.Lock()
		defer inv.mu.Unlock()
		delete(inv.subs, ch)
	}
}

func (inv *Inventory) touched() {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.stale = true
	for ch := range inv.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// SetHot names the VMs that are looked at or moving. Nodes that have one are
// read at the polling interval, the others more slowly. Until it is called
// first, all nodes are read at the interval.
func (inv *Inventory) SetHot(vms ...model.UUID) {
	hot := make(map[model.UUID]struct{}, len(vms))
	for _, v := range vms {
		hot[v] = struct{}{}
	}
	inv.mu.Lock()
	inv.hot = hot
	inv.mu.Unlock()
	for _, w := range inv.watchers {
		w.hurry()
	}
}

// Refresh reads the quick figures of all nodes now.
func (inv *Inventory) Refresh() {
	for _, w := range inv.watchers {
		w.hurry()
	}
}

func (inv *Inventory) hotVMs() (hot map[model.UUID]struct{}, all bool) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.hot, inv.hot == nil
}

// Wait waits until every node has either given its first facts or is known not
// to answer.
func (inv *Inventory) Wait(ctx context.Context) error {
	for _, w := range inv.watchers {
		select {
		case <-w.ready:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
