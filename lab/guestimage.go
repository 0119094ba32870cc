package lab

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:embed guest/init.sh
var guestInit []byte

//go:embed guest/shutdown.sh
var guestShutdown []byte

// guestImage is what all guests boot from. The paths are the same on the
// machine and in every host.
type guestImage struct{ kernel, initrd string }

// guestModules are what the guest's hardware needs; what these depend on comes
// along. What a kernel has built in has no file and is left out.
var guestModules = []string{"virtio_pci", "virtio_net", "virtio_blk", "virtio_console", "virtio_balloon", "button", "evdev"}

// imageFormat is raised when the way the image is built changes other than in
// the scripts.
const imageFormat = "5"

// ensureGuestImage gives the guests' system, built from Debian packages when
// there is none of the right versions in the cache. The packages of the guest
// are unpacked, never installed.
func ensureGuestImage(ctx context.Context, p paths, logf func(string, ...any)) (guestImage, error) {
	if err := os.MkdirAll(p.cache(), 0o755); err != nil {
		return guestImage{}, err
	}
	unlock, err := lockFile(ctx, guestDeadline, filepath.Join(p.cache(), ".lock"), "another lab that builds the guest system")
	if err != nil {
		return guestImage{}, err
	}
	defer unlock()
	dir := filepath.Join(p.cache(), "system-"+imageKey(ctx))
	image := guestImage{filepath.Join(dir, "vmlinuz"), filepath.Join(dir, "initrd")}
	if fileExists(image.kernel) && fileExists(image.initrd) {
		return image, nil
	}
	logf("building the guests' system (once; kept in %s)", p.cache())
	tmp, err := os.MkdirTemp(p.cache(), ".build-")
	if err != nil {
		return guestImage{}, err
	}
	defer os.RemoveAll(tmp)
	if err := buildImage(ctx, tmp, logf); err != nil {
		return guestImage{}, fmt.Errorf("cannot build the guests' system: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return guestImage{}, err
	}
	if err := os.Rename(filepath.Join(tmp, "out"), dir); err != nil {
		return guestImage{}, err
	}
	return image, nil
}

func fileExists(name string) bool { _, err := os.Stat(name); return err == nil }

// imageKey names one version of everything that goes into the image but the
// kernel: an older kernel in the cache is as good as the newest.
func imageKey(ctx context.Context) string {
	h := sha256.New()
	h.Write(guestInit)
	h.Write(guestShutdown)
	fmt.Fprintln(h, imageFormat, guestModules)
	for _, pkg := range []string{"qemu-guest-agent", "busybox-static", "e2fsprogs", "libc6"} {
		fmt.Fprintln(h, pkg, installedVersion(ctx, pkg))
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// buildImage leaves kernel and initramfs in tmp/out.
func buildImage(ctx context.Context, tmp string, logf func(string, ...any)) error {
	kernelPkg, err := kernelPackage(ctx)
	if err != nil {
		return err
	}
	want := []string{kernelPkg}
	for _, pkg := range []string{"busybox-static", "qemu-guest-agent"} {
		if installedVersion(ctx, pkg) == "" {
			want = append(want, pkg)
		}
	}
	logf("fetching, not installing: %s", strings.Join(want, " "))
	tree := filepath.Join(tmp, "tree")
	if err := unpack(ctx, tmp, tree, want); err != nil {
		return err
	}
	var a archive
	if err := addModules(ctx, &a, tree); err != nil {
		return err
	}
	if err := addPrograms(ctx, &a, tree); err != nil {
		return err
	}
	for _, d := range []string{"proc", "sys", "dev", "run", "tmp", "ram", "data", "www", "var/log", "var/run", "var/local/run", "root"} {
		a.dir(d)
	}
	a.add("/init", 0o755, guestInit)
	for _, name := range []string{"/sbin/shutdown", "/sbin/poweroff", "/etc/acpi/PWRF/00000080"} {
		a.add(name, 0o755, guestShutdown)
	}
	a.add("/sbin/reboot", 0o755, []byte("#!/bin/sh\nexec /sbin/shutdown -r\n"))
	a.add("/etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\n"))
	a.add("/etc/group", 0o644, []byte("root:x:0:\n"))
	a.link("/etc/mtab", "/proc/self/mounts")
	out := filepath.Join(tmp, "out")
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	kernels, _ := filepath.Glob(filepath.Join(tree, "boot/vmlinuz-*"))
	if len(kernels) != 1 {
		return fmt.Errorf("%s holds %d kernels, not one", kernelPkg, len(kernels))
	}
	if err := os.Rename(kernels[0], filepath.Join(out, "vmlinuz")); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "initrd"), a.bytes(), 0o644)
}

// addPrograms takes busybox, and with their libraries the guest agent and what
// mends a file system.
func addPrograms(ctx context.Context, a *archive, tree string) error {
	busybox, err := os.ReadFile(pick(tree, "/usr/bin/busybox", "/bin/busybox"))
	if err != nil {
		return err
	}
	a.add("/bin/busybox", 0o755, busybox)
	a.link("/bin/sh", "busybox")
	for _, program := range []string{"/usr/sbin/qemu-ga", "/usr/sbin/e2fsck"} {
		if err := addProgram(ctx, a, pick(tree, program, strings.TrimPrefix(program, "/usr"))); err != nil {
			return err
		}
	}
	return nil
}

func addProgram(ctx context.Context, a *archive, file string) error {
	name := filepath.Base(file)
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	a.add("/sbin/"+name, 0o755, data)
	out, err := exec.CommandContext(ctx, "ldd", file).Output()
	if err != nil {
		return fmt.Errorf("cannot list the libraries of %s: %w", name, err)
	}
	if strings.Contains(string(out), "not found") {
		return fmt.Errorf("cannot find all libraries of %s:\n%s", name, out)
	}
	for _, lib := range libraryPaths(string(out)) {
		data, err := os.ReadFile(lib)
		if err != nil {
			return err
		}
		a.add(lib, 0o755, data)
	}
	return nil
}

// pick prefers what was unpacked over what is installed.
func pick(tree string, names ...string) string {
	for _, n := range names {
		if p := filepath.Join(tree, n); fileExists(p) {
			return p
		}
	}
	for _, n := range names {
		if fileExists(n) {
			return n
		}
	}
	return names[0]
}

var libraryPattern = regexp.MustCompile(`(/\S+) \(0x`)

// libraryPaths reads the files out of what ldd says.
func libraryPaths(ldd string) []string {
	var out []string
	for _, m := range libraryPattern.FindAllStringSubmatch(ldd, -1) {
		if !slices.Contains(out, m[1]) {
			out = append(out, m[1])
		}
	}
	return out
}
