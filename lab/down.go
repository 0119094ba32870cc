package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// Down removes every trace of the lab but the caches. It works on a lab that is
// half there, or not at all.
func (l *Lab) Down(ctx context.Context) error {
	unlock, err := lockLab(ctx, l.paths)
	if err != nil {
		return err
	}
	defer unlock()
	return l.remove(ctx)
}

// Down removes the lab of that directory and prefix, also one of which no state
// is left to open. Empty arguments stand for the defaults.
func Down(ctx context.Context, o Options) error {
	o = o.withDefaults()
	if err := errors.Join(checkDir(o.Dir), checkPrefix(o.Prefix)); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("cannot remove a lab without root; run it with sudo")
	}
	l, err := newLab(o)
	if err != nil {
		return err
	}
	return l.Down(ctx)
}

// remove undoes build in reverse. Each step also works alone, so a crash
// between any two of them is repaired by the next remove.
func (l *Lab) remove(ctx context.Context) error {
	p := l.paths
	if err := killHosts(ctx, p); err != nil {
		return err
	}
	if err := removeLinks(p); err != nil {
		return err
	}
	if err := detachLoops(ctx, p.state()); err != nil {
		return err
	}
	if err := unmountBelow(p.state()); err != nil {
		return err
	}
	if err := os.RemoveAll(p.state()); err != nil {
		return fmt.Errorf("cannot remove %s: %w", p.state(), err)
	}
	return nil
}

// killHosts ends every host of the lab and waits until the kernel is done with
// it.
func killHosts(ctx context.Context, p paths) error {
	for node, pid := range hostProcesses(p) {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot end %s (process %d): %w", node, pid, err)
		}
	}
	return until(ctx, goneDeadline, "the end of the hosts", func(context.Context) (bool, error) {
		left := hostProcesses(p)
		if len(left) == 0 {
			return true, nil
		}
		return false, fmt.Errorf("still there: %v", left)
	})
}

// unmountBelow makes sure that no removal can reach through a mount. The lab
// itself mounts nothing in the machine's own namespace.
func unmountBelow(dir string) error {
	infos, err := readMounts()
	if err != nil {
		return err
	}
	for i := len(infos) - 1; i >= 0; i-- {
		if point := infos[i].point; strings.HasPrefix(point, dir+"/") {
			if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("cannot unmount %s: %w", point, err)
			}
		}
	}
	return nil
}
