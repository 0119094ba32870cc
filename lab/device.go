package lab

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"golang.org/x/sys/unix"
)

// devicesDir has the block devices that a disk's file was made one of.
const devicesDir = "/dev/lab"

// DevicePath is where a disk is that the VM has as a block device.
func (d DiskSpec) DevicePath() string { return path.Join(devicesDir, d.File) }

// Source is what the VM's definition names: the device, or the file.
func (d DiskSpec) Source() string {
	if d.Device {
		return d.DevicePath()
	}
	return d.Path()
}

// makeDevices gives the disk's device to every host. Each is the file of that
// name there, an empty one where the VM is not.
func (l *Lab) makeDevices(ctx context.Context, vm VM, d DiskSpec) error {
	for _, n := range l.Nodes {
		if n.Name != vm.Node {
			if _, err := n.Exec(ctx, "truncate", "-s", strconv.Itoa(d.SizeMiB)+"M", d.Path()); err != nil {
				return err
			}
		}
		if err := n.makeDevice(ctx, d); err != nil {
			return fmt.Errorf("cannot make %s on %s: %w", d.DevicePath(), n.Name, err)
		}
	}
	return nil
}

const deviceScript = `mkdir -p "${1%/*}" && rm -f "$1" && mknod -m 660 "$1" b "$2" "$3" && exec 3<"$1" || exit 1
setsid sleep 2147483647 >/dev/null 2>&1 </dev/null &`

// makeDevice makes the device of a file. A process of the host holds it open: it
// is gone once the host is off.
func (n *Node) makeDevice(ctx context.Context, d DiskSpec) error {
	pid := n.PID()
	if pid == 0 {
		return n.errOff()
	}
	dev, err := attachLoop(n.path(pid, d.Path()))
	if err != nil {
		return err
	}
	defer dev.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(dev.Fd()), &st); err != nil {
		return err
	}
	number := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	_, err = n.Exec(ctx, "sh", "-c", deviceScript, "lab", d.DevicePath(), number(unix.Major(st.Rdev)), number(unix.Minor(st.Rdev)))
	return err
}
