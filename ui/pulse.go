package ui

import (
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	tea "charm.land/bubbletea/v2"
)

const (
	// flushIn is how soon after it was drawn a picture is written.
	flushIn = 5 * time.Millisecond
	// flushRest is how often it is looked for something to write when nothing
	// has happened: also what a picture waits for that was handed over late, on a
	// machine with no time for us.
	flushRest = 200 * time.Millisecond
)

// pulse writes pictures when there are some. Bubble Tea looks for one at a fixed
// rate, sixty times a second for days, which took more than one percent of a core
// with nothing on screen; and a key then waits for the next look. The ticker that
// it looks by is its own, so it is found by its name, and if it is not there any
// more all is as Bubble Tea has it.
type pulse struct {
	find   func() *time.Ticker
	ticker *time.Ticker
	slow   atomic.Bool
	calm   *time.Timer // ends the quick looks
	shown  func()      // called when the first picture is written; more calls do nothing
}

func newPulse(p *tea.Program, shown func()) *pulse {
	if shown == nil {
		shown = func() {}
	}
	return &pulse{find: func() *time.Ticker { return tickerOf(p) }, shown: sync.OnceFunc(shown)}
}

// beat is called with every picture, by the goroutine that runs the program.
func (p *pulse) beat() {
	if p == nil {
		return
	}
	if p.ticker == nil {
		if p.ticker = p.find(); p.ticker == nil {
			p.shown()
			return
		}
		p.ticker.Reset(flushIn)
		p.calm = time.AfterFunc(3*flushIn, func() {
			p.slow.Store(true)
			p.ticker.Reset(flushRest)
			p.shown()
		})
		return
	}
	p.calm.Reset(3 * flushIn)
	// Not while it is quick: messages in a row would put the look off for ever.
	if p.slow.Swap(false) {
		p.ticker.Reset(flushIn)
	}
}

// tickerOf is the ticker of a program that runs, nil if this Bubble Tea has none.
func tickerOf(p *tea.Program) *time.Ticker {
	f := reflect.ValueOf(p).Elem().FieldByName("ticker")
	if !f.IsValid() || f.Type() != reflect.TypeFor[*time.Ticker]() || f.IsNil() {
		return nil
	}
	return (*time.Ticker)(f.UnsafePointer())
}
