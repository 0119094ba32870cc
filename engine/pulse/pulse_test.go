package pulse

import (
	"testing"
	"time"
)

func TestTimersEndTogether(t *testing.T) {
	const ms = time.Millisecond
	for _, c := range []struct{ now, d, slack, want time.Duration }{
		{0, 3000 * ms, 300 * ms, 3000 * ms},
		{70 * ms, 3000 * ms, 300 * ms, 2930 * ms},
		{249 * ms, 3000 * ms, 300 * ms, 2751 * ms},
		{200 * ms, 1000 * ms, 125 * ms, 1000 * ms}, // 200 ms early would be too soon
		{100 * ms, 1000 * ms, 125 * ms, 900 * ms},
		{100 * ms, 0, 125 * ms, 0},
		{100 * ms, 50 * ms, 125 * ms, 50 * ms}, // never to nothing
		{100 * ms, -50 * ms, 125 * ms, -50 * ms},
	} {
		if got := together(c.now, c.d, c.slack); got != c.want {
			t.Errorf("%v from %v on, %v early at most: %v, want %v", c.d, c.now, c.slack, got, c.want)
		}
	}
}
