package inventory

import (
	"context"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/pulse"
	"horcrux/engine/virt"
)

const (
	addressAge = 30 * time.Second
	// addressEach is how often it is looked for addresses that are due; new
	// definitions and rows that come into view have it looked at once.
	addressEach = 20 * time.Second
	// addressRest is how long at most a guest that nobody looks at is not asked.
	addressRest = 5 * time.Minute
	// agentRest is how long an agent that did not answer is left alone.
	agentRest = 5 * time.Minute
	// agentPatience is more than the 5 s that libvirt itself waits for an agent.
	agentPatience = 8 * time.Second
)

// addresses asks for the guests' addresses, one after the other and apart from
// all else, because an agent may keep its caller waiting.
func (w *watcher) addresses(ctx context.Context, conn *virt.Conn) {
	for pause(ctx, soonest, nil) {
		asked := 0
		for _, q := range w.addressQuestions() {
			if ctx.Err() != nil {
				return
			}
			w.ask(ctx, conn, q)
			asked++
		}
		if asked > 0 {
			w.touched(w.matters())
		}
		if !pause(ctx, pulse.Together(addressEach, addressEach/8), w.guests) {
			return
		}
	}
}

type addressQuestion struct {
	id           model.UUID
	agent, lease bool
}

func (w *watcher) addressQuestions() []addressQuestion {
	now, size := time.Now(), int(w.inv.size.Load())
	w.mu.Lock()
	defer w.mu.Unlock()
	var qs []addressQuestion
	for id, v := range w.vms {
		if !v.active() || v.xmlAt.IsZero() || len(v.xml.NICs) == 0 {
			continue
		}
		_, close := w.sight.close[id]
		named, age := w.sight.names(id), now.Sub(v.addressAt)
		if now.Before(v.addressAfter) && !(close && age >= addressAge) && !(named && age >= addressRest) {
			continue
		}
		v.addressAt = now
		v.addressPause = min(max(2*v.addressPause, addressAge), addressRest)
		pause := v.addressPause
		if !named {
			pause = max(pause, apart(v.lot, seldom(addressAge, size)))
		}
		v.addressAfter = now.Add(pause)
		q := addressQuestion{id: id, agent: v.xml.Agent == model.AgentConnected && now.After(v.agentAfter)}
		for _, n := range v.xml.NICs {
			q.lease = q.lease || n.Type == "network"
		}
		qs = append(qs, q)
	}
	return qs
}

// ask takes the guest's own word first, then libvirt's leases, then what the
// host has heard on its links.
func (w *watcher) ask(ctx context.Context, conn *virt.Conn, q addressQuestion) {
	var found []virt.IfaceAddr
	if q.agent {
		short, cancel := context.WithTimeout(ctx, agentPatience)
		got, err := conn.Addresses(short, q.id, virt.AddressAgent)
		cancel()
		if err != nil {
			w.mu.Lock()
			if v := w.vms[q.id]; v != nil {
				v.agentAfter = time.Now().Add(agentRest)
			}
			w.mu.Unlock()
		}
		found = got
	}
	if len(found) == 0 && q.lease {
		found, _ = conn.Addresses(ctx, q.id, virt.AddressLease)
	}
	if len(found) == 0 {
		found, _ = conn.Addresses(ctx, q.id, virt.AddressARP)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if v := w.vms[q.id]; v != nil && len(found) > 0 {
		v.addresses = found
		v.layNICs()
	}
}
