package rollback

import (
	"context"
	"fmt"
	"slices"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// unfence takes back what a fence did to the source: the disks get their names
// again, and the definition is that of before the move. It replaces no file, and
// may be repeated.
func unfence(ctx context.Context, e *Env) error {
	st, err := look(ctx, e.Source)
	if err != nil {
		return err
	}
	if st.Live() {
		return fmt.Errorf("%s has the VM as %s: its disks keep the names they have", e.Source.Name(), st)
	}
	return bringHome(ctx, e.Source, e.View)
}

// bringHome gives the source's disks their names and the VM its definition of
// before the move, which knows nothing of overlays: what they hold has to be in
// the base before it counts again.
func bringHome(ctx context.Context, h Host, v journal.View) error {
	layers := v.Overlays()
	for _, r := range v.Renames {
		if isLayer(layers, r.From) {
			// Some may have been joined and deleted before a crash.
			aside, err := h.VolumeExists(ctx, r.To)
			if err != nil {
				return fmt.Errorf("cannot look for %s on %s: %w", r.To, r.Node, err)
			}
			if !aside {
				continue
			}
		}
		if err := nameHome(ctx, h, r); err != nil {
			return err
		}
	}
	for _, l := range layers {
		if err := Join(ctx, h, l); err != nil {
			return err
		}
	}
	xml := v.Plan.InactiveXML
	if xml == "" {
		xml = v.Plan.ActiveXML // of a transient VM, which gets a definition now
	}
	if xml == "" {
		return fmt.Errorf("the journal has no definition of the VM for %s", h.Name())
	}
	if err := h.Define(ctx, xml); err != nil {
		return fmt.Errorf("cannot define the VM on %s: %w", h.Name(), err)
	}
	return nil
}

func isLayer(layers []journal.Layered, p string) bool {
	return slices.ContainsFunc(layers, func(l journal.Layered) bool { return slices.Contains(l.Paths, p) })
}

// Join writes what lies on a disk that nobody uses into its base, and deletes the
// layers from the top down. A layer that is gone shows that all was written
// already: joining the older ones again would bring back old data.
func Join(ctx context.Context, h Host, l journal.Layered) error {
	top := l.Paths[len(l.Paths)-1]
	there, err := h.VolumeExists(ctx, top)
	if err != nil {
		return fmt.Errorf("cannot look for %s on %s: %w", top, h.Name(), err)
	}
	if there {
		if err := h.Join(ctx, l.Base, top); err != nil {
			return fmt.Errorf("cannot make disk %s on %s one image: %w", l.Disk, h.Name(), err)
		}
	}
	return deleteLayers(ctx, h, l)
}

func deleteLayers(ctx context.Context, h Host, l journal.Layered) error {
	for i := len(l.Paths) - 1; i >= 0; i-- {
		if err := h.DeleteVolume(ctx, l.Paths[i]); err != nil {
			return fmt.Errorf("cannot delete %s on %s: %w", l.Paths[i], h.Name(), err)
		}
	}
	return nil
}

// fenced tells that the source was made unable to start before the target had
// run, as a move of a VM that is off does it.
func fenced(v journal.View) bool { return v.Fencing && v.Epoch != journal.AfterCommit }

// flatten makes the overlays of a move in passes one image again, on the node
// that has the VM, and deletes them.
func flatten(ctx context.Context, h Host, v journal.View) (string, error) {
	if len(v.Passes) == 0 {
		return "", nil
	}
	n := 0
	for _, o := range v.Overlays() {
		if err := h.Flatten(ctx, o.Disk, o.Base, o.Paths); err != nil {
			return "", fmt.Errorf("cannot make disk %s on %s one image again: %w", o.Disk, h.Name(), err)
		}
		if err := deleteLayers(ctx, h, o); err != nil {
			return "", err
		}
		n++
	}
	return fmt.Sprintf("%d disk(s) are one image again", n), nil
}

// Flatten is flatten, for the node that took the VM over.
func Flatten(ctx context.Context, h Host, v journal.View) (string, error) { return flatten(ctx, h, v) }

// startAgain tells that the VM ran before this move shut it down.
func startAgain(v journal.View) bool {
	return v.Stopping && v.Plan.Was.State == model.StateRunning
}
