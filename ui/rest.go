package ui

import "time"

// restAfter is how long after the last key nobody is thought to look: figures
// are then read more slowly, though never so slowly that they grow stale.
const restAfter = time.Minute

// present takes a sign of a person: a key, the mouse, the focus.
func (a *app) present() {
	a.away, a.blurred, a.keyAt = false, false, a.now()
}

// restIn is how long it is until nobody is thought to look; false if that is so.
func (a *app) restIn() (time.Duration, bool) {
	return max(a.keyAt.Add(restAfter).Sub(a.now()), 10*time.Millisecond), !a.away
}

// rest looks whether that time has come.
func (a *app) rest() { a.away = a.away || !a.now().Before(a.keyAt.Add(restAfter)) }
