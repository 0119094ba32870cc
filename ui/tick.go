package ui

import (
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/ui/screen"
)

// tickMsg says that something on screen has grown older by enough to show.
type tickMsg struct{ gen int }

type tickState struct {
	gen int
	due time.Time // zero when none is under way
}

// schedule makes sure that the picture is renewed when time alone changes it,
// and not a moment more often.
func (a *app) schedule() tea.Cmd {
	d, ok := nextTick(a.env, a.sees.Seen)
	if t, some := a.restIn(); some && (!ok || t < d) {
		d, ok = t, true
	}
	if t, some := a.toastEnd(); some && (!ok || t < d) {
		d, ok = t, true
	}
	if !ok {
		return nil
	}
	due := a.now().Add(d)
	if !a.tick.due.IsZero() && !due.Before(a.tick.due.Add(-20*time.Millisecond)) {
		return nil
	}
	a.tick.gen++
	a.tick.due = due
	return a.after(d, tickMsg{a.tick.gen})
}

// ages tells that time alone has changed the picture: a clock runs, something that
// is shown has grown stale or goes on growing old, or something said is over.
func (a *app) ages() bool {
	now := a.now()
	if left, some := a.toastEnd(); some && left <= 10*time.Millisecond {
		return true
	}
	return slices.ContainsFunc(a.env.Jobs, screen.Ticking) ||
		slices.ContainsFunc(a.sees.Seen, func(seen time.Time) bool { return !seen.IsZero() && now.Sub(seen) >= a.env.StaleAfter() })
}

// nextTick is how long the picture of an Env stays true without news: a second
// while a clock runs or an age is shown, else until the oldest of the facts that
// are shown, which were seen at those times, is stale, but no less than a second.
func nextTick(e *screen.Env, facts []time.Time) (time.Duration, bool) {
	const second = time.Second
	next, ok := time.Duration(0), false
	sooner := func(d time.Duration) {
		if d = max(d, 10*time.Millisecond); !ok || d < next {
			next, ok = d, true
		}
	}
	for _, j := range e.Jobs {
		if screen.Ticking(j) {
			sooner(second)
		}
	}
	for _, seen := range facts {
		age := e.Now.Sub(seen)
		switch {
		case seen.IsZero():
		case age < e.StaleAfter(): // not each in its own picture: they grow stale one after the other
			sooner(max(e.StaleAfter()-age, second))
		case age < 2*time.Minute:
			sooner(second)
		default:
			sooner(10 * second)
		}
	}
	return next, ok
}
