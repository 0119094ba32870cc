package ui

import (
	"context"
	"slices"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
)

// push shows a page on top of the others. A page that is open already is
// brought up instead, so the trail never grows by going round.
func (a *app) push(s screen.Screen) tea.Cmd {
	for i, old := range a.stack {
		if i > 0 && samePage(old, s) {
			a.stack = append(append(a.stack[:i:i], a.stack[i+1:]...), old)
			return a.refollow()
		}
	}
	a.stack = append(a.stack, s)
	return tea.Batch(a.refollow(), a.tell(screen.Opened{}))
}

func samePage(a, b screen.Screen) bool {
	switch x := a.(type) {
	case *screen.Job:
		y, ok := b.(*screen.Job)
		return ok && x.ID() == y.ID()
	case *screen.Jobs:
		_, ok := b.(*screen.Jobs)
		return ok
	case *screen.Log:
		_, ok := b.(*screen.Log)
		return ok
	case *screen.Doctor:
		_, ok := b.(*screen.Doctor)
		return ok
	case *screen.VM:
		y, ok := b.(*screen.VM)
		return ok && x.UUID() == y.UUID()
	case *screen.Node:
		y, ok := b.(*screen.Node)
		return ok && x.Name() == y.Name()
	}
	return false
}

// pop leaves the page on top; the first page stays.
func (a *app) pop() tea.Cmd {
	if len(a.stack) > 1 {
		a.stack = a.stack[:len(a.stack)-1]
	}
	return a.refollow()
}

// home goes back to the first page, to one of its lists.
func (a *app) home(focus screen.Focus) tea.Cmd {
	a.stack = a.stack[:1]
	return tea.Batch(a.refollow(), a.tell(focus))
}

// refollow makes the stream of events fit the page on top: there is one while
// a job page is, and it ends with it.
func (a *app) refollow() tea.Cmd {
	want := model.JobID("")
	if j, ok := a.top().(*screen.Job); ok {
		want = j.ID()
	}
	if a.follow != nil {
		if a.follow.id == want {
			return nil
		}
		a.follow.cancel()
		a.follow = nil
	}
	if want == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(a.ctx)
	f := &follow{id: want, cancel: cancel}
	a.follow = f
	return func() tea.Msg {
		ch, err := a.svc.Follow(ctx, want)
		return followOpened{by: f, events: ch, err: err}
	}
}

func (a *app) followOpened(m followOpened) tea.Cmd {
	if m.by != a.follow {
		return nil // the page was left meanwhile; its context is cancelled
	}
	if m.err != nil || m.events == nil {
		return a.deliver(screen.FollowEnded{ID: m.by.id, Err: m.err})
	}
	a.follow.ch = m.events
	return a.listen(a.follow)
}

func (a *app) followNews(m followNews) tea.Cmd {
	if m.from != a.follow {
		return nil
	}
	cmd := a.deliver(m.msg)
	if _, ended := m.msg.(screen.FollowEnded); ended {
		j, _ := a.env.Job(m.from.id)
		m.from.ended = stage(j)
		return cmd
	}
	return tea.Batch(cmd, a.listen(m.from))
}

// revive follows a job again that had ended or waited, when the list says that
// it goes on: a confirm and a recovery have a process of their own.
func (a *app) revive() tea.Cmd {
	f := a.follow
	if f == nil || f.ended == "" {
		return nil
	}
	if j, ok := a.env.Job(f.id); !ok || stage(j) == f.ended {
		return nil
	}
	f.cancel()
	a.follow = nil
	return a.refollow()
}

// trail is the way to the page on top, for the first line.
func (a *app) trail() []string {
	out := []string{"horcrux"}
	for i, s := range a.stack {
		if i > 0 || len(a.stack) == 1 {
			out = append(out, s.Title())
		}
	}
	return out
}

// replaceMigrate shows a page for a move and drops an older one, which is about
// other VMs or about older facts.
func (a *app) replaceMigrate(s *screen.Migrate) tea.Cmd {
	a.stack = slices.DeleteFunc(a.stack, func(p screen.Screen) bool {
		_, ok := p.(*screen.Migrate)
		return ok
	})
	return a.push(s)
}
