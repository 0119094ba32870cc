package rollback

import (
	"context"
	"fmt"
)

// giveBack gives the images that both nodes see back to the source's QEMU, after
// the target's has ended: see migrate.Job.rights. It comes before that QEMU opens
// them again; if it is not possible, the step that lets the guest run says so.
func giveBack(ctx context.Context, e *Env) (done []string) {
	if len(e.View.Rights) == 0 || e.View.Stopping {
		return nil
	}
	if st, err := look(ctx, e.Source); err != nil || !st.Live() {
		return nil // whoever starts it gives it its images
	}
	for _, r := range e.View.Rights {
		changed, err := e.Source.SetRights(ctx, r)
		switch {
		case err != nil:
			done = append(done, fmt.Sprintf("%s could not be given back to %d:%d: %v", r.Path, r.UID, r.GID, err))
		case changed:
			done = append(done, r.Path+" belongs to the guest's QEMU again")
		}
	}
	return done
}
