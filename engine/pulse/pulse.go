// Package pulse lets timers of many nodes end together: each time a process wakes
// costs it more than what it then does for one node.
package pulse

import "time"

// grid is between two moments at which timers end. It divides the intervals of
// figures, so that what ends together once does so from then on.
const grid = 250 * time.Millisecond

var start = time.Now()

// Together is d, shortened by at most slack so that it ends when others do.
func Together(d, slack time.Duration) time.Duration { return together(time.Since(start), d, slack) }

func together(now, d, slack time.Duration) time.Duration {
	if early := (now + d) % grid; early <= slack && early < d {
		return d - early
	}
	return d
}
