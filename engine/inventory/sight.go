package inventory

import "horcrux/engine/model"

// sight is what is looked at of one node. It is never changed.
type sight struct {
	close map[model.UUID]struct{} // on whatever node
	rows  map[model.UUID]struct{} // of this node
	node  bool                    // the node itself is on screen
	all   bool                    // every figure counts
}

// names tells that a VM is looked at, or on screen.
func (s *sight) names(id model.UUID) bool {
	if _, ok := s.close[id]; ok {
		return true
	}
	_, ok := s.rows[id]
	return ok
}

// matters is how much a fact of this node that rarely changes does to who looks.
func (w *watcher) matters() News {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.sight; s.all || s.node || len(s.rows) > 0 || len(s.close) > 0 {
		return Seen
	}
	return Unseen
}

// Look says what a person has before the eyes. Until it is called first, all is
// read at the polling interval.
func (inv *Inventory) Look(s model.Sight) {
	close := make(map[model.UUID]struct{}, len(s.Close))
	for _, v := range s.Close {
		close[v] = struct{}{}
	}
	rows := map[model.NodeName]map[model.UUID]struct{}{}
	for _, v := range s.VMs {
		if rows[v.Node] == nil {
			rows[v.Node] = map[model.UUID]struct{}{}
		}
		rows[v.Node][v.UUID] = struct{}{}
	}
	nodes := make(map[model.NodeName]bool, len(s.Nodes))
	for _, n := range s.Nodes {
		nodes[n] = true
	}
	inv.mu.Lock()
	sooner := inv.sight == nil || inv.sight.Away && !s.Away || !inv.sight.All && s.All
	inv.sight = &s
	inv.mu.Unlock()
	for _, w := range inv.watchers {
		name := w.node.Name()
		w.see(&sight{close: close, rows: rows[name], node: nodes[name], all: s.All}, sooner)
	}
}

// see takes what is looked at here, and wakes who asks if that is something new.
func (w *watcher) see(s *sight, sooner bool) {
	w.mu.Lock()
	old := w.sight
	w.sight = s
	more := sooner || s.node && !old.node
	for id := range s.rows {
		more = more || !old.names(id)
	}
	for id := range s.close {
		more = more || w.vms[id] != nil && !old.names(id)
	}
	w.mu.Unlock()
	if more {
		w.hurry()
		signal(w.look)
		signal(w.guests)
	}
}
