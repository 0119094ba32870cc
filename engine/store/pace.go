package store

import (
	"context"
	"sync"
	"time"
)

const (
	smallestPiece = 1 << 20
	firstPiece    = 8 << 20
	// A command on the source shall take at least pieceShort, or starting it
	// counts, and at most pieceLong, so that a new limit and the figures are not
	// late. On a busy node it is the start that takes long: then larger pieces
	// help, and smaller ones would make it worse.
	pieceShort = 3 * time.Second
	pieceLong  = 10 * time.Second
)

// pace knows how fast data go, and how fast they may.
type pace struct {
	mu      sync.Mutex
	limit   uint64 // bytes a second, 0 for none
	streams int    // how many run at once
	next    int64  // bytes of the next piece
	// debt is when the bytes sent so far are paid for, for streams that we carry.
	debt time.Time
}

func newPace(limit uint64, streams int) *pace {
	return &pace{limit: limit, streams: max(streams, 1), next: firstPiece}
}

func (p *pace) set(limit uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.limit, p.debt = limit, time.Time{}
}

// share is what one of the streams may send, 0 for no limit.
func (p *pace) share() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.limit == 0 {
		return 0
	}
	return max(p.limit/uint64(p.streams), 16<<10)
}

// piece is how much the next command sends.
func (p *pace) piece() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.next
	if p.limit > 0 {
		n = min(n, int64(p.limit)*3/int64(p.streams))
	}
	return min(max(n, smallestPiece), windowBytes)
}

// took learns from a command.
func (p *pace) took(bytes int64, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case d < pieceShort && bytes >= p.next:
		p.next = min(2*p.next, windowBytes)
	case d > pieceLong && bytes <= p.next:
		p.next = max(p.next/2, smallestPiece)
	}
}

// stuck makes the next piece the smallest: nothing arrived in time.
func (p *pace) stuck() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = smallestPiece
}

// rest waits for as long as a command that took d would have taken at its share of
// the limit. QEMU's own throttle lets the first request through, which may be as
// large as the piece, and counts anew in each command.
func (p *pace) rest(ctx context.Context, bytes int64, d time.Duration) error {
	share := p.share()
	if share == 0 {
		return nil
	}
	return idle(ctx, time.Duration(float64(bytes)/float64(share)*float64(time.Second))-d)
}

func idle(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// pay waits until so many more bytes may be sent.
func (p *pace) pay(ctx context.Context, bytes int) error {
	p.mu.Lock()
	if p.limit == 0 {
		p.mu.Unlock()
		return ctx.Err()
	}
	now := time.Now()
	if p.debt.Before(now) {
		p.debt = now
	}
	wait := p.debt.Sub(now)
	p.debt = p.debt.Add(time.Duration(float64(bytes) / float64(p.limit) * float64(time.Second)))
	p.mu.Unlock()
	return idle(ctx, wait)
}

func (p *pace) bandwidth() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.limit
}
