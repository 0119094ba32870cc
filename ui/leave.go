package ui

import (
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
)

// leaveWithin is how long Bubble Tea has to put the terminal back after the
// person has left. It waits for its own goroutines without a limit, and for a
// terminal that takes nothing any more (ctrl-s, a line that is cut).
const leaveWithin = time.Second

// exit tells that the console is to end.
type exit struct {
	once sync.Once
	ch   chan struct{}
}

func newExit() *exit { return &exit{ch: make(chan struct{})} }

func (e *exit) begin() { e.once.Do(func() { close(e.ch) }) }

// quit leaves the console.
func (a *app) quit() tea.Cmd {
	a.exit.begin()
	return tea.Quit
}

// heedSignals has a lost terminal, or a wish to end, end the picture at once;
// Bubble Tea does not watch the first, and may be too busy to take the second.
func (e *exit) heedSignals(p *tea.Program) (stop func()) {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGHUP, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-ch:
			e.begin()
			p.Quit()
		case <-done:
		}
	}()
	return func() {
		signal.Stop(ch)
		close(done)
	}
}

// ended is how a program ended.
type ended struct {
	model tea.Model
	err   error
}

// run runs a program to its end, and not for longer than leaveWithin once it is
// to end: then the terminal is put back here, as well as that can be done, and
// the model is nil, since the program may still be at it.
func (e *exit) run(p interface{ Run() (tea.Model, error) }, in, out *os.File, within time.Duration) ended {
	before, _ := term.GetState(in.Fd())
	done := make(chan ended, 1)
	go func() {
		m, err := p.Run()
		done <- ended{m, err}
	}()
	select {
	case r := <-done:
		return r
	case <-e.ch:
	}
	t := time.NewTimer(within)
	defer t.Stop()
	select {
	case r := <-done:
		return r
	case <-t.C:
	}
	if before != nil {
		_ = term.Restore(in.Fd(), before)
	}
	wrote := make(chan struct{})
	go func() {
		fmt.Fprint(out, calm)
		close(wrote)
	}()
	select {
	case <-wrote:
	case <-time.After(within / 4):
	}
	return ended{}
}
