package health

import (
	"context"

	"horcrux/engine/model"
)

const (
	factState  = "state"
	factReason = "reason"
)

// badPauses are reasons of a pause that nobody asked for.
var badPauses = map[string]bool{
	"ioerror": true, "watchdog": true, "crashed": true, "postcopy failed": true, "api error": true,
}

// checkRunning asks libvirt for the state. A VM that its user had paused must
// be paused after the move, any other must run; at the gate it must be paused.
func checkRunning(ctx context.Context, e *exam) finding {
	st, err := e.status(ctx)
	if err != nil {
		return failed("%s did not say: %s", e.t.Node(), why(err))
	}
	if st.State == model.StateUnreachable {
		return failed("%s did not say: %s", e.t.Node(), clean(st.Err))
	}
	f := passed(clean(st.String()), map[string]string{factState: string(st.State), factReason: clean(st.Reason)})
	paused := st.State == model.StatePaused
	switch {
	case st.State == model.StateMissing:
		f.verdict, f.evidence = model.Fail, "there is no such VM on "+string(e.t.Node())
	case paused && badPauses[st.Reason]:
		f.verdict = model.Fail
	case e.stage == model.StageGate:
		if !paused {
			f.verdict, f.evidence = model.Fail, f.evidence+", and should be paused until the switch"
		}
	case e.stage == model.StageAfter:
		if want := e.expected(); st.State != want {
			f.verdict, f.evidence = model.Fail, f.evidence+", and was "+string(want)+" before the move"
		}
	case st.State == model.StateRunning:
	case paused && e.stage == model.StageBaseline:
		f.evidence += "; it stays paused through the move"
	case paused, st.State == model.StateSuspended:
		f.verdict = model.Warn
	default:
		f.verdict = model.Fail
	}
	return f
}
