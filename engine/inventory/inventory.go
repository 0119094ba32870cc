package inventory

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
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
	size     atomic.Int64  // VMs in the last picture
	followed chan struct{} // closed when somebody wants to hear of changes
	follow   sync.Once

	mu      sync.Mutex
	hot     map[model.UUID]struct{} // nil until SetHot: then all are
	subs    map[chan struct{}]struct{}
	stale   bool
	cluster model.Cluster
	order   []place  // of the VMs of all nodes, by name
	ordered []uint64 // the turns of the watchers' lists that order was made from
}

// place is where a VM is found: a watcher, and the index in its list.
type place struct{ watcher, vm int }

// New begins to watch all nodes of f; interval is how often the quick figures
// are read.
func New(f *fleet.Fleet, interval time.Duration) *Inventory {
	ctx, cancel := context.WithCancel(context.Background())
	inv := &Inventory{
		interval: interval, cancel: cancel, subs: make(map[chan struct{}]struct{}), stale: true,
		followed: make(chan struct{}),
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

// assemble copies the VMs of all nodes into one list by name, under the lock. The
// order is kept as long as no node's list changes: comparing names is most of the work.
func (inv *Inventory) assemble() model.Cluster {
	c := model.Cluster{Nodes: make([]model.Node, 0, len(inv.watchers))}
	parts := make([][]model.VM, len(inv.watchers))
	turns := make([]uint64, len(inv.watchers))
	for i, w := range inv.watchers {
		var n model.Node
		n, parts[i], turns[i] = w.picture()
		c.Nodes = append(c.Nodes, n)
	}
	if !slices.Equal(turns, inv.ordered) {
		inv.order, inv.ordered = orderOf(parts), turns
	}
	c.VMs = make([]model.VM, len(inv.order))
	for i, p := range inv.order {
		c.VMs[i] = parts[p.watcher][p.vm]
	}
	inv.size.Store(int64(len(c.VMs)))
	return c
}

func orderOf(parts [][]model.VM) []place {
	var order []place
	for i, part := range parts {
		for j := range part {
			order = append(order, place{i, j})
		}
	}
	slices.SortFunc(order, func(a, b place) int {
		return byName(&parts[a.watcher][a.vm], &parts[b.watcher][b.vm])
	})
	return order
}

func byName(a, b *model.VM) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.UUID, b.UUID))
}

// Subscribe gives a channel that says that something changed since it was last
// read, at once for the first time; stop ends it.
func (inv *Inventory) Subscribe() (changed <-chan struct{}, stop func()) {
	inv.follow.Do(func() { close(inv.followed) })
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

// unhurried is how often nodes and VMs that nobody looks at are asked, in a
// cluster of this size: the work per second then stays nearly the same.
func (inv *Inventory) unhurried(d time.Duration) time.Duration {
	return d + d*time.Duration(inv.size.Load())/fewVMs
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
