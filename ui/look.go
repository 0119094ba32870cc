package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
)

// lookedAt is what the pages show one by one: their readings are kept.
func (a *app) lookedAt() []screen.Target {
	var out []screen.Target
	for _, s := range a.stack {
		if l, ok := s.(screen.Looker); ok {
			if t := l.LooksAt(); t.UUID != "" {
				out = append(out, t)
			}
		}
	}
	return out
}

// heat tells the engine what is before the eyes, when that changed: what the page
// on top shows, and what moves.
func (a *app) heat() {
	now := model.Sight{Close: []model.UUID{}, Away: a.away || a.blurred}
	if v, ok := a.top().(*screen.VM); ok {
		now.Close = append(now.Close, v.UUID())
	}
	for _, j := range a.env.Jobs {
		if screen.Ticking(j) {
			now.Close = append(now.Close, j.VM)
		}
	}
	a.sees = screen.Sight{}
	if s, ok := a.top().(screen.Seer); ok {
		a.sees = s.Sees()
	}
	now.VMs, now.Nodes, now.All = a.sees.VMs, a.sees.Nodes, a.sees.All
	if a.told == nil || !sameSight(*a.told, now) {
		a.told = &now
		a.svc.Look(now)
	}
}

func sameSight(a, b model.Sight) bool {
	return a.All == b.All && a.Away == b.Away && slices.Equal(a.Close, b.Close) && slices.Equal(a.VMs, b.VMs) && slices.Equal(a.Nodes, b.Nodes)
}

// columns takes which columns of VMs are hidden.
func (a *app) columns(m screen.Columns) tea.Cmd {
	e := *a.env
	e.Hidden = map[string]bool{}
	for _, h := range m.Hidden {
		e.Hidden[h] = true
	}
	a.env = &e
	if a.opt.KeepColumns != nil {
		keep := a.opt.KeepColumns
		return tea.Batch(a.renew(), func() tea.Msg {
			keep(m.Hidden)
			return nil
		})
	}
	return a.renew()
}
