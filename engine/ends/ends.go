// Package ends binds one VM on one node to what the engine does with it: the
// acts of a move, the steps of an undo, and the readings of a health check, all
// by connections that come back by themselves.
//
// It adds no decisions: it turns a path into a volume, a marker into metadata,
// and an answer of the host into an error that says which node gave it.
package ends

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/migrate"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// End is one VM on one node.
type End struct {
	node *fleet.Node
	vm   model.UUID
	job  model.JobID // whose marks it may remove; empty for any
}

// New binds a VM to a node.
func New(n *fleet.Node, vm model.UUID) *End { return &End{node: n, vm: vm} }

// ForJob is the same for a job: the mark of another one stays where it is.
func (e *End) ForJob(id model.JobID) *End {
	f := *e
	f.job = id
	return &f
}

// Name is the node's.
func (e *End) Name() model.NodeName { return e.node.Name() }

// Node is the same, by the word that health checks use.
func (e *End) Node() model.NodeName { return e.node.Name() }

func (e *End) act(ctx context.Context, do func(*virt.Conn) error) error {
	c, err := e.node.Act(ctx)
	if err != nil {
		return err
	}
	return do(c)
}

func ask[T any](ctx context.Context, e *End, do func(*virt.Conn) (T, error)) (T, error) {
	c, err := e.node.Act(ctx)
	if err != nil {
		var zero T
		return zero, err
	}
	return do(c)
}

// Status looks at the domain; silence is StateUnreachable with an error.
func (e *End) Status(ctx context.Context) (model.DomainStatus, error) {
	st, err := ask(ctx, e, func(c *virt.Conn) (model.DomainStatus, error) { return c.Status(ctx, e.vm) })
	if err != nil {
		st.State, st.Err = model.StateUnreachable, err.Error()
	}
	return st, err
}

// XML reads the definition.
func (e *End) XML(ctx context.Context, o virt.XMLOptions) (string, error) {
	return ask(ctx, e, func(c *virt.Conn) (string, error) { return c.XML(ctx, e.vm, o) })
}

// ActiveXML reads the definition of what runs.
func (e *End) ActiveXML(ctx context.Context) (string, error) { return e.XML(ctx, virt.XMLOptions{}) }

// Stats reads the counters.
func (e *End) Stats(ctx context.Context) (model.DomainStats, error) {
	return ask(ctx, e, func(c *virt.Conn) (model.DomainStats, error) { return c.Stats(ctx, e.vm) })
}

// QMP speaks to QEMU's monitor through libvirt.
func (e *End) QMP(ctx context.Context, command string, args any) (json.RawMessage, error) {
	return ask(ctx, e, func(c *virt.Conn) (json.RawMessage, error) { return c.QMP(ctx, e.vm, command, args) })
}

// Agent speaks to the guest agent.
func (e *End) Agent(ctx context.Context, command string, args any, timeout time.Duration) (json.RawMessage, error) {
	return ask(ctx, e, func(c *virt.Conn) (json.RawMessage, error) { return c.Agent(ctx, e.vm, command, args, timeout) })
}

// Addresses are the guest's own, by its agent, else by the host's tables.
func (e *End) Addresses(ctx context.Context) ([]string, error) {
	var (
		out  []string
		errs []error
	)
	for _, source := range []virt.AddressSource{virt.AddressAgent, virt.AddressLease, virt.AddressARP} {
		ifs, err := ask(ctx, e, func(c *virt.Conn) ([]virt.IfaceAddr, error) { return c.Addresses(ctx, e.vm, source) })
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, i := range ifs {
			if i.Name == "lo" {
				continue
			}
			out = append(out, i.IPs...)
		}
		if len(out) > 0 {
			return out, nil
		}
	}
	return nil, errors.Join(errs...)
}

// Destroy ends the domain's process.
func (e *End) Destroy(ctx context.Context) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.Destroy(ctx, e.vm) })
}

// Undefine removes the definition. An NVRAM file and the state of a TPM are
// left: on storage that both nodes see they are the other copy's too.
func (e *End) Undefine(ctx context.Context) error {
	return e.act(ctx, func(c *virt.Conn) error {
		o := virt.UndefineOptions{KeepNVRAM: true, KeepTPM: true, ManagedSave: true}
		err := c.Undefine(ctx, e.vm, o)
		if virt.IsCode(err, virt.CodeInvalidArg) || virt.IsCode(err, virt.CodeArgumentUnsupported) {
			o.KeepTPM = false // a libvirt before 8.9, which knows no such wish
			err = c.Undefine(ctx, e.vm, o)
		}
		return err
	})
}

// Resume lets the guest run.
func (e *End) Resume(ctx context.Context) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.Resume(ctx, e.vm) })
}

// Suspend stops the guest.
func (e *End) Suspend(ctx context.Context) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.Suspend(ctx, e.vm) })
}

// SetAutostart switches autostart.
func (e *End) SetAutostart(ctx context.Context, on bool) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.SetAutostart(ctx, e.vm, on) })
}

// Announce has QEMU send the guest's addresses to the switches.
func (e *End) Announce(ctx context.Context) error {
	_, err := e.QMP(ctx, "announce-self", map[string]int{"initial": 50, "max": 550, "rounds": 5, "step": 50})
	return err
}

// JobStats reads how far libvirt's job is.
func (e *End) JobStats(ctx context.Context) (virt.JobStats, error) {
	return ask(ctx, e, func(c *virt.Conn) (virt.JobStats, error) { return c.JobStats(ctx, e.vm) })
}

// CompletedJobStats reads the figures of the job that ended last.
func (e *End) CompletedJobStats(ctx context.Context) (virt.JobStats, error) {
	return ask(ctx, e, func(c *virt.Conn) (virt.JobStats, error) { return c.CompletedJobStats(ctx, e.vm) })
}

// AbortJob asks libvirt to stop its job.
func (e *End) AbortJob(ctx context.Context) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.AbortJob(ctx, e.vm) })
}

// StartPostCopy switches a running move to post-copy.
func (e *End) StartPostCopy(ctx context.Context) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.StartPostCopy(ctx, e.vm) })
}

// PausePostCopy breaks a post-copy off that does not get on.
func (e *End) PausePostCopy(ctx context.Context) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.PausePostCopy(ctx, e.vm) })
}

// PauseIncoming breaks a post-copy off on the node that receives it. libvirt
// has a call for that on the other node only; QEMU has one for both.
func (e *End) PauseIncoming(ctx context.Context) error {
	_, err := e.QMP(ctx, "migrate-pause", nil)
	return err
}

// SetMaxSpeed limits the memory copy, in MiB/s.
func (e *End) SetMaxSpeed(ctx context.Context, mibps uint64) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.SetMaxSpeed(ctx, e.vm, mibps) })
}

// SetMaxDowntime sets the pause that QEMU aims at.
func (e *End) SetMaxDowntime(ctx context.Context, d time.Duration) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.SetMaxDowntime(ctx, e.vm, d) })
}

// SetBlockJobSpeed limits the mirror of one disk, in bytes per second.
func (e *End) SetBlockJobSpeed(ctx context.Context, disk string, bps uint64) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.SetBlockJobSpeed(ctx, e.vm, disk, bps) })
}

// Define writes a definition.
func (e *End) Define(ctx context.Context, xml string) error {
	return e.act(ctx, func(c *virt.Conn) error {
		got, err := c.Define(ctx, xml)
		if err == nil && got != e.vm {
			return fmt.Errorf("%s defined %s instead of %s", e.Name(), got, e.vm)
		}
		return err
	})
}

// Link opens a connection that carries the phase calls of one move.
func (e *End) Link(ctx context.Context) (migrate.Link, error) {
	c, err := e.node.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// VolumeExists looks for a file at a path, by the host's own file system.
func (e *End) VolumeExists(ctx context.Context, p string) (bool, error) {
	if err := absolute(p); err != nil {
		return false, err
	}
	return e.node.FileExists(ctx, p)
}

// absolute refuses what a command could take for an option or a relative name.
func absolute(p string) error {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.ContainsAny(p, "\x00\n") {
		return fmt.Errorf("path %q is not absolute and plain", p)
	}
	return nil
}

// Rename moves a file and never replaces one.
func (e *End) Rename(ctx context.Context, from, to string) error {
	for _, p := range []string{from, to} {
		if err := absolute(p); err != nil {
			return err
		}
	}
	pool := e.poolOf(ctx, from)
	if err := e.run(ctx, "mv", "-n", "-T", "--", from, to); err != nil {
		return err
	}
	e.refresh(ctx, pool)
	if left, err := e.VolumeExists(ctx, from); err != nil || left {
		return errors.Join(err, fmt.Errorf("%s is still there: is there a %s already?", from, to))
	}
	return nil
}

// poolOf is the pool that has a file, empty if none is known to.
func (e *End) poolOf(ctx context.Context, p string) string {
	v, err := ask(ctx, e, func(c *virt.Conn) (virt.Volume, error) {
		v, _, err := c.VolumeByPath(ctx, p)
		return v, err
	})
	if err != nil {
		return ""
	}
	return v.Pool
}

// refresh makes libvirt's list of a pool true again. It is a courtesy: who
// depends on the list looks at the files too.
func (e *End) refresh(ctx context.Context, pool string) {
	if pool != "" {
		_ = e.act(ctx, func(c *virt.Conn) error { return c.RefreshPool(ctx, pool) })
	}
}

func (e *End) run(ctx context.Context, argv ...string) error {
	res, err := e.node.Exec(ctx, argv, nil)
	if err != nil {
		return err
	}
	if res.Code != 0 {
		return fmt.Errorf("%s on %s answered %d: %s", argv[0], e.Name(), res.Code, virt.Clean(strings.TrimSpace(string(res.Stderr))))
	}
	return nil
}

// DeleteVolume removes a volume or a file; one that is not there is no error.
func (e *End) DeleteVolume(ctx context.Context, p string) error {
	if err := absolute(p); err != nil {
		return err
	}
	exists, err := e.VolumeExists(ctx, p)
	if err != nil {
		return err
	}
	if exists {
		err = e.remove(ctx, p)
	}
	if err != nil {
		return err
	}
	if left, err := e.VolumeExists(ctx, p); err != nil || left {
		return errors.Join(err, fmt.Errorf("%s is still there", p))
	}
	return nil
}

// emptyScript writes zeros over the first and the last MiB of a device.
const emptyScript = `test -b "$1" && s=$(blockdev --getsize64 "$1") && [ "$s" -ge 2097152 ] &&
dd if=/dev/zero of="$1" bs=4096 count=256 conv=nocreat oflag=direct status=none &&
dd if=/dev/zero of="$1" bs=4096 count=256 seek=$((s / 4096 - 256)) conv=nocreat,fsync oflag=direct status=none`

// EmptyDevice makes a device one that counts as empty: with zeros at both ends.
func (e *End) EmptyDevice(ctx context.Context, p string) error {
	if err := absolute(p); err != nil {
		return err
	}
	return e.run(ctx, "sh", "-c", emptyScript, "horcrux", p)
}

func (e *End) remove(ctx context.Context, p string) error {
	c, err := e.node.Act(ctx)
	if err != nil {
		return err
	}
	if _, found, err := c.VolumeByPath(ctx, p); err == nil && found {
		return c.DeleteVolume(ctx, p)
	}
	return e.run(ctx, "rm", "-f", "--", p)
}
