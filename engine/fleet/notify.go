package fleet

import "sync"

// bell tells any number of waiters that something changed.
type bell struct {
	mu sync.Mutex
	ch chan struct{}
}

// next is closed at the next ring. Take it, then look, then wait for it.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
