package rollback

import (
	"context"
	"fmt"

	"horcrux/engine/model"
)

// slowly is how much longer than for a host's answer a guest is waited for that
// was asked to shut down: it cannot be asked to stay.
const slowly = 3

// runOnSource makes the VM on the source what it was before the move, and
// believes it only when the host says so.
func runOnSource(ctx context.Context, e *Env) (string, error) {
	st, err := look(ctx, e.Source)
	if err != nil {
		return "", err
	}
	where := " on " + string(e.Source.Name())
	if startAgain(e.View) && !e.View.Stopped && st.State == model.StateRunning {
		// It was asked to shut down, and may still be about to.
		off := func(s model.DomainStatus) bool { return !s.Live() }
		if seen, err := await(ctx, e.Source, slowly*e.Patience, off); err == nil {
			st = seen
		} else {
			where += "; it was asked to shut down and may still do so"
		}
	}
	switch {
	case wasPaused(e.View):
		if st.State == model.StatePaused {
			return "paused" + where + ", as its user had left it", nil
		}
		return st.String() + where, nil
	case st.State == model.StateRunning:
		return "running" + where, nil
	case (st.State == model.StateShutoff || st.State == model.StateCrashed) && startAgain(e.View):
		return boot(ctx, e)
	case st.State == model.StateShutoff, st.State == model.StateCrashed:
		return "the VM is " + st.String() + where + "; it stopped there and was not started again", nil
	case st.State == model.StatePaused && st.Reason == "ioerror":
		return "the VM is paused by an I/O error" + where + "; mend its storage, then resume it", nil
	case st.State == model.StatePaused && st.Reason == "user" && !e.View.Suspended:
		return "paused by its user" + where, nil
	}
	if err := e.Source.Resume(ctx); err != nil {
		if st, lookErr := look(ctx, e.Source); lookErr != nil || st.State != model.StateRunning {
			return "", fmt.Errorf("cannot resume the VM%s: %w", where, err)
		}
	}
	if _, err := await(ctx, e.Source, e.Patience, func(s model.DomainStatus) bool { return s.State == model.StateRunning }); err != nil {
		return "", err
	}
	return "running" + where + " again", nil
}

// boot starts the VM that this move had shut down.
func boot(ctx context.Context, e *Env) (string, error) {
	if err := e.Source.Start(ctx); err != nil {
		if st, lookErr := look(ctx, e.Source); lookErr != nil || st.State != model.StateRunning {
			return "", fmt.Errorf("cannot start the VM on %s again: %w", e.Source.Name(), err)
		}
	}
	if _, err := await(ctx, e.Source, e.Patience, func(s model.DomainStatus) bool { return s.State == model.StateRunning }); err != nil {
		return "", err
	}
	e.started = true
	return "started on " + string(e.Source.Name()) + " again", nil
}
