package store

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPaceRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			limit       uint64
			bytes       int64
			took, wants time.Duration
		}{
			{0, 64 << 20, 0, 0},
			{4 << 20, 4 << 20, 0, 2 * time.Second}, // half of it is another stream's
			{4 << 20, 4 << 20, 1500 * time.Millisecond, 500 * time.Millisecond},
			{4 << 20, 4 << 20, 3 * time.Second, 0},
		} {
			began := time.Now()
			if err := newPace(tt.limit, 2).rest(t.Context(), tt.bytes, tt.took); err != nil || time.Since(began) != tt.wants {
				t.Errorf("%+v: waited %s, %v", tt, time.Since(began), err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := newPace(1, 1).rest(ctx, 1<<20, 0); !errors.Is(err, context.Canceled) {
			t.Errorf("called off: %v", err)
		}
	})
}
