package screen

import (
	"fmt"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// look is a state as it is shown: a sign, a word, a colour. The first two
// alone tell states apart.
type look struct {
	sign, word string
	style      theme.Style
}

func (l look) String() string { return l.sign + " " + l.word }

func (l look) render() string { return l.style.Render(l.String()) }

func nodeLook(th *theme.Theme, s model.NodeState) look {
	switch s {
	case model.NodeUp:
		return look{theme.SignOn, "up", th.OK}
	case model.NodeBusy:
		return look{theme.SignHalf, "busy", th.Warn}
	case model.NodeConnecting:
		return look{theme.SignHalf, "connecting", th.Muted}
	case model.NodeDaemonDown:
		return look{theme.SignFail, "no libvirt", th.Bad}
	case model.NodeUnreachable:
		return look{theme.SignFail, "unreachable", th.Bad}
	case model.NodeRefused:
		return look{theme.SignFail, "refused", th.Bad}
	}
	return look{theme.SignUnknown, text.Or(name(s), "unknown"), th.Muted}
}

func domainLook(th *theme.Theme, s model.DomainState) look {
	switch s {
	case model.StateRunning:
		return look{theme.SignOn, "running", th.OK}
	case model.StatePaused:
		return look{theme.SignHalf, "paused", th.Warn}
	case model.StateShutdown:
		return look{theme.SignHalf, "shutting down", th.Warn}
	case model.StateShutoff:
		return look{theme.SignOff, "off", th.Muted}
	case model.StateCrashed:
		return look{theme.SignFail, "crashed", th.Bad}
	case model.StateSuspended:
		return look{theme.SignHalf, "suspended", th.Warn}
	case model.StateBlocked:
		return look{theme.SignOn, "blocked", th.OK}
	case model.StateMissing:
		return look{theme.SignNone, "missing", th.Muted}
	case model.StateUnreachable:
		return look{theme.SignUnknown, "unreachable", th.Warn}
	case model.StateNone:
		return look{theme.SignNone, "no state", th.Muted}
	}
	return look{theme.SignUnknown, text.Or(name(s), "unknown"), th.Muted}
}

// ordinary are the reasons that say no more than the state itself.
var ordinary = map[string]bool{
	"": true, "unknown": true, "booted": true, "migrated": true, "restored": true, "unpaused": true,
	"shutdown": true, "destroyed": true,
}

// vmLook is the state of a VM as it may be said at its age.
func vmLook(e *Env, v model.VM) look {
	th := e.Theme
	l := domainLook(th, v.State)
	if v.Tombstone {
		l = look{theme.SignTomb, "left behind", th.Muted}
	} else if r := name(v.Reason); !ordinary[r] && l.word != r {
		l.word += " (" + r + ")"
	}
	switch e.Fresh(v.Seen) {
	case Stale:
		l.word += " " + text.Clock(e.Now.Sub(v.Seen)) + " ago"
		l.style = th.Stale
	case Lost:
		l = look{theme.SignUnknown, "was " + l.word, th.Stale}
		if v.Seen.IsZero() {
			l.word = "not seen yet"
		}
	}
	return l
}

func jobLook(th *theme.Theme, s model.JobState) look {
	switch s {
	case model.JobStarting:
		return look{theme.SignHalf, "starting", th.Accent}
	case model.JobRunning:
		return look{theme.SignActive, "moving", th.Lead}
	case model.JobUndoing:
		return look{theme.SignBack, "undoing", th.Warn}
	case model.JobAwaiting:
		return look{theme.SignHalf, "to be confirmed", th.Warn}
	case model.JobDone:
		return look{theme.SignPass, "done", th.OK}
	case model.JobUndone:
		return look{theme.SignBack, "undone", th.Warn}
	case model.JobRefused:
		return look{theme.SignFail, "refused", th.Muted}
	case model.JobPerson:
		return look{theme.SignWarn, "needs you", th.Bad}
	case model.JobInterrupted:
		return look{theme.SignFail, "interrupted", th.Bad}
	}
	return look{theme.SignUnknown, text.Or(name(s), "unknown"), th.Muted}
}

func verdictLook(th *theme.Theme, v model.Verdict) look {
	switch v {
	case model.Pass:
		return look{theme.SignPass, "pass", th.OK}
	case model.Warn:
		return look{theme.SignWarn, "warn", th.Warn}
	case model.Fail:
		return look{theme.SignFail, "fail", th.Bad}
	case model.Skip:
		return look{theme.SignSkip, "skip", th.Muted}
	}
	return look{theme.SignUnknown, text.Or(name(v), "unknown"), th.Muted}
}

func agentWord(s model.AgentState) string {
	switch s {
	case model.AgentConnected:
		return "yes"
	case model.AgentDisconnected:
		return "silent"
	}
	return "-"
}

func stopState(s model.PhaseStatus) widget.StopState {
	switch s {
	case model.PhaseActive:
		return widget.StopActive
	case model.PhaseOK:
		return widget.StopDone
	case model.PhaseFailed:
		return widget.StopFailed
	case model.PhaseSkipped:
		return widget.StopSkipped
	}
	return widget.StopWaiting
}

// loadCell is a gauge of how full something is: it changes its look when it
// becomes too full.
func loadCell(e *Env, fresh Freshness, fraction float64, note string) widget.Cell {
	return gaugeCell(e, fresh, fraction, widget.LoadLook(e.Theme, fraction), note)
}

// gaugeCell is a cell with a bar and its percentage; without a known number
// it says so.
func gaugeCell(e *Env, fresh Freshness, fraction float64, look theme.Style, note string) widget.Cell {
	th := e.Theme
	return widget.Cell{Draw: func(w int, bg theme.Style) string {
		noteW := len(note)
		if w-6-noteW < 6 { // a bar of less says nothing
			noteW = 0
		}
		bar := max(0, w-6-noteW)
		if fresh == Lost {
			return widget.NoGauge(th, bar, bg) + th.Stale.On(bg).Render(text.Fit(text.FitRight(text.Unknown, 6), w-bar))
		}
		look, num := look, th.Text
		if fresh == Stale {
			look, num = th.Faint, th.Stale
		}
		return widget.Gauge(th, bar, fraction, look, bg) +
			num.On(bg).Render(text.FitRight(text.Percent(fraction), 6)) +
			th.Muted.On(bg).Render(text.FitRight(note, noteW))
	}}
}

// numberCell is a number with the look its age allows.
func numberCell(e *Env, fresh Freshness, s string) widget.Cell {
	switch fresh {
	case Stale:
		return widget.Cell{Text: s, Style: e.Theme.Stale}
	case Lost:
		return widget.Cell{Text: text.Unknown, Style: e.Theme.Stale}
	}
	if s == "-" || s == "0" {
		return widget.Cell{Text: s, Style: e.Theme.Faint}
	}
	return widget.Cell{Text: s, Style: e.Theme.Text}
}

func cpuNumber(p float64) string {
	if p < 0.5 {
		return "0"
	}
	return fmt.Sprintf("%.0f", p)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format("2006-01-02 15:04:05 MST")
}
