package lab

import (
	"context"
	"fmt"
	"time"
)

// Deadlines. They are for a loaded machine with two cores; nothing waits that
// long when things work.
const (
	hostDeadline  = 90 * time.Second // QEMU is probed once for each host
	guestDeadline = 3 * time.Minute
	// installDeadline is for hundreds of megabytes from a mirror.
	installDeadline = 15 * time.Minute
	goneDeadline    = 20 * time.Second
	pollEvery       = 30 * time.Millisecond
	pollMost        = 400 * time.Millisecond // what waits longer is looked at less often
	waitDelay       = 2 * time.Second
)

// until polls ok until it is true. The error says what was waited for and, if
// ok gave one, why it is not so.
func until(ctx context.Context, limit time.Duration, what string, ok func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %s", limit))
	defer cancel()
	pause := pollEvery
	for {
		done, err := ok(ctx)
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			if err != nil {
				return fmt.Errorf("cannot wait for %s: %w (%w)", what, context.Cause(ctx), err)
			}
			return fmt.Errorf("cannot wait for %s: %w", what, context.Cause(ctx))
		case <-time.After(pause):
			pause = min(pause*5/4, pollMost)
		}
	}
}
