package virt

import (
	"sync"
	"time"
)

// lull is how long Close waits for the calls that are on the way.
const lull = time.Second

// way counts the calls that are on the way to the daemon and back.
//
// When a client is gone libvirtd's main loop lets go of its event callbacks. A
// worker that finds nobody to send its answer to does the same at the same time,
// without a lock, and libvirtd (9.0, remoteClientFreePrivateCallbacks) dies of the list that
// is gone. So a connection is closed when nothing is on the way.
type way struct {
	mu     sync.Mutex
	calls  int
	closed bool
	empty  chan struct{} // closed when the last call of a closed way has left
}

func newWay() *way { return &way{empty: make(chan struct{})} }

// enter begins a call, unless the way is closed.
func (w *way) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.calls++
	return true
}

func (w *way) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls--
	if w.closed && w.calls == 0 {
		close(w.empty)
	}
}

// shut closes the way and waits until it is empty, the connection is gone, or
// the time is over.
func (w *way) shut(limit time.Duration, gone <-chan struct{}) {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		if w.calls == 0 {
			close(w.empty)
		}
	}
	w.mu.Unlock()
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-w.empty:
	case <-gone:
	case <-t.C:
	}
}
