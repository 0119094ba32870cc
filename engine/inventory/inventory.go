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
	sight   *model.Sight // nil until Look: then all is looked at
	subs    map[chan struct{}]struct{}
	stale   bool
	news    News // since the last picture
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
	for i, n := range f.Nodes() {
		inv.watchers = append(inv.watchers, newWatcher(inv, n, i))
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

// assemble puts the VMs of all nodes into one list by name, under the lock. The
// order is kept as long as no node's list changes: comparing names is most of the work.
func (inv *Inventory) assemble() model.Cluster {
	c := model.Cluster{Nodes: make([]model.Node, 0, len(inv.watchers))}
	parts := make([][]*model.VM, len(inv.watchers))
	turns := make([]uint64, len(inv.watchers))
	for i, w := range inv.watchers {
		var n model.Node
		n, parts[i], turns[i] = w.picture()
		c.Nodes = append(c.Nodes, n)
	}
	if !slices.Equal(turns, inv.ordered) {
		inv.order, inv.ordered = orderOf(parts), turns
	}
	c.VMs = make([]*model.VM, len(inv.order))
	for i, p := range inv.order {
		c.VMs[i] = parts[p.watcher][p.vm]
	}
	inv.size.Store(int64(len(c.VMs)))
	return c
}

func orderOf(parts [][]*model.VM) []place {
	var order []place
	for i, part := range parts {
		for j := range part {
			order = append(order, place{i, j})
		}
	}
	slices.SortFunc(order, func(a, b place) int {
		return byName(parts[a.watcher][a.vm], parts[b.watcher][b.vm])
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

func (inv *Inventory) touched(n News) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	inv.stale, inv.news = true, max(inv.news, n)
	for ch := range inv.subs {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

// News tells how much what has changed since the last Show matters, and how soon
// after that a picture is due for it.
func (inv *Inventory) News() (n News, gap time.Duration) {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.news, Gap(inv.news, int(inv.size.Load()), inv.sight != nil && inv.sight.Away)
}

// Show is Snapshot for a picture: what is news counts from now on.
func (inv *Inventory) Show() model.Cluster {
	inv.mu.Lock()
	inv.news = None
	inv.mu.Unlock()
	return inv.Snapshot()
}

// Ask has the state of a VM read at once, on one node.
func (inv *Inventory) Ask(node model.NodeName, id model.UUID) {
	for _, w := range inv.watchers {
		if w.node.Name() == node {
			w.hint(id)
			w.resettle(id)
			w.hurry()
		}
	}
}

// unhurried is how often what nobody looks at is asked again, in a cluster of
// this size: the work per second then stays nearly the same.
func (inv *Inventory) unhurried(d time.Duration) time.Duration {
	return stretched(d, int(inv.size.Load()), fewVMs)
}

func (inv *Inventory) pace(deaf bool) pace {
	s := situation{interval: inv.interval, deaf: deaf, size: int(inv.size.Load())}
	inv.mu.Lock()
	defer inv.mu.Unlock()
	if s.unsaid = inv.sight == nil; !s.unsaid {
		s.all, s.away = inv.sight.All, inv.sight.Away
	}
	return paceFor(s)
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
