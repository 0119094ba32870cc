package ui

import (
	"os"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
)

// stuck is a program that ends when it is told to, or never.
type stuck struct{ end chan struct{} }

func (s stuck) Run() (tea.Model, error) {
	<-s.end
	return &app{}, nil
}

func TestLeavingDoesNotWaitForEver(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	e := newExit()
	e.begin()
	began := time.Now()
	if r := e.run(stuck{make(chan struct{})}, in, out, 50*time.Millisecond); r.model != nil || r.err != nil {
		t.Errorf("%+v", r)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	s := stuck{make(chan struct{})}
	close(s.end)
	if r := newExit().run(s, in, out, time.Hour); r.model == nil {
		t.Error("what ended by itself has no model")
	}
}

func TestEveryWayOutBeginsToLeave(t *testing.T) {
	for _, keys := range [][]string{{"q"}, {"ctrl+c", "ctrl+c"}} {
		d := world(t)
		d.press(keys...)
		select {
		case <-d.app.exit.ch:
		default:
			t.Errorf("%v does not leave", keys)
		}
	}
}
