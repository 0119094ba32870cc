package ui

import (
	tea "charm.land/bubbletea/v2"

	"horcrux/ui/screen"
	"horcrux/ui/widget"
)

// modal is the question that lies over the page, if any.
type modal struct {
	box  widget.Modal
	id   string
	then screen.Intent            // what yes means
	gone func(*screen.Env) string // why yes makes no sense any more
}

// recheck lets a question see new values: an act that has become senseless
// loses its yes, and the question says why.
func (m *modal) recheck(e *screen.Env) {
	if c, ok := m.box.(widget.Confirm); ok && m.gone != nil {
		c.Gone = m.gone(e)
		m.box = c
	}
}

// answered closes a question that has its answer and does what was chosen.
func (a *app) answered(answer widget.Answer) tea.Cmd {
	if !answer.Done {
		return nil
	}
	m := a.modal
	a.modal = modal{}
	defer a.nextQuestion()
	if m.id == questionModal {
		return a.reply(m.box, answer.Yes)
	}
	if !answer.Yes {
		return nil
	}
	switch m.id {
	case "help":
		for _, act := range append(a.top().Scope(), global()...) {
			if act.ID == answer.Value {
				return a.run(act)
			}
		}
		return nil
	case "command":
		cmd, wrong := a.execute(answer.Value)
		if wrong != "" {
			line := m.box.(widget.CommandLine)
			line.Wrong = wrong
			m.box, a.modal = line, modal{id: m.id, box: line}
		}
		return cmd
	case "ask":
		return a.apply([]screen.Intent{m.then})
	}
	return a.tell(screen.Answered{ID: m.id, Value: answer.Value})
}
