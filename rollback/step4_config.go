package rollback

import (
	"context"
	"fmt"
	"strings"

	"horcrux/engine/model"
)

// restoreConfig tells the source that the move is off and puts back what the
// move changed in the definition: our marker and the autostart.
func restoreConfig(ctx context.Context, e *Env) (string, error) {
	given := giveBack(ctx, e)
	if e.EndSource != nil {
		// Confirm may answer well and leave the VM paused, or fail and have
		// resumed it; the last step looks.
		_ = e.EndSource(ctx)
	}
	done := given
	if fenced(e.View) {
		if err := unfence(ctx, e); err != nil {
			return "", err
		}
		done = append(done, "disks and definition have their names again")
	}
	st, err := look(ctx, e.Source)
	if err != nil {
		return "", err
	}
	if st.State == model.StateMissing {
		return "", fmt.Errorf("%s no longer knows the VM; its definition is in the journal", e.Source.Name())
	}
	if st, err = await(ctx, e.Source, e.Patience, func(s model.DomainStatus) bool { return !s.JobActive }); err != nil {
		return "", fmt.Errorf("the move's job on %s has not ended (%s): %w", e.Source.Name(), st, err)
	}
	if len(e.View.Passes) > 0 && st.State == model.StatePaused {
		// After a migration QEMU has let go of its disks until it runs; they cannot
		// be joined before. The target is gone by now: the steps before have seen it.
		if _, err := runOnSource(ctx, e); err != nil {
			return "", err
		}
	}
	joined, err := flatten(ctx, e.Source, e.View)
	if err != nil {
		return "", err
	}
	if joined != "" {
		done = append(done, joined)
	}
	if e.View.Marked {
		if err := e.Source.RemoveMark(ctx); err != nil {
			return "", fmt.Errorf("cannot remove the marker on %s: %w", e.Source.Name(), err)
		}
		done = append(done, "marker removed")
		if e.View.Plan.Autostart {
			if err := e.Source.SetAutostart(ctx, true); err != nil {
				return "", fmt.Errorf("cannot switch autostart on again on %s: %w", e.Source.Name(), err)
			}
			done = append(done, "autostart on again")
		}
	}
	if len(done) == 0 {
		return "nothing had been changed", nil
	}
	return strings.Join(done, ", "), nil
}
