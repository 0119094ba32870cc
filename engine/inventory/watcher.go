package inventory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// watcher keeps the facts of one node.
type watcher struct {
	inv   *Inventory
	node  *fleet.Node
	place int // among the nodes

	ready      chan struct{} // first facts are here, or none will come soon
	readyOnce  sync.Once
	listedOnce chan struct{} // the first list of domains is here
	firstList  sync.Once
	now        chan struct{} // something may be due sooner than it was
	look       chan struct{} // some facts are wanted
	guests     chan struct{} // some addresses are wanted
	deaf       atomic.Bool   // libvirt does not tell of changes here

	mu       sync.Mutex
	host     virt.HostInfo
	hostSeen time.Time
	seen     time.Time // last answer of libvirt
	load     virt.HostLoad
	percent  float64
	pools    []model.Pool
	networks []string
	vms      map[model.UUID]*vm
	xmlBytes int    // sum of xmlLen
	order    []*vm  // by name; nil when it must be made again
	turn     uint64 // of order
	shown    []*model.VM
	running  int
	stale    bool // shown and running must be made again
	setsOnce bool // what is asked of all domains at once is known of some

	sight    *sight
	sweptAt  time.Time // all was read
	retryAt  time.Time // a question failed; not all is asked again before
	sweeps   int       // since the connection was made
	listedAt time.Time
	loadAt   time.Time
	relist   bool                    // domains may have come or gone
	hints    map[model.UUID]struct{} // domains that libvirt has told of
}

func newWatcher(inv *Inventory, n *fleet.Node, place int) *watcher {
	return &watcher{
		inv: inv, node: n, place: place, ready: make(chan struct{}), listedOnce: make(chan struct{}), now: make(chan struct{}, 1), look: make(chan struct{}, 1),
		guests: make(chan struct{}, 1),
		vms:    make(map[model.UUID]*vm), sight: &sight{all: true}, hints: make(map[model.UUID]struct{}),
	}
}

func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// touched says that there is something new to show.
func (w *watcher) touched(n News) {
	w.mu.Lock()
	w.stale = true
	w.mu.Unlock()
	w.inv.touched(n)
}

// hurry has it looked at once what is due.
func (w *watcher) hurry() { signal(w.now) }

func (w *watcher) settled() { w.readyOnce.Do(func() { close(w.ready) }) }

// run follows the node's state and, while it is up, its facts.
func (w *watcher) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { w.followState(ctx) })
	for ctx.Err() == nil {
		change := w.node.Changed()
		conn, err := w.node.Poll(ctx)
		if err != nil {
			select {
			case <-change:
			case <-ctx.Done():
			}
			continue
		}
		w.session(ctx, conn)
	}
}

func (w *watcher) followState(ctx context.Context) {
	for {
		change := w.node.Changed()
		switch state, _, _ := w.node.Status(); state {
		case model.NodeDaemonDown, model.NodeRefused, model.NodeUnreachable:
			w.settled()
		}
		w.touched(Urgent)
		select {
		case <-change:
		case <-ctx.Done():
			return
		}
	}
}

// session reads one connection until it is gone.
func (w *watcher) session(parent context.Context, conn *virt.Conn) {
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	w.forgetRates()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { w.events(ctx, conn) })
	wg.Go(func() { w.quick(ctx, conn) })
	wg.Go(func() { w.facts(ctx, conn) })
	wg.Go(func() { w.readHost(ctx, conn) })
	wg.Go(func() { w.addresses(ctx, conn) })
	select {
	case <-conn.Done():
	case <-ctx.Done():
	}
	cancel()
}

// events turns libvirt's hints into questions, once somebody follows the
// inventory: who looks once has no use for them.
func (w *watcher) events(ctx context.Context, conn *virt.Conn) {
	select {
	case <-w.inv.followed:
	case <-ctx.Done():
		return
	}
	ch, err := conn.Events(ctx)
	w.deaf.Store(err != nil)
	if err != nil {
		return // all is asked for all the more often
	}
	for e := range ch {
		switch e.Kind {
		case virt.EventIteration: // whoever moves it reads its figures
			continue
		case virt.EventJobDone:
			w.hint(e.UUID)
		case virt.EventLifecycle:
			w.hint(e.UUID)
			w.reread(e.UUID, true) // it may have been defined, or its definition taken away
		default:
			w.reread(e.UUID, false)
		}
		w.hurry()
	}
}

// hint has the list and the state of a domain read again.
func (w *watcher) hint(id model.UUID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.relist = true
	if v := w.vms[id]; v != nil {
		v.hintAt = time.Now()
		w.hints[id] = struct{}{}
	}
}

// reread has the definition of a domain read again.
func (w *watcher) reread(id model.UUID, doubted bool) {
	w.mu.Lock()
	if v := w.vms[id]; v != nil {
		v.wanted, v.doubted = true, v.doubted || doubted
	}
	w.mu.Unlock()
	signal(w.look)
}

// resettle has read again whether a domain is defined, starts with its node and
// has snapshots: libvirt tells nobody when an act has changed one of these.
func (w *watcher) resettle(id model.UUID) {
	w.mu.Lock()
	if v := w.vms[id]; v != nil {
		v.setsAt = time.Time{}
	}
	w.mu.Unlock()
	signal(w.look)
}

// picture is the node and its VMs, by name, as known now, and a number that is
// another one whenever other VMs are listed.
func (w *watcher) picture() (model.Node, []*model.VM, uint64) {
	state, reason, since := w.node.Status()
	w.mu.Lock()
	defer w.mu.Unlock()
	n := model.Node{
		Name: w.node.Name(), Address: w.node.Config().Address, State: state, Reason: virt.Clean(reason), Since: since, Seen: w.seen,
		Hostname: w.host.Hostname, HostUUID: w.host.HostUUID, Libvirt: w.host.Libvirt, QEMU: w.host.QEMU,
		CPUModel: w.host.CPUModel, CPUs: w.host.CPUs, CPUPercent: w.percent,
		MemTotal: max(w.load.MemTotal, w.host.MemTotal), MemFree: w.load.MemFree,
		Defined: len(w.vms), Pools: w.pools, Networks: w.networks,
	}
	if w.stale {
		w.stale = false
		w.show()
	}
	n.Running = w.running
	return n, w.shown, w.turn
}

// show makes the VMs anew, under the lock; what was shown before stays as it is.
func (w *watcher) show() {
	if w.order == nil {
		w.turn++
		w.order = slices.SortedFunc(maps.Values(w.vms), func(a, b *vm) int {
			return cmp.Or(cmp.Compare(a.ref.Name, b.ref.Name), cmp.Compare(a.ref.UUID, b.ref.UUID))
		})
	}
	w.running = 0
	w.shown = make([]*model.VM, len(w.order))
	for i, v := range w.order {
		if v.active() {
			w.running++
		}
		w.shown[i] = v.picture(w.node.Name())
	}
}
