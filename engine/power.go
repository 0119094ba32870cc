package engine

import (
	"context"
	"fmt"
	"io"
	"time"

	"horcrux/engine/audit"
	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// Power does one act on the life cycle of a VM.
func (e *Engine) Power(ctx context.Context, vm model.UUID, node model.NodeName, act model.PowerAct) error {
	return e.onVM(ctx, string(act), vm, node, func(c *virt.Conn) error {
		switch act {
		case model.PowerStart:
			return c.Start(ctx, vm)
		case model.PowerShutdown:
			return c.Shutdown(ctx, vm)
		case model.PowerReboot:
			return c.Reboot(ctx, vm)
		case model.PowerForceOff:
			return c.Destroy(ctx, vm)
		case model.PowerPause:
			return c.Suspend(ctx, vm)
		case model.PowerResume:
			return c.Resume(ctx, vm)
		case model.PowerAutostartOn, model.PowerAutostartOff:
			return c.SetAutostart(ctx, vm, act == model.PowerAutostartOn)
		}
		return fmt.Errorf("cannot do %q to a VM", act)
	})
}

// SnapshotAct does one act on a snapshot of a VM.
func (e *Engine) SnapshotAct(ctx context.Context, vm model.UUID, node model.NodeName, act model.SnapshotAct) error {
	return e.onVM(ctx, "snapshot-"+string(act.Kind), vm, node, func(c *virt.Conn) error {
		switch act.Kind {
		case model.SnapshotCreate:
			return c.CreateSnapshot(ctx, vm, act.Name, act.Description)
		case model.SnapshotRevert:
			return c.RevertToSnapshot(ctx, vm, act.Name)
		case model.SnapshotDelete:
			return c.DeleteSnapshot(ctx, vm, act.Name)
		}
		return fmt.Errorf("cannot do %q to a snapshot", act.Kind)
	})
}

// HeldError says that an act would get in the way of a move, or start what must
// not be started.
type HeldError struct{ VM, Why string }

// Error names the VM and the cause.
func (h *HeldError) Error() string { return h.VM + ": " + h.Why }

// held says why nothing may be done to a VM now. A copy that a move has hold
// of, and what a move left behind, are not for the keys of the life cycle: the
// move alone knows which copy is the VM.
func (e *Engine) held(vm model.UUID, node model.NodeName) error {
	for _, v := range e.Snapshot().VMs {
		if v.UUID != vm || v.Node != node {
			continue
		}
		switch {
		case v.Tombstone:
			return &HeldError{v.Name, "what is on " + string(node) + " is what a move left behind; confirm the move, or take it back"}
		case v.Arriving:
			return &HeldError{v.Name, "the copy on " + string(node) + " is being built by a move and is not the VM yet"}
		case v.Job != "":
			return &HeldError{v.Name, "move " + string(v.Job) + " has hold of it; abort or finish the move first"}
		}
	}
	return nil
}

func (e *Engine) onVM(ctx context.Context, act string, vm model.UUID, node model.NodeName, do func(*virt.Conn) error) error {
	name := e.nameOf(vm)
	if err := e.held(vm, node); err != nil {
		return err
	}
	n, err := e.node(node)
	if err != nil {
		return err
	}
	began := time.Now()
	err = e.Act(audit.Entry{Act: act, VM: name, Node: string(node)}, func() error {
		c, err := n.Act(ctx)
		if err != nil {
			return err
		}
		// The mark on the domain is asked for anew: another console may have begun
		// a move since the inventory was read.
		text, err := c.XML(ctx, vm, virt.XMLOptions{})
		if err != nil {
			return err
		}
		if d, err := virt.ParseDomain(text); err == nil && d.Job != "" {
			return &HeldError{name, "move " + string(d.Job) + " has hold of it; abort or finish the move first"}
		}
		return do(c)
	})
	e.record(act, node, name, began, err)
	e.inv.Ask(node, vm)
	return err
}

func (e *Engine) node(name model.NodeName) (*fleet.Node, error) {
	n, ok := e.fleet.Node(name)
	if !ok {
		return nil, fmt.Errorf("node %s is not in the configuration", name)
	}
	return n, nil
}

// Look says what a person has before the eyes.
func (e *Engine) Look(s model.Sight) { e.inv.Look(s) }

// Console connects to the serial console of a VM.
func (e *Engine) Console(ctx context.Context, vm model.UUID, node model.NodeName, force bool) (io.ReadWriteCloser, error) {
	n, err := e.node(node)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	var con *virt.Console
	err = e.Act(audit.Entry{Act: "console", VM: e.nameOf(vm), Node: string(node)}, func() error {
		c, err := n.Dial(ctx)
		if err != nil {
			return err
		}
		con, err = c.OpenConsole(ctx, vm, force)
		return err
	})
	e.record("console", node, e.nameOf(vm), began, err)
	if err != nil {
		return nil, err
	}
	return con, nil
}
