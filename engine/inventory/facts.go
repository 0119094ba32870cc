package inventory

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/pulse"
	"horcrux/engine/virt"
)

const (
	xmlAge   = 60 * time.Second
	xmlRest  = 3 * time.Minute // of VMs that nobody looks at: libvirt's events tell of changes
	slowAge  = 30 * time.Second
	hostAge  = 10 * time.Minute
	showFor  = 250 * time.Millisecond // how long new facts wait for company
	hintEach = time.Second            // looks for facts that are still missing
	oldEach  = 10 * time.Second       // looks for old facts
	// wantedGap is between questions for all domains of a node, because of new ones.
	wantedGap = 3 * time.Second
	// startTries is how often a host is asked for a start that it does not know.
	startTries = 3
	hostWait   = 3 * time.Second // how long the first picture waits for what the host is, and its domains' states
)

// facts reads what rarely changes: when a hint says so, and when it is old.
func (w *watcher) facts(ctx context.Context, conn *virt.Conn) {
	select {
	case <-w.listedOnce:
	case <-ctx.Done():
		return
	}
	var setsAt, storageAt, startsAt time.Time
	began := time.Now()
	for {
		news := w.readXMLs(ctx, conn)
		noSets := w.wants(func(v *vm) bool { return v.setsAt.IsZero() })
		noStart := w.wants(func(v *vm) bool { return v.active() && v.startAsked < startTries })
		if due(&setsAt, w.inv.unhurried(slowAge), noSets) {
			w.readSets(ctx, conn)
			news = true
		}
		if due(&storageAt, w.inv.unhurried(slowAge), false) {
			w.readStorage(ctx, conn)
			news = true
		}
		if due(&startsAt, hostAge, noStart) {
			w.readStarts(ctx)
			news = true
		}
		if news {
			w.touched(w.matters())
		}
		late := time.Since(began) > hostWait
		if !w.unread() && (late || w.hostKnown() && !w.uncounted()) {
			w.settled()
		}
		rest := oldEach
		if noSets || noStart || !late && w.uncounted() {
			rest = hintEach
		}
		if !pause(ctx, pulse.Together(rest, rest/8), w.look) || !pause(ctx, soonest, nil) {
			return
		}
	}
}

// due tells that a group of facts is old, or wanted and not quite new, and
// marks it read.
func due(at *time.Time, old time.Duration, wanted bool) bool {
	age := time.Since(*at)
	if age < old && !(wanted && age > wantedGap) {
		return false
	}
	*at = time.Now()
	return true
}

// wants tells that something is missing of some domain.
func (w *watcher) wants(missing func(*vm) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.vms {
		if missing(v) {
			return true
		}
	}
	return false
}

// unread tells that the XML of some domain is still to come.
func (w *watcher) unread() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.vms {
		if v.xmlAt.IsZero() && v.wanted {
			return true
		}
	}
	return false
}

// uncounted tells that the state of some domain is still to come. Which domains
// are the VM, and which are what a move is building, is not known before.
func (w *watcher) uncounted() bool {
	return w.wants(func(v *vm) bool { return v.state == "" })
}

// readHost reads what the host is, apart from the rest: a daemon that has just
// started first asks QEMU about itself, which takes it seconds.
func (w *watcher) readHost(ctx context.Context, conn *virt.Conn) {
	for {
		w.mu.Lock()
		next := time.Until(w.hostSeen.Add(hostAge))
		w.mu.Unlock()
		if !pause(ctx, max(next, 0), nil) {
			return
		}
		h, err := conn.Host(ctx)
		if err != nil {
			if !pause(ctx, slowAge, nil) {
				return
			}
			continue
		}
		w.mu.Lock()
		w.host, w.hostSeen = h, time.Now()
		w.mu.Unlock()
		signal(w.look)
		w.touched(Seen)
	}
}

func (w *watcher) hostKnown() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.hostSeen.IsZero()
}

var errTooMuch = errors.New("the definitions of this node are too long together")

// xmlBudget bounds what the definitions of one node may take of our memory: ten
// thousand VMs have a third of it. What is beyond is shown without its details.
const xmlBudget = 256 << 20

// overBudget tells whether a definition of this length would be too much.
func (w *watcher) overBudget(id model.UUID, length int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	before := 0
	if v := w.vms[id]; v != nil {
		before = v.xmlLen
	}
	return w.xmlBytes-before+length > xmlBudget
}

// readXMLs reads the XML of every domain whose XML is wanted or old, and tells
// whether there was any.
func (w *watcher) readXMLs(ctx context.Context, conn *virt.Conn) (news bool) {
	shown := time.Now()
	for _, id := range w.wantedXMLs() {
		text, err := conn.XML(ctx, id, virt.XMLOptions{})
		if errors.Is(err, virt.ErrLost) || ctx.Err() != nil {
			return news
		}
		news = true
		w.settlePersistent(ctx, conn, id)
		at := time.Now()
		var d virt.Domain
		if err == nil && w.overBudget(id, len(text)) {
			err = errTooMuch
		}
		if err == nil {
			d, err = virt.ParseDomain(text)
		}
		w.mu.Lock()
		if v := w.vms[id]; v != nil {
			if err == nil {
				w.xmlBytes += len(text) - v.xmlLen
				v.xmlLen = len(text)
				v.learned(d, at)
			} else {
				v.xmlAt = at // gone or unreadable: asked again when it is old
			}
		}
		w.mu.Unlock()
		signal(w.guests)
		if time.Since(shown) > showFor {
			shown = time.Now()
			w.touched(Seen)
		}
	}
	return news
}

// settlePersistent asks of one domain whether it is defined, when that is in
// doubt: one that a move has brought is not, at first, and would be called
// transient until all domains of the node are asked about again. Before they
// were for the first time, one question for each would be many.
func (w *watcher) settlePersistent(ctx context.Context, conn *virt.Conn, id model.UUID) {
	w.mu.Lock()
	v := w.vms[id]
	ask := v != nil && w.setsOnce && v.doubted && v.active()
	if v != nil {
		v.doubted = v.doubted && !ask
	}
	w.mu.Unlock()
	if !ask {
		return
	}
	is, err := conn.Persistent(ctx, id)
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.vms[id]; v != nil && err == nil {
		v.persistent, v.defined, v.shown = is, true, nil
	}
}

// wantedXMLs lists them and takes the marks away, so that a hint that comes
// while they are read counts again.
func (w *watcher) wantedXMLs() []model.UUID {
	now, old := time.Now(), w.xmlOld()
	w.mu.Lock()
	defer w.mu.Unlock()
	var first, then []model.UUID
	for id, v := range w.vms {
		named := w.sight.names(id)
		if !v.wanted && now.Sub(v.xmlAt) < old(id) {
			continue
		}
		v.wanted = false
		if named {
			first = append(first, id)
		} else {
			then = append(then, id)
		}
	}
	return append(first, then...)
}

// xmlOld gives a function for the age from which a definition is read again, to
// be called under the lock. It differs between VMs that nobody looks at, so that
// those that were read together at the start are not all due together.
func (w *watcher) xmlOld() func(model.UUID) time.Duration {
	size := int(w.inv.size.Load())
	unseen := seldom(xmlRest, size)
	if w.deaf.Load() {
		unseen = w.inv.unhurried(xmlRest)
	}
	s := w.seeing()
	return func(id model.UUID) time.Duration {
		if _, close := s.close[id]; close {
			return xmlAge
		}
		if _, row := s.rows[id]; row {
			return xmlRest
		}
		return apart(w.vms[id].lot, unseen)
	}
}

// apart is something between half of d and d, by the lot that a VM has drawn.
func apart(lot uint8, d time.Duration) time.Duration { return d/2 + d/2/256*time.Duration(lot) }

func (w *watcher) seeing() *sight {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sight
}

// readSets reads what libvirt can say of all domains in one answer.
func (w *watcher) readSets(ctx context.Context, conn *virt.Conn) {
	sets := []struct {
		filter virt.Filter
		put    func(*vm, bool)
	}{
		{virt.OnlyPersistent, func(v *vm, in bool) { v.persistent, v.defined = in, true }},
		{virt.OnlyAutostart, func(v *vm, in bool) { v.autostart = in }},
	}
	w.mu.Lock()
	for _, v := range w.vms {
		v.doubted = false // before the question: a hint that comes meanwhile counts
	}
	w.mu.Unlock()
	for _, s := range sets {
		if in, err := members(ctx, conn, s.filter); err == nil {
			w.mu.Lock()
			for id, v := range w.vms {
				s.put(v, in[id])
				v.shown = nil
			}
			w.mu.Unlock()
		}
	}
	in, err := members(ctx, conn, virt.OnlySnapshots)
	if err != nil {
		return
	}
	counts := make(map[model.UUID]int, len(in))
	for id := range in {
		if n, err := conn.SnapshotCount(ctx, id); err == nil {
			counts[id] = n
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.setsOnce = true
	for id, v := range w.vms {
		v.snapshots, v.setsAt, v.shown = counts[id], time.Now(), nil
	}
}

func members(ctx context.Context, conn *virt.Conn, f virt.Filter) (map[model.UUID]bool, error) {
	refs, err := conn.DomainsThat(ctx, f)
	in := make(map[model.UUID]bool, len(refs))
	for _, r := range refs {
		in[r.UUID] = true
	}
	return in, err
}

func (w *watcher) readStorage(ctx context.Context, conn *virt.Conn) {
	if pools, err := conn.Pools(ctx); err == nil {
		slices.SortFunc(pools, func(a, b model.Pool) int { return cmp.Compare(a.Name, b.Name) })
		w.mu.Lock()
		w.pools = pools
		w.mu.Unlock()
	}
	if nets, err := conn.NetworkNames(ctx); err == nil {
		slices.Sort(nets)
		w.mu.Lock()
		w.networks = nets
		w.mu.Unlock()
	}
}

// startScript prints the host's time and when the process of each domain was
// made, by libvirt's files for them.
const startScript = `date +%s; cd /run/libvirt/qemu 2>/dev/null && stat -c '%Y %n' -- *.pid 2>/dev/null; exit 0`

// readStarts asks all of a host at once. Times are turned into ours, since the
// host's clock may differ.
func (w *watcher) readStarts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r, err := w.node.Exec(ctx, []string{"sh", "-c", startScript}, nil)
	if err != nil || r.Code != 0 {
		return
	}
	starts := parseStarts(string(r.Stdout), time.Now())
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, v := range w.vms {
		if !v.active() {
			continue
		}
		v.startAsked++
		if at, ok := starts[v.ref.Name]; ok {
			v.started, v.startAsked, v.shown = at, startTries, nil
		}
	}
}

func parseStarts(text string, now time.Time) map[string]time.Time {
	lines := strings.Split(text, "\n")
	host, err := strconv.ParseInt(strings.TrimSpace(lines[0]), 10, 64)
	if err != nil {
		return nil
	}
	starts := make(map[string]time.Time)
	for _, l := range lines[1:] {
		sec, file, ok := strings.Cut(l, " ")
		at, err := strconv.ParseInt(sec, 10, 64)
		name, isPID := strings.CutSuffix(file, ".pid")
		if ok && err == nil && isPID && at <= host {
			starts[virt.Clean(name)] = now.Add(-time.Duration(host-at) * time.Second)
		}
	}
	return starts
}
