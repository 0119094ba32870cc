package ui

import (
	"maps"
	"slices"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/screen"
)

const (
	// historyLength is how many readings are kept: a wide chart's worth.
	historyLength = 240
	// historyVMs bounds the VMs whose readings are kept; those that were looked
	// at least recently go first.
	historyVMs = 64
)

// history keeps the newest readings of every node, and of the VMs that a person
// has looked at: for ten thousand others nobody would see them.
type history struct {
	looked []screen.Target // the most recent last
	seen   map[screen.Target]time.Time
	at     map[screen.Target]int // where a VM was in the list
}

// look tells that a person looks at VMs.
func (h *history) look(targets []screen.Target) {
	for _, t := range targets {
		for i, o := range h.looked {
			if o == t {
				h.looked = append(h.looked[:i], h.looked[i+1:]...)
				break
			}
		}
		h.looked = append(h.looked, t)
	}
	if n := len(h.looked) - historyVMs; n > 0 {
		h.looked = append([]screen.Target(nil), h.looked[n:]...)
	}
}

// with returns the readings with the newest of a cluster added.
func (h *history) with(old map[screen.Target]screen.Series, c *model.Cluster) map[screen.Target]screen.Series {
	if h.seen == nil {
		h.seen = map[screen.Target]time.Time{}
	}
	out := maps.Clone(old)
	if out == nil {
		out = map[screen.Target]screen.Series{}
	}
	keep := make(map[screen.Target]bool, len(h.looked))
	for _, t := range h.looked {
		keep[t] = true
	}
	for t := range out {
		if t.UUID != "" && !keep[t] {
			delete(out, t)
			delete(h.seen, t)
		}
	}
	for i := range c.Nodes {
		n := &c.Nodes[i]
		t := screen.Target{Node: n.Name}
		if s := out[t]; h.fresh(t, n.Seen) {
			used := 0.0
			if n.MemTotal > 0 {
				used = 100 * float64(n.MemTotal-min(n.MemFree, n.MemTotal)) / float64(n.MemTotal)
			}
			s.CPU, s.Memory = grow(s.CPU, n.CPUPercent), grow(s.Memory, used)
			out[t] = since(s, n.Seen)
		}
	}
	if len(keep) == 0 {
		return out
	}
	for _, t := range h.looked {
		v := h.find(c.VMs, t)
		if v == nil {
			continue
		}
		if s := out[t]; h.fresh(t, v.Seen) {
			s.CPU, s.Memory = grow(s.CPU, v.CPUPercent), grow(s.Memory, float64(v.HostMemory))
			s.Read, s.Write = grow(s.Read, v.DiskRead), grow(s.Write, v.DiskWrite)
			s.Rx, s.Tx = grow(s.Rx, v.NetRx), grow(s.Tx, v.NetTx)
			out[t] = since(s, v.Seen)
		}
	}
	return out
}

// find looks for a VM where it was the last time, and only then everywhere.
func (h *history) find(vms []*model.VM, t screen.Target) *model.VM {
	is := func(v *model.VM) bool { return v.UUID == t.UUID && v.Node == t.Node }
	if i, ok := h.at[t]; ok && i < len(vms) && is(vms[i]) {
		return vms[i]
	}
	i := slices.IndexFunc(vms, is)
	if i < 0 {
		return nil
	}
	if h.at == nil || len(h.at) > 4*historyVMs {
		h.at = map[screen.Target]int{}
	}
	h.at[t] = i
	return vms[i]
}

// fresh tells a new reading from one that was kept already.
func (h *history) fresh(t screen.Target, seen time.Time) bool {
	if seen.IsZero() || h.seen[t].Equal(seen) {
		return false
	}
	h.seen[t] = seen
	return true
}

func since(s screen.Series, at time.Time) screen.Series {
	if s.Since.IsZero() {
		s.Since = at
	}
	return s
}

// grow adds a value without touching what readers of the old slice see.
func grow(list []float64, v float64) []float64 {
	if len(list) >= 2*historyLength {
		list = append(make([]float64, 0, 2*historyLength+1), list[len(list)-historyLength+1:]...)
	}
	return append(list, v)
}
