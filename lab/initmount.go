package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// oldRoot is where the machine's root hangs while the host is being made.
const oldRoot = "/.lab-old"

// mountHost makes the host's own file tree and goes there for good.
func mountHost(s hostSpec) error {
	// Mounts made by the machine still arrive here, none made here leave.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("cannot part from the machine's mounts: %w", err)
	}
	infos, err := readMounts()
	if err != nil {
		return err
	}
	root := s.paths().nodeFile(s.Node, "root")
	if err := mountOverlays(s, root, infos); err != nil {
		return err
	}
	if err := mountDevices(root); err != nil {
		return err
	}
	if err := os.MkdirAll(root+oldRoot, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(root, root+oldRoot); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := mountState(s); err != nil {
		return err
	}
	if err := mountImages(s); err != nil {
		return err
	}
	if err := unix.Unmount(oldRoot, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("cannot let go of the machine's root: %w", err)
	}
	if err := os.Remove(oldRoot); err != nil {
		return err
	}
	return mountFS("proc", "/proc", "proc", 0, "")
}

// mountOverlays lays the host's own layer over the machine's root, and one over
// each other disk that holds a part of the system. A tree of another Debian is
// all of its system.
func mountOverlays(s hostSpec, root string, infos []mountInfo) error {
	points := append([]string{"/"}, systemMounts(infos)...)
	if s.Tree != "" {
		points = points[:1]
	}
	for i, point := range points {
		upper := s.paths().nodeFile(s.Node, fmt.Sprintf("upper%d", i))
		work := s.paths().nodeFile(s.Node, fmt.Sprintf("work%d", i))
		for _, dir := range []string{upper, work} {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		opts := "lowerdir=" + filepath.Join("/", s.Tree, point) + ",upperdir=" + upper + ",workdir=" + work
		err := unix.Mount("overlay", filepath.Join(root, point), "overlay", 0, opts)
		if errors.Is(err, unix.EINVAL) {
			return fmt.Errorf("cannot lay an overlay over %s: %w; the file system of %s may not carry one (inside a container?): choose another directory with --dir", point, err, s.Dir)
		}
		if err != nil {
			return fmt.Errorf("cannot lay an overlay over %s: %w", point, err)
		}
	}
	return nil
}

// hostDevices are the device nodes of a host. KVM is not among them: the lab's
// guests do not use it, and libvirt would probe it for seconds where it does
// not work.
var hostDevices = []struct {
	name         string
	mode         uint32
	major, minor uint32
}{
	{"null", 0o666, 1, 3},
	{"zero", 0o666, 1, 5},
	{"full", 0o666, 1, 7},
	{"random", 0o666, 1, 8},
	{"urandom", 0o666, 1, 9},
	{"tty", 0o666, 5, 0},
	{"net/tun", 0o666, 10, 200},
	{"fuse", 0o666, 10, 229},
}

// mountDevices gives the host devices and pseudo file systems of its own.
func mountDevices(root string) error {
	mounts := []struct {
		fstype, target string
		flags          uintptr
		data           string
	}{
		{"tmpfs", "/dev", unix.MS_NOSUID, "mode=755"},
		{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5"},
		{"tmpfs", "/dev/shm", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
		{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"tmpfs", "/tmp", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	}
	for _, m := range mounts {
		if err := os.MkdirAll(root+m.target, 0o755); err != nil {
			return err
		}
		if err := mountFS(m.fstype, root+m.target, m.fstype, m.flags, m.data); err != nil {
			return err
		}
	}
	for _, d := range hostDevices {
		if err := makeNode(root+"/dev/"+d.name, unix.S_IFCHR|d.mode, unix.Mkdev(d.major, d.minor)); err != nil {
			return err
		}
	}
	for name, target := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
		if err := os.Symlink(target, root+"/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

// makeNode makes a device node with exactly the mode it is given.
func makeNode(path string, mode uint32, dev uint64) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := unix.Mknod(path, mode, int(dev)); err != nil {
		return fmt.Errorf("cannot make the device %s: %w", path, err)
	}
	return os.Chmod(path, os.FileMode(mode&0o777))
}

// mountState brings the host's own directories, the one all hosts share, and
// the guests' kernels, at the same path on every host.
func mountState(s hostSpec) error {
	p := s.paths()
	bind := func(source, target string, flags uintptr) error {
		if err := os.MkdirAll(target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(oldRoot+source, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("cannot bring %s to %s: %w", source, target, err)
		}
		if flags == 0 {
			return nil
		}
		return unix.Mount("", target, "", unix.MS_BIND|unix.MS_REMOUNT|flags, "")
	}
	for _, b := range hostBinds {
		if err := bind(p.nodeFile(s.Node, b.source), b.target, 0); err != nil {
			return err
		}
	}
	if err := bind(p.shared(), sharedDir, 0); err != nil {
		return err
	}
	return bind(p.cache(), p.cache(), unix.MS_RDONLY)
}

// mountImages mounts the host's disk for images. The loop device detaches
// itself when the last user, this mount, is gone.
func mountImages(s hostSpec) error {
	if err := os.MkdirAll(imagesDir, 0o711); err != nil {
		return err
	}
	if s.Loop == "" {
		return nil
	}
	defer unix.Close(loopFD)
	var st unix.Stat_t
	if err := unix.Fstat(loopFD, &st); err != nil {
		return err
	}
	if err := makeNode(s.Loop, unix.S_IFBLK|0o600, st.Rdev); err != nil {
		return err
	}
	return mountFS(s.Loop, imagesDir, s.FSType, unix.MS_NOATIME, "discard")
}

func mountFS(source, target, fstype string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		return fmt.Errorf("cannot mount %s on %s: %w", fstype, target, err)
	}
	return nil
}

// mountInfo is what the lab needs of one line of /proc/self/mountinfo.
type mountInfo struct{ point, fstype string }

func readMounts() ([]mountInfo, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parseMounts(string(b)), nil
}

// parseMounts reads mountinfo: fixed fields, a variable number of tags, a lone
// dash, and then the type.
func parseMounts(text string) []mountInfo {
	var out []mountInfo
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		dash := slices.Index(f, "-")
		if dash < 6 || len(f) < dash+2 {
			continue
		}
		out = append(out, mountInfo{unescape.Replace(f[4]), f[dash+1]})
	}
	return out
}

// systemMounts picks the disks besides the root that hold a part of the
// system. An overlay shows only what is on the root's own disk.
func systemMounts(infos []mountInfo) []string {
	disks := []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "erofs", "squashfs"}
	parts := []string{"/usr", "/var", "/etc", "/opt", "/root", "/lib", "/lib64", "/bin", "/sbin"}
	var out []string
	for _, m := range infos {
		if !slices.Contains(disks, m.fstype) || slices.Contains(out, m.point) {
			continue
		}
		st, err := os.Stat(m.point)
		if err != nil || !st.IsDir() || strings.ContainsAny(m.point, `,:\`) {
			continue
		}
		for _, p := range parts {
			if m.point == p || strings.HasPrefix(m.point, p+"/") {
				out = append(out, m.point)
				break
			}
		}
	}
	slices.Sort(out) // a parent before what is mounted in it
	return out
}
