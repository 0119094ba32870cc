package ui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine"
	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
)

// unsettledTimeout bounds the wait for the nodes' first facts.
const unsettledTimeout = 30 * time.Second

// unsettledMsg is what a crash has left behind, as found at the start.
type unsettledMsg struct{ list []engine.Unsettled }

// lookForUnsettled asks once, at the start.
func (a *app) lookForUnsettled() tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, unsettledTimeout)
		defer cancel()
		list, err := a.svc.Unsettled(ctx)
		if err != nil || len(list) == 0 {
			return nil
		}
		return unsettledMsg{list}
	}
}

// unsettled has settled what both nodes can be asked about, and says all the rest
// in one notice, and each with its remedy on the page of notices.
func (a *app) unsettled(m unsettledMsg) tea.Cmd {
	var cmds []tea.Cmd
	var rest []engine.Unsettled
	for _, u := range m.list {
		if !u.Ready {
			rest = append(rest, u)
			continue
		}
		cmds = append(cmds, a.command(screen.Command{
			Job: u.Job, Command: model.Command{Kind: model.CommandRecover},
			Done: fmt.Sprintf("%s: %s; it is being settled by what both nodes say", u.VM, u.Text),
		}))
	}
	if len(rest) == 0 {
		return tea.Batch(cmds...)
	}
	m.list = rest
	list := m.list
	if len(list) == 1 {
		list = nil // the line below says it
	}
	for _, u := range list {
		cmds = append(cmds, a.keepNotice(screen.Caution, fmt.Sprintf("%s is not settled: %s; `%s` settles it", u.VM, u.Text, u.Command)))
	}
	first := m.list[0]
	line := fmt.Sprintf("%s is not settled: %s; `%s` settles it", first.VM, first.Text, first.Command)
	if n := len(m.list); n > 1 {
		line = fmt.Sprintf("%s left by a crash are not settled, %s among them; `%s` settles them", text.Count(n, "move"), first.VM, first.Command)
	}
	return tea.Batch(append(cmds, a.say(screen.Caution, line))...)
}
