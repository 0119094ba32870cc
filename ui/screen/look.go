package screen

import (
	"fmt"
	"strings"
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
	short      string // the word alone, where there is no room for more
}

// brief is the look in the fewest words.
func (l look) brief() string { return l.sign + " " + text.Or(l.short, l.word) }

// String is the look without its colour.
func (l look) String() string { return l.sign + " " + l.word }

func (l look) render() string { return l.style.Render(l.String()) }

func nodeLook(th *theme.Theme, s model.NodeState) look {
	switch s {
	case model.NodeUp:
		return look{sign: theme.SignOn, word: "up", style: th.OK}
	case model.NodeBusy:
		return look{sign: theme.SignHalf, word: "busy", style: th.Warn}
	case model.NodeConnecting:
		return look{sign: theme.SignHalf, word: "connecting", style: th.Muted}
	case model.NodeDaemonDown:
		return look{sign: theme.SignFail, word: "no libvirt", style: th.Bad}
	case model.NodeUnreachable:
		return look{sign: theme.SignFail, word: "unreachable", style: th.Bad}
	case model.NodeRefused:
		return look{sign: theme.SignFail, word: "refused", style: th.Bad}
	}
	return look{sign: theme.SignUnknown, word: text.Or(name(s), "unknown"), style: th.Muted}
}

func domainLook(th *theme.Theme, s model.DomainState) look {
	switch s {
	case model.StateRunning:
		return look{sign: theme.SignOn, word: "running", style: th.OK}
	case model.StatePaused:
		return look{sign: theme.SignHalf, word: "paused", style: th.Warn}
	case model.StateShutdown:
		return look{sign: theme.SignHalf, word: "shutting down", style: th.Warn}
	case model.StateShutoff:
		return look{sign: theme.SignOff, word: "off", style: th.Muted}
	case model.StateCrashed:
		return look{sign: theme.SignFail, word: "crashed", style: th.Bad}
	case model.StateSuspended:
		return look{sign: theme.SignHalf, word: "suspended", style: th.Warn}
	case model.StateBlocked:
		return look{sign: theme.SignOn, word: "blocked", style: th.OK}
	case model.StateMissing:
		return look{sign: theme.SignNone, word: "missing", style: th.Muted}
	case model.StateUnreachable:
		return look{sign: theme.SignUnknown, word: "unreachable", style: th.Warn}
	case model.StateUnknown:
		return look{sign: theme.SignUnknown, word: "…", style: th.Muted}
	case model.StateNone:
		return look{sign: theme.SignNone, word: "no state", style: th.Muted}
	}
	return look{sign: theme.SignUnknown, word: text.Or(name(s), "unknown"), style: th.Muted}
}

// StateWord is the state of a VM in a word.
func StateWord(s model.DomainState) string { return domainLook(plainTheme, s).word }

// ordinary are the reasons that say no more than the state itself.
var ordinary = map[string]bool{
	"": true, "unknown": true, "booted": true, "migrated": true, "restored": true, "unpaused": true,
	"shutdown": true, "destroyed": true,
}

// vmLook is the state of a VM as it may be said at its age.
func vmLook(e *Env, v model.VM) look {
	th := e.Theme
	l := domainLook(th, v.State)
	if v.Arriving {
		l = look{sign: theme.SignHalf, word: "arriving", style: th.Muted}
	} else if v.Tombstone {
		l = look{sign: theme.SignTomb, word: "left behind", style: th.Muted}
	} else if r := name(v.Reason); !ordinary[r] && l.word != r {
		l.short = l.word
		l.word += " (" + r + ")"
	}
	if b, ok := e.Busy[Target{v.UUID, v.Node}]; ok {
		return look{sign: theme.SignActive, word: b.Word, style: th.Accent}
	}
	switch e.Fresh(v.Seen) {
	case Stale:
		l.short = text.Or(l.short, l.word) + " " + text.Clock(e.Now.Sub(v.Seen))
		l.word += " " + text.Clock(e.Now.Sub(v.Seen)) + " ago"
		l.style = th.Stale
	case Lost:
		l = look{sign: theme.SignUnknown, word: "was " + l.word, style: th.Stale, short: "was " + text.Or(l.short, l.word)}
		if v.Seen.IsZero() {
			l.word = "not seen yet"
		}
	}
	return l
}

func jobLook(th *theme.Theme, s model.JobState) look {
	switch s {
	case model.JobStarting:
		return look{sign: theme.SignHalf, word: "starting", style: th.Accent}
	case model.JobQueued:
		return look{sign: theme.SignHalf, word: "queued", style: th.Muted}
	case model.JobRunning:
		return look{sign: theme.SignActive, word: "moving", style: th.Lead}
	case model.JobUndoing:
		return look{sign: theme.SignBack, word: "undoing", style: th.Warn}
	case model.JobAwaiting:
		return look{sign: theme.SignHalf, word: "to be confirmed", style: th.Warn}
	case model.JobDone:
		return look{sign: theme.SignPass, word: "done", style: th.OK}
	case model.JobUndone:
		return look{sign: theme.SignBack, word: "undone", style: th.Warn}
	case model.JobRefused:
		return look{sign: theme.SignFail, word: "refused", style: th.Muted}
	case model.JobPerson:
		return look{sign: theme.SignWarn, word: "needs you", style: th.Bad}
	case model.JobInterrupted:
		return look{sign: theme.SignFail, word: "interrupted", style: th.Bad}
	}
	return look{sign: theme.SignUnknown, word: text.Or(name(s), "unknown"), style: th.Muted}
}

func verdictLook(th *theme.Theme, v model.Verdict) look {
	switch v {
	case model.Pass:
		return look{sign: theme.SignPass, word: "pass", style: th.OK}
	case model.Warn:
		return look{sign: theme.SignWarn, word: "warn", style: th.Warn}
	case model.Fail:
		return look{sign: theme.SignFail, word: "fail", style: th.Bad}
	case model.Skip:
		return look{sign: theme.SignSkip, word: "skip", style: th.Muted}
	}
	return look{sign: theme.SignUnknown, word: text.Or(name(v), "unknown"), style: th.Muted}
}

func agentWord(v model.VM) string {
	switch {
	case !isLive(&v):
		return "-"
	case v.Agent == model.AgentConnected:
		return "yes"
	case v.Agent == model.AgentDisconnected:
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

// sparkCell is a cell with the newest readings as a line of heights.
func sparkCell(e *Env, fresh Freshness, values []float64, top float64) widget.Cell {
	return widget.Cell{Draw: func(w int, bg theme.Style) string {
		look := e.Theme.Muted
		if fresh != Fresh {
			look = e.Theme.Faint
		}
		return look.On(bg).Render(text.FitRight(strings.TrimRight(widget.Spark(values, w, top), " "), w))
	}}
}
