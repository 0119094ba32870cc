package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Service is a daemon of a host.
type Service string

// The daemons of every host.
const (
	SSHD     Service = "sshd"
	Libvirtd Service = "libvirtd"
	Virtlogd Service = "virtlogd"
)

// Services lists them all.
func Services() []Service { return []Service{SSHD, Libvirtd, Virtlogd} }

// Target is something on a host that can be hurt: a service, or the QEMU of a
// VM.
type Target struct {
	Service Service // empty for a VM
	VM      string
}

// OfVM is the target "QEMU of that VM".
func OfVM(name string) Target { return Target{VM: name} }

// Of is the target "that service".
func Of(s Service) Target { return Target{Service: s} }

// ParseTarget reads sshd, libvirtd, virtlogd or vm:NAME.
func ParseTarget(s string) (Target, error) {
	if name, ok := strings.CutPrefix(s, "vm:"); ok {
		return OfVM(name), checkVMName(name)
	}
	if slices.Contains(Services(), Service(s)) {
		return Of(Service(s)), nil
	}
	return Target{}, fmt.Errorf("cannot understand the target %q: it is sshd, libvirtd, virtlogd or vm:NAME", s)
}

func (t Target) String() string {
	if t.VM != "" {
		return "the QEMU of " + t.VM
	}
	return string(t.Service)
}

// matches tells whether a process belongs to the target. All of sshd counts,
// its connections too, which are sshd-session and sshd-auth from OpenSSH 9.8 on.
func (t Target) matches(p process) bool {
	if t.VM == "" {
		return p.Comm == string(t.Service) || t.Service == SSHD && strings.HasPrefix(p.Comm, "sshd-")
	}
	return p.isQEMU() && p.guestName() == t.VM
}

func (p process) isQEMU() bool { return strings.HasPrefix(p.Comm, "qemu-system-") && len(p.Args) > 4 }

// guestName is the VM's name as libvirt passes it: -name guest=NAME,...
func (p process) guestName() string {
	arg, ok := p.option("-name")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(arg, "guest="), ",")
	return name
}

// option gives the argument after an option.
func (p process) option(name string) (string, bool) {
	i := slices.Index(p.Args, name)
	if i < 0 || i+1 >= len(p.Args) {
		return "", false
	}
	return p.Args[i+1], true
}

// signal sends a signal to every process of the target. One that ends meanwhile,
// as sshd's connections do, needs none.
func (n *Node) signal(t Target, sig unix.Signal) error {
	procs, err := n.inside(t.matches)
	if err != nil {
		return err
	}
	if len(procs) == 0 {
		return fmt.Errorf("cannot find %s on %s: it does not run there", t, n.Name)
	}
	var errs []error
	for _, p := range procs {
		if err := signalPID(p.PID, sig); !errors.Is(err, unix.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Kill ends the target at once (SIGKILL) and returns when it is gone.
func (n *Node) Kill(ctx context.Context, t Target) error {
	if err := n.signal(t, unix.SIGKILL); err != nil {
		return err
	}
	return n.awaitGone(ctx, t)
}

func (n *Node) awaitGone(ctx context.Context, t Target) error {
	return until(ctx, goneDeadline, fmt.Sprintf("the end of %s on %s", t, n.Name), func(context.Context) (bool, error) {
		left, err := n.inside(t.matches)
		return err == nil && len(left) == 0, err
	})
}

// Freeze stops the target (SIGSTOP): it stays, and does nothing.
func (n *Node) Freeze(ctx context.Context, t Target) error {
	if err := n.signal(t, unix.SIGSTOP); err != nil {
		return err
	}
	return until(ctx, goneDeadline, fmt.Sprintf("%s on %s to stand still", t, n.Name), func(context.Context) (bool, error) {
		moving, err := n.inside(func(p process) bool { return t.matches(p) && p.State != 'T' })
		return err == nil && len(moving) == 0, err
	})
}

// Thaw lets a frozen target go on (SIGCONT).
func (n *Node) Thaw(t Target) error { return n.signal(t, unix.SIGCONT) }

// Restart ends a service, if it runs, and starts it again. A frozen one is
// killed. It returns when the service serves. args are added to its command.
func (n *Node) Restart(ctx context.Context, s Service, args ...string) error {
	argv, ok := serviceCommands[s]
	if !ok {
		return fmt.Errorf("cannot restart %q: it is not a service", s)
	}
	left, err := n.inside(Of(s).matches)
	if err != nil {
		return err
	}
	for _, p := range left {
		sig := unix.SIGTERM
		if p.State == 'T' || s == SSHD {
			sig = unix.SIGKILL
		}
		if err := signalPID(p.PID, sig); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
	}
	if err := n.awaitGone(ctx, Of(s)); err != nil {
		return err
	}
	if _, err := n.Exec(ctx, slices.Concat(argv, args)...); err != nil {
		return err
	}
	switch s {
	case Libvirtd:
		return n.awaitLibvirt(ctx)
	case SSHD:
		return n.awaitSSH(ctx)
	}
	return nil
}

// PowerOff takes the host's power away: every process of it is gone at once,
// its disks stay as they are.
func (n *Node) PowerOff(ctx context.Context) error {
	if !n.Running() {
		return n.errOff()
	}
	return n.killHost(ctx)
}

// PowerOn starts a host that is off. Its persistent VMs are there, off.
func (n *Node) PowerOn(ctx context.Context) error {
	if n.Running() {
		return nil
	}
	// Between a crash and its clean-up things may be left of the last time.
	if err := n.killHost(ctx); err != nil {
		return err
	}
	return n.power(ctx)
}

// fillName is the file that takes the free space away.
const fillName = "lab-fill"

// FillImages takes up the free space of the host's disk for images but for
// leave bytes.
func (n *Node) FillImages(leave int64) error {
	pid := n.PID()
	if pid == 0 {
		return n.errOff()
	}
	dir := n.path(pid, imagesDir)
	if err := n.UnfillImages(); err != nil {
		return err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("cannot measure the disk of %s: %w", n.Name, err)
	}
	free := int64(st.Bavail) * st.Bsize
	if free <= leave {
		return fmt.Errorf("cannot leave %d bytes free on %s: there are only %d", leave, n.Name, free)
	}
	f, err := os.OpenFile(filepath.Join(dir, fillName), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("cannot fill the disk of %s: %w", n.Name, err)
	}
	defer f.Close()
	// The file's own bookkeeping takes blocks as well: step back until it fits.
	for size := free - leave; size > 0; size -= 64 * st.Bsize {
		err = unix.Fallocate(int(f.Fd()), 0, 0, size)
		if !errors.Is(err, unix.ENOSPC) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("cannot fill the disk of %s: %w", n.Name, err)
	}
	return nil
}

// UnfillImages gives the space back.
func (n *Node) UnfillImages() error {
	pid := n.PID()
	if pid == 0 {
		return n.errOff()
	}
	err := os.Remove(filepath.Join(n.path(pid, imagesDir), fillName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot empty the disk of %s: %w", n.Name, err)
	}
	return nil
}

// Serves tells whether a service runs and is not frozen. Of sshd only the one
// that listens counts, not what is left of its connections.
func (n *Node) Serves(s Service) bool {
	procs, err := n.inside(Of(s).matches)
	if err != nil {
		return false
	}
	for _, p := range procs {
		if p.State != 'T' && (s != SSHD || p.Comm == string(SSHD) && len(p.Args) > 0 && !strings.HasPrefix(p.Args[0], "sshd: root")) {
			return true
		}
	}
	return false
}
