package ui

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/ui/bind"
	"horcrux/ui/screen"
	"horcrux/ui/widget"
)

// global is what can be done on every page.
func global() bind.Scope {
	const g = "everywhere"
	return bind.Scope{
		{ID: "help", Keys: []string{"?"}, Title: "help", Help: "the keys of this page", Group: g},
		{ID: "command", Keys: []string{":"}, Title: "command", Help: "type a command, with completion", Group: g},
		{ID: "jobs", Keys: []string{"J"}, Title: "moves", Help: "all moves, running and done", Group: g},
		{ID: "log", Keys: []string{"L"}, Title: "log", Help: "what the console did and was told", Group: g},
		{ID: "doctor", Keys: []string{"T"}, Title: "doctor", Help: "look at every node: what it needs, and what to do", Group: g},
		{ID: "redraw", Keys: []string{"ctrl+l"}, Show: "ctrl-l", Title: "redraw", Help: "draw the screen anew", Group: g},
		{ID: "suspend", Keys: []string{"ctrl+z"}, Show: "ctrl-z", Title: "suspend", Help: "back to the shell, `fg` returns", Group: g},
		{ID: "quit", Keys: []string{"q"}, Title: "quit", Help: "leave the console; moves go on", Group: g},
	}
}

// key finds what a key means: to the question on top, to the line that is
// typed, or as an action of the page.
func (a *app) key(key, typed string) tea.Cmd {
	if key == "esc" {
		a.toasts = nil
	}
	switch {
	case a.tooSmall():
		if key == "q" || key == "ctrl+c" {
			return a.quit()
		}
		return nil
	case a.modal.box != nil:
		box, answer := a.modal.box.Key(key, typed)
		a.modal.box = box
		return a.answered(answer)
	case a.top().Typing():
		return a.tell(screen.Typed{Key: key, Text: typed})
	case key == "ctrl+c":
		return a.interrupt()
	}
	act, ok := append(a.top().Scope(), global()...).Find(key)
	if !ok {
		a.strange(key, typed)
		return nil
	}
	return a.run(act)
}

// strange says of a key without a meaning that it has none: the hands of a person
// know other consoles. What a torn escape sequence is made of is no key.
func (a *app) strange(key, typed string) {
	if rest, ok := strings.CutPrefix(key, "ctrl+"); ok {
		key = "ctrl-" + rest
	} else if typed == "" || strings.ContainsAny(typed, "[ABCDHFO~;<0123456789") {
		return
	}
	a.toasts = nil
	a.show(screen.Note, key+" does nothing here; ? shows the keys that do")
}

// run does an action, or says why it cannot be done now.
func (a *app) run(act bind.Action) tea.Cmd {
	if act.Disabled != "" {
		return a.say(screen.Caution, act.Title+": not now, "+act.Disabled)
	}
	switch act.ID {
	case "help":
		a.modal = modal{id: "help", box: widget.Help{Title: "keys: " + a.top().Title(), Scope: append(a.top().Scope(), global()...)}}
	case "command":
		a.modal = modal{id: "command", box: widget.CommandLine{Complete: a.complete}}
	case "jobs":
		return a.apply([]screen.Intent{screen.OpenJobs{}})
	case "log":
		return a.apply([]screen.Intent{screen.OpenLog{}})
	case "doctor":
		return a.apply([]screen.Intent{screen.OpenDoctor{}})
	case "redraw":
		return tea.ClearScreen
	case "suspend":
		return tea.Suspend
	case "quit":
		return a.quit()
	default:
		return a.tell(screen.Do{ID: act.ID})
	}
	return nil
}

// interrupt is ctrl-c where there is nothing to cancel: twice within a second
// leaves.
func (a *app) interrupt() tea.Cmd {
	if now := a.now(); now.Sub(a.armed) > time.Second {
		a.armed = now
		return a.say(screen.Note, "ctrl-c again leaves the console; moves go on")
	}
	return a.quit()
}

// paste goes into lines that are typed, and nowhere else.
func (a *app) paste(s string) tea.Cmd {
	switch {
	case a.modal.box != nil:
		a.modal.box = a.modal.box.Paste(s)
		return nil
	case a.top().Typing():
		return a.tell(screen.Pasted{Text: s})
	}
	return a.say(screen.Note, "pasted text is taken only where something is typed")
}

func (a *app) wheel(m tea.Mouse) tea.Cmd {
	if a.tooSmall() {
		return nil
	}
	if a.modal.box != nil {
		if key := map[tea.MouseButton]string{tea.MouseWheelDown: "down", tea.MouseWheelUp: "up"}[m.Button]; key != "" {
			a.modal.box, _ = a.modal.box.Key(key, "")
		}
		return nil
	}
	switch m.Button {
	case tea.MouseWheelDown:
		return a.tell(screen.Wheel{Lines: wheelLines})
	case tea.MouseWheelUp:
		return a.tell(screen.Wheel{Lines: -wheelLines})
	}
	return nil
}

func (a *app) click(m tea.Mouse) tea.Cmd {
	f := frameFor(a.w, a.h)
	y := m.Y - f.top
	if m.Button != tea.MouseLeft || a.modal.box != nil || y < 0 || y >= f.body {
		return nil
	}
	return a.tell(screen.Click{X: m.X, Y: y})
}
