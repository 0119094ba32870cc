package rollback

import (
	"context"

	"horcrux/engine/model"
)

// restoreNetwork has the source's QEMU announce the guest's addresses again: the
// target announced them when the memory had arrived, so switches may send the
// guest's traffic there. It is a courtesy to the network; a VM whose QEMU
// cannot do it loses some packets until the guest speaks, so it never fails.
func restoreNetwork(ctx context.Context, e *Env) (string, error) {
	if !e.View.Performing {
		return "the target had not announced the guest's addresses", nil
	}
	st, err := look(ctx, e.Source)
	if err != nil {
		return "", err
	}
	if st.State != model.StateRunning && st.State != model.StatePaused {
		return "the VM is " + st.String() + ": nothing to announce", nil
	}
	if err := e.Source.Announce(ctx); err != nil {
		return "QEMU did not announce the guest's addresses (" + err.Error() + "); switches learn them from its next packet", nil
	}
	return "the guest's addresses are announced from " + string(e.Source.Name()), nil
}
