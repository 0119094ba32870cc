package rollback

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// RestoreEnv is what a restore works with.
type RestoreEnv struct {
	View           journal.View
	Source, Target Host
	// Bury makes what is defined on the target unable to start, and says how.
	Bury     func(context.Context) (string, error)
	Report   func(model.StepResult)
	Patience time.Duration
}

// RestoreStep is one of the six, for one of the two halves.
type restoreStep struct {
	id  model.StepID
	run func(context.Context, *RestoreEnv) (string, error)
}

// FenceTarget ends the target's copy, moves its files aside and makes its
// definition unable to start, and has seen all of that when it returns nil. Only
// then, and after that is durable in the journal, may BringBack be called.
func FenceTarget(ctx context.Context, e RestoreEnv) error {
	return e.walk(ctx, []restoreStep{
		{model.StepDisks, endTarget},
		{model.StepUnregister, buryTarget},
		{model.StepRelease, seeReleased},
	})
}

// BringBack gives the source its disks, its definition and the VM again.
func BringBack(ctx context.Context, e RestoreEnv) error {
	if !e.View.TargetFenced {
		return errors.New("cannot bring the source back: the journal does not say that the target is fenced")
	}
	return e.walk(ctx, []restoreStep{
		{model.StepConfig, restoreDefinition},
		{model.StepNetwork, restoreAddresses},
		{model.StepRun, bootSource},
	})
}

func (e *RestoreEnv) walk(ctx context.Context, steps []restoreStep) error {
	if !e.View.KeepsSource() {
		return errors.New("cannot restore the source: the journal does not hold that decision")
	}
	if e.Patience == 0 {
		e.Patience = 20 * time.Second
	}
	for _, s := range steps {
		res := model.StepResult{Step: s.id, Title: model.StepTitles[s.id], Kind: model.RollbackRestore, Status: model.PhaseActive}
		e.Report(res)
		detail, err := s.run(ctx, e)
		res.Status, res.Detail = model.PhaseOK, detail
		if err != nil {
			res.Status, res.Detail = model.PhaseFailed, err.Error()
		}
		e.Report(res)
		if err != nil {
			return fmt.Errorf("cannot %s: %w", model.StepTitles[s.id], err)
		}
	}
	return nil
}

// endTarget ends the target's process and takes its files out of reach. They
// are kept: a person may want what is in them.
func endTarget(ctx context.Context, e *RestoreEnv) (string, error) {
	st, err := look(ctx, e.Target)
	if err != nil {
		return "", err
	}
	if st.Persistent {
		if err := e.Target.SetAutostart(ctx, false); err != nil {
			return "", fmt.Errorf("cannot switch autostart off on %s: %w", e.Target.Name(), err)
		}
	}
	if st.Live() {
		if err := e.Target.Destroy(ctx); err != nil {
			if st, lookErr := look(ctx, e.Target); lookErr != nil || st.Live() {
				return "", fmt.Errorf("cannot end the copy on %s: %w", e.Target.Name(), err)
			}
		}
	}
	if _, err := await(ctx, e.Target, e.Patience, func(s model.DomainStatus) bool { return !s.Live() }); err != nil {
		return "", err
	}
	n := 0
	for _, r := range e.View.Abandoned {
		there, err := e.Target.VolumeExists(ctx, r.From)
		if err != nil {
			return "", fmt.Errorf("cannot look for %s on %s: %w", r.From, r.Node, err)
		}
		if !there {
			continue // moved before a crash, or lost with the guest
		}
		if err := e.Target.Rename(ctx, r.From, r.To); err != nil {
			return "", fmt.Errorf("cannot move %s aside on %s: %w", r.From, r.Node, err)
		}
		n++
	}
	s := fmt.Sprintf("seen off on %s", e.Target.Name())
	if n > 0 {
		s += fmt.Sprintf("; %d file(s) moved aside, none deleted", n)
	}
	return s, nil
}

func buryTarget(ctx context.Context, e *RestoreEnv) (string, error) {
	st, err := look(ctx, e.Target)
	if err != nil {
		return "", err
	}
	if st.State == model.StateMissing {
		return "not registered on " + string(e.Target.Name()), nil
	}
	return e.Bury(ctx)
}

func seeReleased(ctx context.Context, e *RestoreEnv) (string, error) {
	st, err := look(ctx, e.Target)
	if err != nil {
		return "", err
	}
	if st.Live() {
		return "", fmt.Errorf("%s still has the VM as %s", e.Target.Name(), st)
	}
	return fmt.Sprintf("%s on %s, and unable to start there", st.State, e.Target.Name()), nil
}

// restoreDefinition makes the source what it was before the move. A copy that
// still lives there, paused since the switch, is kept only if its disks are its
// own: on shared disks the target has written since, and its memory is stale.
func restoreDefinition(ctx context.Context, e *RestoreEnv) (string, error) {
	st, err := look(ctx, e.Source)
	if err != nil {
		return "", err
	}
	if st.Live() && st.State != model.StateRunning && sharesDisks(e.View.Plan) {
		if err := e.Source.Destroy(ctx); err != nil {
			return "", fmt.Errorf("cannot end the stale copy on %s: %w", e.Source.Name(), err)
		}
		if st, err = await(ctx, e.Source, e.Patience, func(s model.DomainStatus) bool { return !s.Live() }); err != nil {
			return "", err
		}
	}
	done := "the definition was never changed"
	if st.Live() {
		joined, err := flatten(ctx, e.Source, e.View)
		if err != nil {
			return "", err
		}
		if joined != "" {
			done = joined
		}
	} else if done, err = defineAgain(ctx, e); err != nil {
		return "", err
	}
	if err := e.Source.RemoveMark(ctx); err != nil {
		return "", fmt.Errorf("cannot remove the marker on %s: %w", e.Source.Name(), err)
	}
	if e.View.Plan.Autostart {
		if err := e.Source.SetAutostart(ctx, true); err != nil {
			return "", fmt.Errorf("cannot switch autostart on again on %s: %w", e.Source.Name(), err)
		}
		done += ", autostart on again"
	}
	return done, nil
}

func defineAgain(ctx context.Context, e *RestoreEnv) (string, error) {
	if err := bringHome(ctx, e.Source, e.View); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d disk(s) have their names again, defined as before", len(e.View.Renames)), nil
}

// nameHome gives a file of the source the name back that the fence took. It
// replaces none.
func nameHome(ctx context.Context, h Host, r journal.Rename) error {
	aside, err := h.VolumeExists(ctx, r.To)
	if err != nil {
		return fmt.Errorf("cannot look for %s on %s: %w", r.To, r.Node, err)
	}
	home, err := h.VolumeExists(ctx, r.From)
	switch {
	case err != nil:
		return fmt.Errorf("cannot look for %s on %s: %w", r.From, r.Node, err)
	case aside && home:
		return fmt.Errorf("both %s and %s are on %s: somebody made the first since; move it away, then go on with horcrux recover", r.From, r.To, r.Node)
	case !aside && !home:
		return fmt.Errorf("neither %s nor %s is on %s: the frozen disk is gone", r.From, r.To, r.Node)
	case home:
		return nil
	}
	if err := h.Rename(ctx, r.To, r.From); err != nil {
		return fmt.Errorf("cannot give %s on %s its name back: %w", r.From, r.Node, err)
	}
	return nil
}

func restoreAddresses(ctx context.Context, e *RestoreEnv) (string, error) {
	st, err := look(ctx, e.Source)
	if err != nil {
		return "", err
	}
	if !st.Live() {
		return "the guest announces its addresses itself as it boots", nil
	}
	if err := e.Source.Announce(ctx); err != nil {
		return "not announced by QEMU: " + err.Error() + "; switches learn the way back from the guest's own traffic", nil
	}
	return "announced again", nil
}

func bootSource(ctx context.Context, e *RestoreEnv) (string, error) {
	st, err := look(ctx, e.Source)
	if err != nil {
		return "", err
	}
	where := " on " + string(e.Source.Name())
	was := e.View.Plan.Was.State
	act, word := e.Source.Resume, "goes on where it stood at the switch"
	switch {
	case st.State == model.StateRunning:
		return "running" + where, nil
	case was == model.StatePaused, was == model.StateShutoff:
		return fmt.Sprintf("%s%s; it was %s before the move and was not started", st, where, e.View.Plan.Was), nil
	case st.State == model.StateMissing:
		return "", fmt.Errorf("%s does not know the VM", e.Source.Name())
	case !st.Live():
		act, word = e.Source.Start, "booted from its frozen disks"
	}
	if err := act(ctx); err != nil {
		if st, lookErr := look(ctx, e.Source); lookErr != nil || st.State != model.StateRunning {
			return "", fmt.Errorf("cannot run the VM%s: %w", where, err)
		}
	}
	if _, err := await(ctx, e.Source, e.Patience, func(s model.DomainStatus) bool { return s.State == model.StateRunning }); err != nil {
		return "", err
	}
	return "running" + where + ": it " + word, nil
}
