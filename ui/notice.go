package ui

import (
	"time"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
)

// toast is a notice while it is on screen.
type toast struct {
	screen.Notice
	until time.Time
}

// stay is how long a notice is on screen; what is wrong stays longer.
func stay(k screen.Kind) time.Duration {
	if k == screen.Problem || k == screen.Caution {
		return 12 * time.Second
	}
	return 5 * time.Second
}

// say shows a line for a while and keeps it in the log.
func (a *app) say(k screen.Kind, s string) tea.Cmd {
	a.show(k, s)
	return a.keepNotice(k, s)
}

// show shows a line for a while; whoever acted keeps it.
func (a *app) show(k screen.Kind, s string) {
	n := screen.Notice{At: a.now(), Kind: k, Text: text.Clean(s)}
	a.toasts = append(a.toasts, toast{n, n.At.Add(stay(k))})
}

// keepNotice keeps a line in the log without showing it now.
func (a *app) keepNotice(k screen.Kind, s string) tea.Cmd {
	verdict := map[screen.Kind]model.Verdict{screen.Good: model.Pass, screen.Caution: model.Warn, screen.Problem: model.Fail}[k]
	a.svc.Note(model.LogEntry{Time: a.now(), Kind: model.LogSaid, Verdict: verdict, Text: text.Clean(s)})
	return a.deliver(screen.NewNotices{})
}

func (a *app) fadeToasts() {
	now := a.now()
	kept := a.toasts[:0]
	for _, t := range a.toasts {
		if now.Before(t.until) {
			kept = append(kept, t)
		}
	}
	a.toasts = kept
}

// toastEnd is when the next toast goes, from now.
func (a *app) toastEnd() (time.Duration, bool) {
	var least time.Duration
	for i, t := range a.toasts {
		if d := t.until.Sub(a.now()); i == 0 || d < least {
			least = d
		}
	}
	return max(least, 10*time.Millisecond), len(a.toasts) > 0
}

// announce says what became of jobs since the last update, and rings once for
// what ends or needs a person. The page of the job itself needs no telling.
func (a *app) announce(before, after []model.Job) tea.Cmd {
	was := make(map[model.JobID]model.JobState, len(before))
	for _, j := range before {
		was[j.ID] = j.State
	}
	var cmds []tea.Cmd
	for _, j := range after {
		old, known := was[j.ID]
		if known && old == j.State || !known && j.State.Ended() {
			continue
		}
		k, line := announcement(j)
		if line == "" {
			continue
		}
		cmds = append(cmds, a.ring(line))
		if top, ok := a.top().(*screen.Job); !ok || top.ID() != j.ID {
			cmds = append(cmds, a.say(k, line))
		}
	}
	return tea.Batch(cmds...)
}

func announcement(j model.Job) (screen.Kind, string) {
	vm, reason := j.VMName, ""
	if j.Result != nil && j.Result.Reason != "" {
		reason = ": " + j.Result.Reason
	}
	switch j.State {
	case model.JobAwaiting:
		if j.Result == nil {
			return 0, ""
		}
		if j.Result.Outcome == model.OutcomeDegraded {
			return screen.Caution, vm + " moved to " + string(j.To) + ", but a check failed" + reason
		}
		return screen.Good, vm + " moved to " + string(j.To) + " and waits for confirm"
	case model.JobDone:
		return screen.Good, vm + " is on " + string(owner(j)) + ", the move is done"
	case model.JobUndone:
		return screen.Caution, vm + ": undone, it is on " + string(owner(j)) + reason
	case model.JobRefused:
		return screen.Caution, vm + ": refused, nothing was changed" + reason
	case model.JobPerson:
		return screen.Problem, vm + ": a person must decide" + reason
	case model.JobInterrupted:
		return screen.Problem, vm + ": the process of its move is gone; `horcrux recover` settles it"
	}
	return 0, ""
}

func owner(j model.Job) model.NodeName {
	if j.Result != nil && j.Result.Owner != "" {
		return j.Result.Owner
	}
	if j.Switched {
		return j.To
	}
	return j.From
}
