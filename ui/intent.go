package ui

import (
	"context"
	"fmt"
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
)

// How long an answer of the engine is waited for. A pre-flight asks two hosts
// and makes a mark on storage; a start waits for a process to open its journal.
const (
	planTimeout  = 2 * time.Minute
	startTimeout = time.Minute
	doTimeout    = 30 * time.Second
	backTimeout  = planTimeout + startTimeout // a way back is a move of its own
)

// apply does what pages want.
func (a *app) apply(intents []screen.Intent) tea.Cmd {
	var cmds []tea.Cmd
	for _, i := range intents {
		cmds = append(cmds, a.one(i))
	}
	return tea.Batch(cmds...)
}

func (a *app) one(i screen.Intent) tea.Cmd {
	switch m := i.(type) {
	case screen.Back:
		return a.pop()
	case screen.OpenVM:
		return a.push(screen.NewVM(a.env, m.UUID, m.Node).On(m.Page))
	case screen.OpenNode:
		return a.push(screen.NewNode(a.env, m.Name))
	case screen.OpenJob:
		if j, ok := a.env.Anyones(m.ID); ok && j.Elsewhere {
			return a.push(screen.NewVM(a.env, j.VM, j.From)) // all that is known of it is on the VM
		}
		return a.push(screen.NewJob(a.env, m.ID, model.Job{}))
	case screen.OpenJobs:
		return a.push(screen.NewJobs(a.env))
	case screen.OpenLog:
		return a.push(screen.NewLog(a.env))
	case screen.OpenMigrate:
		return a.replaceMigrate(screen.NewMigrate(a.env, m.VMs, m.To))
	case screen.AskPlan:
		return a.plan(m.Request)
	case screen.StartMoves:
		return a.start(m.Plans)
	case screen.Command:
		return a.command(m)
	case screen.Ask:
		a.modal = modal{id: "ask", box: m.Question, then: m.Then, gone: m.Gone}
		a.modal.recheck(a.env)
	case screen.Choose:
		a.modal = modal{id: m.ID, box: m.Menu}
	case screen.Enter:
		a.modal = modal{id: m.ID, box: m.Prompt}
	case screen.Power:
		return a.power(m)
	case screen.Snap:
		return a.snap(m)
	case screen.Maintain:
		return a.maintain(m)
	case screen.Reconnect:
		cmd, wrong := a.reconnect(string(m.Node))
		if wrong != "" {
			return a.say(screen.Caution, wrong)
		}
		return cmd
	case screen.Console:
		return a.console(m)
	case screen.AskVM:
		return a.askVM(m)
	case screen.AskNode:
		return a.askNode(m)
	case screen.AskHealth:
		return a.askHealth(m)
	case screen.AskDoctor:
		return a.askDoctor()
	case screen.AskLog:
		return a.askLog()
	case screen.OpenMatrix:
		return a.push(screen.NewMatrix(a.env, m.VMs))
	case screen.OpenDoctor:
		return a.push(screen.NewDoctor(a.env))
	case screen.Columns:
		return a.columns(m)
	case screen.Say:
		return a.say(m.Kind, m.Text)
	case screen.Copy:
		return a.copy(m)
	}
	return nil
}

// plan asks for a pre-flight; only so many run at the same time.
func (a *app) plan(r model.Request) tea.Cmd {
	return func() tea.Msg {
		select {
		case a.slots <- struct{}{}:
			defer func() { <-a.slots }()
		case <-a.ctx.Done():
			return screen.PlanArrived{Request: r, Err: a.ctx.Err()}
		}
		ctx, cancel := context.WithTimeout(a.ctx, planTimeout)
		defer cancel()
		p, err := a.svc.Plan(ctx, r)
		return screen.PlanArrived{Request: r, Plan: p, Err: err}
	}
}

// startedMsg answers start.
type startedMsg struct {
	plans []model.Plan
	ids   []model.JobID // of those that started, in order
	err   error         // of the first that did not; the rest were not tried
}

// start begins moves one after the other and stops at the first that fails.
func (a *app) start(plans []model.Plan) tea.Cmd {
	return func() tea.Msg {
		m := startedMsg{plans: plans}
		for _, p := range plans {
			ctx, cancel := context.WithTimeout(a.ctx, startTimeout)
			id, err := a.svc.Start(ctx, p)
			cancel()
			if err != nil {
				m.err = fmt.Errorf("cannot start the move of %s to %s: %w", p.VMName, p.To, err)
				break
			}
			m.ids = append(m.ids, id)
		}
		return m
	}
}

func (a *app) started(m startedMsg) tea.Cmd {
	cmds := []tea.Cmd{a.deliver(screen.StartDone{Err: m.err})}
	if m.err != nil {
		cmds = append(cmds, a.say(screen.Problem, m.err.Error()))
	}
	if len(m.ids) == 0 {
		return tea.Batch(cmds...)
	}
	if _, ok := a.top().(*screen.Migrate); !ok && m.err == nil {
		return tea.Batch(append(cmds, a.say(screen.Good, text.Count(len(m.ids), "move")+" begun"))...)
	}
	if m.err == nil {
		cmds = append(cmds, a.pop())
	}
	if len(m.plans) > 1 {
		return tea.Batch(append(cmds, a.say(screen.Good, text.Count(len(m.ids), "move")+" begun"), a.push(screen.NewJobs(a.env)))...)
	}
	p := m.plans[0]
	seed := model.Job{
		VM: p.VM, VMName: p.VMName, From: p.From, To: p.To, Mode: p.Mode,
		State: model.JobStarting, Started: a.now(), Plan: &p,
	}
	return tea.Batch(append(cmds, a.push(screen.NewJob(a.env, m.ids[0], seed)))...)
}

// doneMsg answers a wish to a job.
type doneMsg struct {
	what screen.Command
	err  error
}

func (a *app) command(c screen.Command) tea.Cmd {
	wait, note := doTimeout, tea.Cmd(nil)
	if c.Command.Kind == model.CommandRollback {
		wait, note = backTimeout, a.say(screen.Note, "the rollback is being prepared")
	}
	return tea.Batch(note, func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, wait)
		defer cancel()
		return doneMsg{c, a.svc.Do(ctx, c.Job, c.Command)}
	})
}

func (a *app) done(m doneMsg) tea.Cmd {
	if m.err != nil {
		return a.say(screen.Problem, fmt.Sprintf("cannot %s job %s: %v", m.what.Command.Kind, m.what.Job, m.err))
	}
	return a.say(screen.Good, m.what.Done)
}

// copy puts text on the clipboard of the terminal, which may not listen.
func (a *app) copy(m screen.Copy) tea.Cmd {
	if m.Text == "" {
		a.show(screen.Caution, "there is no "+m.Name+" to copy")
		return nil
	}
	said := m.Name + " copied, if your terminal allows it"
	if len(m.Text) < 100 {
		said += ": " + m.Text
	}
	a.show(screen.Note, said) // nothing was asked of a host, and the log may be what is copied from
	return tea.SetClipboard(m.Text)
}
