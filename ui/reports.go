package ui

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine"
	"horcrux/engine/model"
	"horcrux/ui/screen"
)

// reportTimeout bounds the eight checks of a VM, and a look at every node.
const reportTimeout = 3 * time.Minute

// reports reads what a question says bit by bit, as a source of the root model.
type reports struct{ ch chan any }

// reportNews is one bit of it.
type reportNews struct {
	from *reports
	msg  any
}

func (r *reports) next() tea.Msg {
	m, ok := <-r.ch
	if !ok {
		return nil
	}
	return reportNews{r, m}
}

func (r *reports) poll() (tea.Msg, bool) {
	select {
	case m, ok := <-r.ch:
		if ok {
			return reportNews{r, m}, true
		}
	default:
	}
	return nil, false
}

// report runs ask, which says things by tell, and shows them as they come.
func (a *app) report(ask func(ctx context.Context, tell func(any))) tea.Cmd {
	r := &reports{ch: make(chan any, 256)}
	return tea.Batch(func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, reportTimeout)
		defer cancel()
		defer close(r.ch)
		ask(ctx, func(m any) {
			select {
			case r.ch <- m:
			case <-ctx.Done():
			}
		})
		return nil
	}, a.listen(r))
}

func (a *app) reported(m reportNews) tea.Cmd {
	return tea.Batch(a.deliver(m.msg), a.listen(m.from))
}

func (a *app) askHealth(m screen.AskHealth) tea.Cmd {
	return a.report(func(ctx context.Context, tell func(any)) {
		err := a.svc.Health(ctx, m.UUID, m.Node, func(c model.CheckResult) {
			tell(screen.HealthNews{Target: m.Target, Check: &c})
		})
		tell(screen.HealthNews{Target: m.Target, Done: true, Err: err})
	})
}

func (a *app) askDoctor() tea.Cmd {
	return a.report(func(ctx context.Context, tell func(any)) {
		err := a.svc.Doctor(ctx, func(r engine.NodeReport) {
			tell(screen.DoctorNews{Node: r.Node, Findings: r.Findings})
		})
		tell(screen.DoctorNews{Done: true, Err: err})
	})
}
