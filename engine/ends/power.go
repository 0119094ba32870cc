package ends

import (
	"context"
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/engine/relay"
	"horcrux/engine/virt"
)

// Start boots the domain.
func (e *End) Start(ctx context.Context) error {
	e.knowVolumes(ctx)
	return e.act(ctx, func(c *virt.Conn) error { return c.Start(ctx, e.vm) })
}

// StartPaused makes the domain's process, with the guest not running yet.
func (e *End) StartPaused(ctx context.Context) error {
	e.knowVolumes(ctx)
	return e.act(ctx, func(c *virt.Conn) error { return c.StartPaused(ctx, e.vm) })
}

// ShutdownBy asks the guest to shut down in one way.
func (e *End) ShutdownBy(ctx context.Context, way virt.ShutdownWay) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.ShutdownBy(ctx, e.vm, way) })
}

// DropSockets removes the folder of the job's sockets, and what let data in there.
func (e *End) DropSockets(ctx context.Context, dir string) error {
	if e.job == "" || dir != model.RelayDir(e.job) {
		return fmt.Errorf("%s is not the folder of sockets of job %q", dir, e.job)
	}
	if err := relay.Remove(ctx, e.node, e.job); err != nil {
		return fmt.Errorf("cannot remove the sockets in %s from %s: %w", dir, e.Name(), err)
	}
	return nil
}

// DeleteTree removes a folder that a move made, with what is in it. It takes
// none that is not named after the VM.
func (e *End) DeleteTree(ctx context.Context, p string) error {
	if err := absolute(p); err != nil {
		return err
	}
	if !strings.Contains(p, string(e.vm)) {
		return fmt.Errorf("%s is not a folder of the VM %s", p, e.vm)
	}
	return e.run(ctx, "rm", "-rf", "--", p)
}
