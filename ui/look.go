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

// heat tells the engine which VMs are looked at closely, when that changed: the
// page of one VM, and what moves.
func (a *app) heat() {
	hot := []model.UUID{}
	if v, ok := a.top().(*screen.VM); ok {
		hot = append(hot, v.UUID())
	}
	for _, j := range a.env.Jobs {
		if screen.Ticking(j) {
			hot = append(hot, j.VM)
		}
	}
	if !slices.Equal(hot, a.hot) || a.hot == nil {
		a.hot = hot
		a.svc.Hot(hot...)
	}
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
