package inventory

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// vm is what is known of one domain; the watcher's lock guards it.
type vm struct {
	ref    virt.DomainRef
	lot    uint8 // drawn by chance, so that VMs listed together are not always read together
	seen   time.Time
	state  model.DomainState // empty until the host has told
	reason string
	count  counters
	sizes  []size
	rates  rates
	shown  *model.VM // as it is given out; nil when it must be made again
	xml    said
	xmlAt  time.Time
	xmlLen int  // of the text, which bounds what is kept of it
	wanted bool // the XML may have changed

	hintAt, askedAt time.Time // libvirt told of something; its state was asked for last

	persistent, autostart bool
	defined               bool // persistent was asked for
	doubted               bool // persistent may not be so any more
	snapshots             int
	setsAt                time.Time // when these three were read
	started               time.Time
	startAsked            int
	addresses             []virt.IfaceAddr
	addressAt             time.Time     // last asked for
	agentAfter            time.Time     // the agent did not answer; do not ask before
	addressAfter          time.Time     // do not ask for addresses before
	addressPause          time.Duration // between the last two questions; grows

	disks []model.Disk // made new whenever something in it changes, never changed
	nics  []model.NIC
	flat  []string
	tags  []string
}

// rates follow from two readings of the counters.
type rates struct{ cpu, read, write, rx, tx float64 }

func (v *vm) active() bool { return v.ref.ID >= 0 }

// isPersistent is certain of a domain without a process: nothing but its
// definition is left to be listed.
func (v *vm) isPersistent() bool { return v.persistent || !v.active() }

// hinted tells that something has happened since its state was asked for.
func (v *vm) hinted() bool { return v.hintAt.After(v.askedAt) }

// picture is the VM as it is given out, which is never changed again.
func (v *vm) picture(node model.NodeName) *model.VM {
	if v.shown == nil {
		v.shown = v.draw(node)
	}
	return v.shown
}

func (v *vm) draw(node model.NodeName) *model.VM {
	m := &model.VM{
		UUID: v.ref.UUID, Name: v.ref.Name, Node: node, State: v.state, Reason: v.reason, Seen: v.seen,
		Persistent: v.isPersistent(), Unsettled: v.active() && !v.defined, Autostart: v.autostart,
		VCPUs: v.xml.VCPUs, Memory: v.xml.Memory,
		CPUPercent: v.rates.cpu, DiskRead: v.rates.read, DiskWrite: v.rates.write, NetRx: v.rates.rx, NetTx: v.rates.tx,
		Disks: v.disks, NICs: v.nics, Agent: v.xml.Agent, Addresses: v.flat, Snapshots: v.snapshots,
		Title: v.xml.Title, Tags: v.tags,
		Job: v.xml.Job, Tombstone: v.xml.Tombstone, Mark: v.xml.Mark,
	}
	if m.State == "" {
		m.State = model.StateUnknown
	}
	if m.Agent == "" {
		m.Agent = model.AgentNone
	}
	if v.active() {
		m.Started = v.started
		m.HostMemory = v.count.rss
		if v.count.balloon > 0 {
			m.Memory = v.count.balloon
		}
	}
	return m
}

// heard takes in new counters, and tells whether the domain's state changed. It
// keeps nothing of s.
func (v *vm) heard(s *model.DomainStats) (changed bool) {
	now := countersOf(s)
	v.rates = ratesOf(v.count, now)
	changed = v.state != s.State.State || v.reason != s.State.Reason
	v.state, v.reason, v.count, v.seen, v.shown = s.State.State, s.State.Reason, now, s.At, nil
	if v.measure(s.Blocks) {
		v.layDisks()
	}
	return changed
}

// size is how large a disk is. Counters may come before the definition.
type size struct {
	target               string
	capacity, allocation uint64
}

// measure takes in the sizes of the disks, and tells whether one has changed.
func (v *vm) measure(blocks []model.BlockStat) (changed bool) {
	if len(v.sizes) != len(blocks) {
		v.sizes, changed = make([]size, len(blocks)), true
	}
	for i := range blocks {
		b := &blocks[i]
		if now := (size{b.Target, b.Capacity, b.Allocation}); v.sizes[i] != now {
			v.sizes[i], changed = now, true
		}
	}
	return changed
}

// layDisks gives the disks the sizes of the last counters.
func (v *vm) layDisks() {
	disks := slices.Clone(v.disks)
	for i := range disks {
		d := &disks[i]
		d.Capacity, d.Allocation = 0, 0
		for _, s := range v.sizes {
			if s.target == d.Target {
				d.Capacity, d.Allocation = s.capacity, s.allocation
			}
		}
	}
	v.disks = disks
}

// learned takes in a new XML.
func (v *vm) learned(d virt.Domain, at time.Time) {
	if d.Agent != v.xml.Agent {
		v.askAgain()
	}
	v.xml, v.xmlAt, v.shown = kept(d), at, nil
	v.disks = make([]model.Disk, 0, len(d.Disks))
	for _, disk := range d.Disks {
		v.disks = append(v.disks, shared(disk.Disk))
	}
	v.layDisks()
	v.tags = tagsOf(d.Title + " " + d.Description)
	v.layNICs()
}

// askAgain has its addresses asked for soon: what it said before may be over.
func (v *vm) askAgain() { v.addressAfter, v.addressPause = time.Time{}, 0 }

// layNICs gives the addresses to the NICs with the same MAC.
func (v *vm) layNICs() {
	v.shown = nil
	if len(v.addresses) == 0 {
		v.nics, v.flat = v.xml.NICs, nil
		return
	}
	nics := make([]model.NIC, 0, len(v.xml.NICs))
	var flat []string
	for _, n := range v.xml.NICs {
		for _, a := range v.addresses {
			if a.MAC == n.MAC {
				n.Addresses = append(n.Addresses, reachable(a.IPs)...)
			}
		}
		flat = append(flat, n.Addresses...)
		nics = append(nics, n)
	}
	v.nics, v.flat = nics, flat
}

// reachable leaves out addresses that mean nothing beyond the link.
func reachable(ips []string) []string {
	var out []string
	for _, s := range ips {
		if a, err := netip.ParseAddr(s); err == nil && !a.IsLinkLocalUnicast() && !a.IsLoopback() {
			out = append(out, s)
		}
	}
	return out
}

// counters are what rates and sizes are made of; ten thousand VMs have them.
type counters struct {
	at                  time.Time
	cpu                 time.Duration
	read, write, rx, tx uint64
	balloon, rss        uint64
}

func countersOf(s *model.DomainStats) counters {
	c := counters{at: s.At, cpu: s.CPUTime, balloon: s.BalloonCurrent, rss: s.RSS}
	for i := range s.Blocks {
		c.read += s.Blocks[i].ReadBytes
		c.write += s.Blocks[i].WriteBytes
	}
	for i := range s.Nets {
		c.rx += s.Nets[i].RxBytes
		c.tx += s.Nets[i].TxBytes
	}
	return c
}

// ratesOf compares two readings. Counters that went backwards belong to
// another process of the domain.
func ratesOf(old, now counters) rates {
	seconds := now.at.Sub(old.at).Seconds()
	if old.at.IsZero() || seconds <= 0 || now.cpu < old.cpu {
		return rates{}
	}
	return rates{
		cpu:  (now.cpu - old.cpu).Seconds() / seconds * 100,
		read: growth(old.read, now.read, seconds), write: growth(old.write, now.write, seconds),
		rx: growth(old.rx, now.rx, seconds), tx: growth(old.tx, now.tx, seconds),
	}
}

func growth(old, now uint64, seconds float64) float64 {
	if now < old {
		return 0
	}
	return float64(now-old) / seconds
}

// tagsOf are the words of a title or a description that begin with #: libvirt
// has no tags of its own, and this needs no namespace of ours.
func tagsOf(s string) []string {
	const most = 20
	var out []string
	for _, w := range strings.Fields(s) {
		w = strings.TrimRight(w, ".,;:")
		if t, ok := strings.CutPrefix(w, "#"); ok && t != "" && len(out) < most {
			out = append(out, strings.ToLower(t))
		}
	}
	return out
}
