package rollback

import (
	"context"
	"fmt"
	"strings"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// cleanDisks ends the copy that came in, which holds the disks open, and
// deletes the volumes that this move created.
func cleanDisks(ctx context.Context, e *Env) (string, error) {
	st, err := look(ctx, e.Target)
	if err != nil {
		return "", err
	}
	if st.State == model.StateRunning {
		return "", fmt.Errorf("%s: %w: nothing is touched on either side", e.Target.Name(), ErrTargetRuns)
	}
	if e.EndTarget != nil {
		// An error here says nothing: what counts is what is seen below.
		_ = e.EndTarget(ctx)
	}
	ended := false
	if e.View.Prepared || e.View.Registering {
		if st, err = look(ctx, e.Target); err != nil {
			return "", err
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
		ended = true
	}
	for _, v := range e.View.Volumes {
		del := e.Target.DeleteVolume
		if v.Tree {
			del = e.Target.DeleteTree
		}
		if err := del(ctx, v.Path); err != nil {
			return "", fmt.Errorf("cannot delete %s on %s: %w", v.Path, v.Node, err)
		}
	}
	if e.View.Relay != "" {
		if err := e.Target.DropSockets(ctx, e.View.Relay); err != nil {
			return "", fmt.Errorf("cannot delete the sockets in %s on %s: %w", e.View.Relay, e.Target.Name(), err)
		}
	}
	devices, err := emptyDevices(ctx, e)
	if err != nil {
		return "", err
	}
	return describeDisks(ended, made(e.View), e.Target.Name()) + devices, nil
}

// emptyDevices clears the devices that a copy came onto. Later than right after
// the copy it only names them: they may be somebody's by then.
func emptyDevices(ctx context.Context, e *Env) (string, error) {
	if e.View.Plan == nil || !e.View.Prepared {
		return "", nil
	}
	devices := e.View.Plan.Devices()
	if len(devices) == 0 {
		return "", nil
	}
	if e.Empty == nil {
		return fmt.Sprintf("; what was copied is still on %s of %s: empty it before the next move", strings.Join(devices, " and "), e.Target.Name()), nil
	}
	for _, d := range devices {
		if err := e.Empty(ctx, d); err != nil {
			return "", fmt.Errorf("cannot empty %s on %s: %w", d, e.Target.Name(), err)
		}
	}
	return "; " + strings.Join(devices, " and ") + " emptied", nil
}

// made counts what a person would miss; snapshots for a comparison are not.
func made(v journal.View) int {
	n := 0
	for _, vol := range v.Volumes {
		if vol.Of == "" {
			n++
		}
	}
	return n
}

func describeDisks(ended bool, volumes int, node model.NodeName) string {
	switch {
	case volumes == 0 && !ended:
		return "nothing was made on " + string(node)
	case volumes == 0:
		return "the incoming copy is gone; no volumes were made"
	case volumes == 1:
		return "1 volume deleted"
	}
	return fmt.Sprintf("%d volumes deleted", volumes)
}
