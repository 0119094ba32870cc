package ui

import (
	"context"
	"fmt"
	"maps"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
)

// How long hosts may take. The first start after a boot of a daemon has it ask
// QEMU about itself; a snapshot writes the memory of the guest.
const (
	powerTimeout   = 3 * time.Minute
	snapTimeout    = 15 * time.Minute
	detailsTimeout = 45 * time.Second
)

// powerDone answers an act on one VM.
type powerDone struct {
	vm    model.VM
	act   model.PowerAct
	took  time.Duration
	err   error
	again bool // it is the answer to a snapshot act
	snap  model.SnapshotAct
}

// markBusy shows that a host has not answered yet; an empty word takes it away.
func (a *app) markBusy(t screen.Target, word string) {
	e := *a.env
	e.Busy = maps.Clone(e.Busy)
	if e.Busy == nil {
		e.Busy = map[screen.Target]screen.Busy{}
	}
	if word == "" {
		delete(e.Busy, t)
	} else {
		e.Busy[t] = screen.Busy{Word: word, Since: a.now()}
	}
	a.env = &e
}

func (a *app) power(m screen.Power) tea.Cmd {
	var cmds []tea.Cmd
	for _, v := range m.VMs {
		if w := screen.PowerWord(m.Act); w != "" {
			a.markBusy(screen.Target{UUID: v.UUID, Node: v.Node}, w)
		}
		cmds = append(cmds, a.act(powerTimeout, func(ctx context.Context) error {
			return a.svc.Power(ctx, v.UUID, v.Node, m.Act)
		}, powerDone{vm: v, act: m.Act}))
	}
	return tea.Batch(append(cmds, a.renew())...)
}

func (a *app) snap(m screen.Snap) tea.Cmd {
	word := map[model.SnapshotKind]string{model.SnapshotCreate: "taking a snapshot", model.SnapshotRevert: "reverting", model.SnapshotDelete: "deleting a snapshot"}[m.Act.Kind]
	a.markBusy(screen.Target{UUID: m.VM.UUID, Node: m.VM.Node}, word)
	return tea.Batch(a.act(snapTimeout, func(ctx context.Context) error {
		return a.svc.SnapshotAct(ctx, m.VM.UUID, m.VM.Node, m.Act)
	}, powerDone{vm: m.VM, again: true, snap: m.Act}), a.renew())
}

// act does something with a deadline and answers with how it went.
func (a *app) act(limit time.Duration, do func(context.Context) error, answer powerDone) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, limit)
		defer cancel()
		began := a.now()
		answer.err = do(ctx)
		answer.took = a.now().Sub(began)
		return answer
	}
}

func (a *app) powered(m powerDone) tea.Cmd {
	t := screen.Target{UUID: m.vm.UUID, Node: m.vm.Node}
	a.markBusy(t, "")
	what := screen.PowerTitle(m.act)
	if m.again {
		what = string(m.snap.Kind) + " snapshot " + m.snap.Name
	}
	k, said := screen.Good, fmt.Sprintf("%s: %s, %s answered in %s", m.vm.Name, what, m.vm.Node, text.Duration(m.took))
	switch {
	case m.err != nil:
		k, said = screen.Problem, fmt.Sprintf("%s: %s failed: %v", m.vm.Name, what, m.err)
	case m.act == model.PowerShutdown, m.act == model.PowerReboot:
		k, said = screen.Note, fmt.Sprintf("%s was asked to %s; it is up to the guest now", m.vm.Name, what)
	}
	a.show(k, said) // the engine has kept it, in the words of the host
	return tea.Batch(a.renew(), a.deliver(screen.Acted{Target: t, Err: m.err}))
}

// maintained answers Maintain.
type maintained struct {
	m   screen.Maintain
	err error
}

func (a *app) maintain(m screen.Maintain) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, doTimeout)
		defer cancel()
		return maintained{m, a.svc.Maintain(ctx, m.Node, m.On, m.Why)}
	}
}

func (a *app) maintainDone(m maintained) tea.Cmd {
	switch {
	case m.err != nil:
		return a.say(screen.Problem, m.err.Error())
	case m.m.On:
		return a.say(screen.Note, fmt.Sprintf("%s is in maintenance: no VM is sent to it; what runs there stays", m.m.Node))
	}
	return a.say(screen.Good, fmt.Sprintf("the maintenance of %s is over", m.m.Node))
}

// details asks for what a page about one thing shows.
func (a *app) askVM(m screen.AskVM) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, detailsTimeout)
		defer cancel()
		d, err := a.svc.VMDetails(ctx, m.UUID, m.Node)
		return screen.VMArrived{Target: m.Target, Details: d, Err: err}
	}
}

func (a *app) askNode(m screen.AskNode) tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, detailsTimeout)
		defer cancel()
		d, err := a.svc.NodeDetails(ctx, m.Node)
		return screen.NodeArrived{Node: m.Node, Details: d, Err: err}
	}
}

// logLines is how much of the saved log is read: some screens of it.
const logLines = 2000

func (a *app) askLog() tea.Cmd {
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, detailsTimeout)
		defer cancel()
		l, err := a.svc.Log(ctx, logLines)
		return screen.LogArrived{Lines: l, Err: err}
	}
}
