package health

import (
	"context"
	"time"
)

// Clock is the time as checks use it.
type Clock interface {
	Now() time.Time
	// Sleep waits, and returns early with the error of a ctx that ends.
	Sleep(ctx context.Context, d time.Duration) error
}

// wallClock is the clock of this machine.
type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
