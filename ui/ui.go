// Package ui is the console: it draws what the engine knows and turns keys
// into wishes for the engine.
//
// The root model (app.go) owns everything that has an effect: it resolves keys
// by the actions of the page on top, turns the intents of pages into commands
// on engine.Service, and hands values down. Pages and widgets below it are
// functions of values and of a size. The console never owns a move: moves live
// in processes of their own, and leaving the console leaves them alone.
package ui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/term"

	"horcrux/config"
	"horcrux/engine"
	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
)

// Options are what the console is started with.
type Options struct {
	Config  config.Config
	In, Out *os.File
	Environ []string
	Version string
	// StartAt opens the page of a job at once, if set.
	StartAt model.JobID
	// Hidden names the columns of VMs that are not shown; KeepColumns, if set,
	// keeps another choice for the next start.
	Hidden      []string
	KeepColumns func([]string)
	// Shown, if set, is called once when the first picture is on the terminal.
	Shown func()
	// Now is the clock; nil for the real one.
	Now func() time.Time
}

// ErrNoTerminal says that there is nothing to draw on; its text names the
// commands that answer in plain text.
var ErrNoTerminal = errors.New("cannot open the console")

// Run shows the console until the person leaves it, the terminal is lost, or
// ctx ends. Jobs are not touched by any of that.
func Run(ctx context.Context, s engine.Service, o Options) error {
	env := environ(o.Environ)
	if err := usable(env, o.In, o.Out); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	a := newApp(ctx, s, o)
	// Bubble Tea tells the size after the first picture, which would be empty.
	if w, h, err := term.GetSize(o.Out.Fd()); err == nil {
		a.w, a.h = w, h
	}
	opts := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithInput(newKeyboard(o.In)), tea.WithOutput(o.Out), tea.WithEnvironment(o.Environ),
		tea.WithFilter(splitEscapes(a.now)),
	}
	if env["NO_COLOR"] != "" { // any value, as the convention has it
		opts = append(opts, tea.WithColorProfile(colorprofile.ASCII))
	}
	p := tea.NewProgram(a, opts...)
	a.pulse = newPulse(p, o.Shown)

	defer a.exit.heedSignals(p)()

	r := a.exit.run(p, o.In, o.Out, leaveWithin)
	last, err := r.model, r.err
	if l, ok := last.(*app); ok {
		l.farewell(o.Out)
	}
	if errors.Is(err, tea.ErrInterrupted) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("the console stopped: %w", err)
	}
	return nil
}

// usable tells whether a full screen can be drawn.
func usable(env map[string]string, in, out *os.File) error {
	const instead = "`horcrux nodes`, `horcrux vms` and `horcrux jobs` print the same as text, `horcrux migrate VM --to NODE` moves a VM"
	switch {
	case env["TERM"] == "dumb":
		return fmt.Errorf("%w: TERM is dumb, which cannot draw a screen; %s", ErrNoTerminal, instead)
	case in == nil || !term.IsTerminal(in.Fd()):
		return fmt.Errorf("%w: the input is not a terminal; %s", ErrNoTerminal, instead)
	case out == nil || !term.IsTerminal(out.Fd()):
		return fmt.Errorf("%w: the output is not a terminal; %s", ErrNoTerminal, instead)
	}
	return nil
}

func environ(list []string) map[string]string {
	m := make(map[string]string, len(list))
	for _, kv := range list {
		if k, v, ok := strings.Cut(kv, "="); ok {
			m[k] = v
		}
	}
	return m
}

// speaksUTF8 tells whether the locale's character set is UTF-8.
func speaksUTF8(env map[string]string) bool {
	for _, k := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToLower(env[k]); v != "" {
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}

// farewell says which moves go on without the console.
func (a *app) farewell(w io.Writer) {
	for _, j := range a.env.Jobs {
		if screen.Ticking(j) {
			fmt.Fprintf(w, "job %s (%s to %s) goes on; `horcrux jobs` shows it\n", text.Clean(string(j.ID)), text.Clean(j.VMName), text.Clean(string(j.To)))
		}
	}
}

// splitEscapes drops what is left of a key that a slow line has torn apart: what
// comes as `[` or `O` and the rest of a sequence within 150 ms after esc. A report
// of the mouse ends with an m, which moves a VM.
func splitEscapes(now func() time.Time) func(tea.Model, tea.Msg) tea.Msg {
	var esc time.Time
	torn := "" // esc, or what is gone after it
	return func(_ tea.Model, m tea.Msg) tea.Msg {
		k, ok := m.(tea.KeyPressMsg)
		if !ok {
			return m
		}
		key := k.String()
		fresh := now().Sub(esc) < 150*time.Millisecond
		switch {
		case key == "esc":
			esc, torn = now(), key
		case torn == "esc" && fresh && (key == "[" || key == "O"):
			torn = key
			return nil
		case (torn == "[" || torn == "O") && fresh && len(key) == 1 && key >= " ":
			if key >= "@" || torn == "O" {
				torn = ""
			}
			return nil
		default:
			torn = ""
		}
		return m
	}
}
