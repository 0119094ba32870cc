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
	seen   time.Time
	state  model.DomainStatus
	stats  model.DomainStats
	rates  rates
	xml    said
	xmlAt  time.Time
	xmlLen int  // of the text, which bounds what is kept of it
	wanted bool // the XML may have changed

	persistent, autostart bool
	doubted               bool // persistent may not be so any more
	snapshots             int
	setsAt                time.Time // when these three were read
	started               time.Time
	startAsked            int
	addresses             []virt.IfaceAddr
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

func (v *vm) picture(node model.NodeName, m *model.VM) {
	*m = model.VM{
		UUID: v.ref.UUID, Name: v.ref.Name, Node: node, State: v.state.State, Reason: v.state.Reason, Seen: v.seen,
		Persistent: v.isPersistent(), Autostart: v.autostart,
		VCPUs: v.xml.VCPUs, Memory: v.xml.Memory,
		CPUPercent: v.rates.cpu, DiskRead: v.rates.read, DiskWrite: v.rates.write, NetRx: v.rates.rx, NetTx: v.rates.tx,
		Disks: v.disks, NICs: v.nics, Agent: v.xml.Agent, Addresses: v.flat, Snapshots: v.snapshots,
		Title: v.xml.Title, Tags: v.tags,
		Job: v.xml.Job, Tombstone: v.xml.Tombstone, Mark: v.xml.Mark,
	}
	if m.State == "" {
		m.State = model.StateNone
	}
	if m.Agent == "" {
		m.Agent = model.AgentNone
	}
	if v.active() {
		m.Started = v.started
		m.HostMemory = v.stats.RSS
		if v.stats.BalloonCurrent > 0 {
			m.Memory = v.stats.BalloonCurrent
		}
	}
}

// heard takes in new counters, and tells whether the domain's state changed.
func (v *vm) heard(s model.DomainStats) (changed bool) {
	v.rates = ratesOf(v.stats, s)
	changed = v.state.State != s.State.State
	grown := len(v.stats.Blocks) != len(s.Blocks)
	for i := range s.Blocks {
		grown = grown || v.stats.Blocks[i].Capacity != s.Blocks[i].Capacity || v.stats.Blocks[i].Allocation != s.Blocks[i].Allocation
	}
	v.state, v.stats = s.State, s
	if grown {
		v.layDisks()
	}
	return changed
}

// learned takes in a new XML.
func (v *vm) learned(d virt.Domain, at time.Time) {
	if d.Agent != v.xml.Agent {
		v.askAgain()
	}
	v.xml, v.xmlAt = kept(d), at
	v.disks = make([]model.Disk, 0, len(d.Disks))
	for _, disk := range d.Disks {
		v.disks = append(v.disks, shared(disk.Disk))
	}
	v.tags = tagsOf(d.Title + " " + d.Description)
	v.layDisks()
	v.layNICs()
}

// askAgain has its addresses asked for soon: what it said before may be over.
func (v *vm) askAgain() { v.addressAfter, v.addressPause = time.Time{}, 0 }

// layDisks gives the disks the sizes of the last counters.
func (v *vm) layDisks() {
	disks := slices.Clone(v.disks)
	for i := range disks {
		d := &disks[i]
		d.Capacity, d.Allocation = 0, 0
		for _, b := range v.stats.Blocks {
			if b.Target == d.Target {
				d.Capacity, d.Allocation = b.Capacity, b.Allocation
			}
		}
	}
	v.disks = disks
}

// layNICs gives the addresses to the NICs with the same MAC.
func (v *vm) layNICs() {
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

// ratesOf compares two readings. Counters that went backwards belong to
// another process of the domain.
func ratesOf(old, now model.DomainStats) rates {
	seconds := now.At.Sub(old.At).Seconds()
	if old.At.IsZero() || seconds <= 0 || now.CPUTime < old.CPUTime {
		return rates{}
	}
	var r rates
	r.cpu = (now.CPUTime - old.CPUTime).Seconds() / seconds * 100
	or, ow := blockTotals(old)
	nr, nw := blockTotals(now)
	r.read, r.write = perSecond(or, nr, seconds), perSecond(ow, nw, seconds)
	orx, otx := netTotals(old)
	nrx, ntx := netTotals(now)
	r.rx, r.tx = perSecond(orx, nrx, seconds), perSecond(otx, ntx, seconds)
	return r
}

func perSecond(old, now uint64, seconds float64) float64 {
	if now < old {
		return 0
	}
	return float64(now-old) / seconds
}

func blockTotals(s model.DomainStats) (read, write uint64) {
	for _, b := range s.Blocks {
		read += b.ReadBytes
		write += b.WriteBytes
	}
	return read, write
}

func netTotals(s model.DomainStats) (rx, tx uint64) {
	for _, n := range s.Nets {
		rx += n.RxBytes
		tx += n.TxBytes
	}
	return rx, tx
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
