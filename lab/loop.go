package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// imagesFile is the sparse file behind a host's disk for images.
const imagesFile = "images.img"

// makeDisk makes the host's disk for images, with a file system that supports
// O_DIRECT. With reflinks, where the kernel knows XFS, it can make snapshots of
// files too; hosts of both kinds are wanted.
func (n *Node) makeDisk(ctx context.Context, size int64, reflinks bool) (fstype string, err error) {
	path := n.lab.paths.nodeFile(n.Name, imagesFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return "", fmt.Errorf("cannot make a disk of %d MiB: %w", size>>20, err)
	}
	argv := []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard", path}
	fstype = "ext4"
	// mkfs.xfs refuses anything below 300 MiB.
	if reflinks && size >= 512<<20 && kernelKnows(ctx, "xfs") {
		argv, fstype = []string{"mkfs.xfs", "-q", "-K", "-m", "reflink=1", path}, "xfs"
	}
	if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot format the disk of %s: %w: %s", n.Name, err, strings.TrimSpace(string(out)))
	}
	return fstype, nil
}

// kernelKnows tells whether a file system can be mounted.
func kernelKnows(ctx context.Context, fstype string) bool {
	listed := func() bool {
		b, err := os.ReadFile("/proc/filesystems")
		return err == nil && slices.Contains(strings.Fields(string(b)), fstype)
	}
	if listed() {
		return true
	}
	return exec.CommandContext(ctx, "modprobe", fstype).Run() == nil && listed()
}

// attachLoop turns a file into a block device that detaches itself when nobody
// uses it any more. The caller holds the returned file until it is mounted.
func attachLoop(path string) (dev *os.File, err error) {
	back, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer back.Close()
	ctl, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer ctl.Close()
	for range 64 {
		n, err := unix.IoctlRetInt(int(ctl.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("cannot find a free loop device: %w", err)
		}
		dev, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", n), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		cfg := unix.LoopConfig{Fd: uint32(back.Fd())}
		cfg.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
		copy(cfg.Info.File_name[:len(cfg.Info.File_name)-1], path)
		err = unix.IoctlLoopConfigure(int(dev.Fd()), &cfg)
		if err == nil {
			return dev, nil
		}
		dev.Close()
		// Somebody else was quicker with this one.
		if !errors.Is(err, unix.EBUSY) {
			return nil, fmt.Errorf("cannot attach %s to a loop device: %w", path, err)
		}
	}
	return nil, errors.New("cannot attach a loop device: others take them all")
}

// loopsOf lists the loop devices whose file lies below dir.
func loopsOf(dir string) []string {
	files, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	var out []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && strings.HasPrefix(string(b), dir+"/") {
			out = append(out, "/dev/"+filepath.Base(filepath.Dir(filepath.Dir(f))))
		}
	}
	return out
}

// detachLoops waits until the lab's loop devices have detached themselves, and
// detaches what is left.
func detachLoops(ctx context.Context, dir string) error {
	err := until(ctx, goneDeadline, "the loop devices to go", func(context.Context) (bool, error) {
		return len(loopsOf(dir)) == 0, nil
	})
	if err == nil {
		return nil
	}
	for _, dev := range loopsOf(dir) {
		f, ferr := os.OpenFile(dev, os.O_RDWR, 0)
		if ferr != nil {
			return errors.Join(err, ferr)
		}
		ferr = unix.IoctlSetInt(int(f.Fd()), unix.LOOP_CLR_FD, 0)
		f.Close()
		if ferr != nil {
			return fmt.Errorf("cannot detach %s: %w; find its user with `fuser -vm %s`", dev, ferr, dev)
		}
	}
	return nil
}
