package rollback

import (
	"context"
	"fmt"
)

// release verifies that nothing of the move is left on the target: no process
// of the VM and no job. Ports and sockets went with the process.
func release(ctx context.Context, e *Env) (string, error) {
	st, err := look(ctx, e.Target)
	if err != nil {
		return "", err
	}
	if st.Live() {
		return "", fmt.Errorf("%s still has the VM as %s", e.Target.Name(), st)
	}
	return "memory, ports and CPU of the incoming copy are free on " + string(e.Target.Name()), nil
}
