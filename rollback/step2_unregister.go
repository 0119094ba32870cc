package rollback

import (
	"context"
	"fmt"

	"horcrux/engine/model"
)

// unregister removes the definition that Finish left on the target. A
// tombstone of an earlier move that was there before is left alone by Prepare
// failing, and replaced by Finish; either way what is defined now and was not
// before Prepare is ours.
func unregister(ctx context.Context, e *Env) (string, error) {
	st, err := look(ctx, e.Target)
	if err != nil {
		return "", err
	}
	if st.State == model.StateMissing {
		return "not registered on " + string(e.Target.Name()), nil
	}
	if !e.View.Performed && !e.View.Registering {
		return "the definition on " + string(e.Target.Name()) + " was there before this move; left alone", nil
	}
	if st.Live() {
		return "", fmt.Errorf("%s still has the VM as %s", e.Target.Name(), st)
	}
	if err := e.Target.Undefine(ctx); err != nil {
		return "", err
	}
	if _, err := await(ctx, e.Target, e.Patience, func(s model.DomainStatus) bool { return s.State == model.StateMissing }); err != nil {
		return "", err
	}
	return "unregistered from " + string(e.Target.Name()), nil
}
