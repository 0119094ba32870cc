package virt

import (
	"context"
	"encoding/binary"
	"sync"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// Event is a hint that something about a domain changed. Events may be lost
// (libvirt, the link, a slow reader): look at the host, never rely on them.
type Event struct {
	Kind EventKind
	UUID model.UUID
	Name string
	// Detail is the number of the lifecycle event: 0 defined, 1 undefined,
	// 2 started, 3 suspended, 4 resumed, 5 stopped.
	Detail int32
}

// EventKind says what an Event is about.
type EventKind string

// Kinds of events.
const (
	EventLifecycle EventKind = "lifecycle"
	EventAgent     EventKind = "agent"
	EventMetadata  EventKind = "metadata"
	EventDevice    EventKind = "device"
	EventIteration EventKind = "migration-iteration"
	EventJobDone   EventKind = "job-completed"
)

// subscribed maps libvirt's event numbers to what is made of them, and to the
// procedure that carries them.
var subscribed = []struct {
	id   int32
	proc uint32
	kind EventKind
}{
	{0, 318, EventLifecycle},
	{9, 327, EventDevice},  // disk change
	{10, 328, EventDevice}, // tray change
	{15, 333, EventDevice}, // removed
	{18, 348, EventAgent},
	{19, 354, EventDevice}, // added
	{20, 359, EventIteration},
	{21, 363, EventJobDone},
	{23, 379, EventMetadata},
}

// eventQueue is how many unread hints are kept; more would only say the same.
const eventQueue = 256

type listeners struct {
	registering sync.Mutex // held while the daemon is asked for events
	registered  bool

	mu  sync.Mutex
	all map[chan Event]struct{}
}

func newListeners() *listeners { return &listeners{all: make(map[chan Event]struct{})} }

// deliver is called by the reader of the wire and must not block.
func (s *listeners) deliver(proc uint32, payload []byte) {
	for _, k := range subscribed {
		if k.proc != proc {
			continue
		}
		e, ok := decodeEvent(k.kind, payload)
		if !ok {
			return
		}
		s.mu.Lock()
		for ch := range s.all {
			select {
			case ch <- e:
			default:
			}
		}
		s.mu.Unlock()
		return
	}
}

// decodeEvent reads what all these messages begin with: the callback's number
// and the domain (name, UUID, id). A lifecycle event's number follows.
func decodeEvent(kind EventKind, p []byte) (Event, bool) {
	u32 := func() (uint32, bool) {
		if len(p) < 4 {
			return 0, false
		}
		v := binary.BigEndian.Uint32(p)
		p = p[4:]
		return v, true
	}
	if _, ok := u32(); !ok {
		return Event{}, false
	}
	n, ok := u32()
	padded := (uint64(n) + 3) &^ 3
	if !ok || n > 4096 || uint64(len(p)) < padded+16+4 {
		return Event{}, false
	}
	e := Event{Kind: kind, Name: Clean(string(p[:n]))}
	p = p[padded:]
	e.UUID = formatUUID(libvirt.UUID(p[:16]))
	p = p[20:]
	if v, ok := u32(); ok && kind == EventLifecycle {
		e.Detail = int32(v)
	}
	return e, true
}

// Events subscribes to what the daemon says about all domains until ctx ends
// or the connection is lost; then the channel is closed. Subscribe first, then
// list: what happened in between comes as an event. A reader that is too slow
// loses events. Kinds that the daemon does not know are left out.
func (c *Conn) Events(ctx context.Context) (<-chan Event, error) {
	ch := make(chan Event, eventQueue)
	c.events.mu.Lock()
	c.events.all[ch] = struct{}{}
	c.events.mu.Unlock()
	drop := func() {
		c.events.mu.Lock()
		delete(c.events.all, ch)
		c.events.mu.Unlock()
	}
	if err := c.register(ctx); err != nil {
		drop()
		return nil, err
	}
	go func() {
		select {
		case <-ctx.Done():
		case <-c.Done():
		}
		drop()
		close(ch)
	}()
	return ch, nil
}

// register asks the daemon for events, once for all listeners.
func (c *Conn) register(ctx context.Context) error {
	c.events.registering.Lock()
	defer c.events.registering.Unlock()
	if c.events.registered {
		return nil
	}
	for _, k := range subscribed {
		_, err := call(ctx, c, "subscribe to events", quick, func(l *libvirt.Libvirt) (int32, error) {
			return l.ConnectDomainEventCallbackRegisterAny(k.id, nil)
		})
		if _, answered := Code(err); err != nil && (!answered || k.kind == EventLifecycle) {
			return err
		}
	}
	c.events.registered = true
	return nil
}
