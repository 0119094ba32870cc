package ui

import (
	"io"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// ticking looks for the ticker from where the console does.
type ticking struct {
	p     *tea.Program
	found chan bool
}

func (m ticking) Init() tea.Cmd  { return func() tea.Msg { return tickMsg{} } }
func (m ticking) View() tea.View { return tea.NewView("") }
func (m ticking) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	if _, ok := msg.(tickMsg); !ok {
		return m, nil
	}
	m.found <- tickerOf(m.p) != nil
	return m, tea.Quit
}

// TestBubbleTeaHasATicker fails when a new Bubble Tea looks for pictures by
// something else: then pulse does nothing, and an idle console costs more.
func TestBubbleTeaHasATicker(t *testing.T) {
	m := &ticking{found: make(chan bool, 1)}
	m.p = tea.NewProgram(m, tea.WithInput(nil), tea.WithOutput(io.Discard), tea.WithContext(t.Context()))
	if _, err := m.p.Run(); err != nil {
		t.Fatal(err)
	}
	if !<-m.found {
		t.Error("it has none, or by another name")
	}
}

func TestPulse(t *testing.T) {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	shown := make(chan struct{}) // twice closed it would panic
	p := newPulse(nil, func() { close(shown) })
	p.find = func() *time.Ticker { return tick }
	soon := func(when string) {
		t.Helper()
		select {
		case <-tick.C:
		case <-time.After(flushRest / 2):
			t.Errorf("no look %s", when)
		}
	}
	p.beat()
	soon("after the first message")
	for began := time.Now(); !p.slow.Load(); time.Sleep(time.Millisecond) {
		if time.Since(began) > 10*time.Second {
			t.Fatal("it does not calm down")
		}
	}
	select {
	case <-shown:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody hears that the first picture is there")
	}
	p.beat()
	soon("after a pause")
	for range 10 {
		time.Sleep(flushIn / 2)
		p.beat()
	}
	soon("while messages come in a row")
	other := newPulse(nil, nil)
	other.find = func() *time.Ticker { return nil }
	other.beat()
	(*pulse)(nil).beat()
}
