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
)

// program is a file without which something cannot be, and its package.
type program struct{ file, pkg string }

// needed are the programs hosts are made of, with the package of each.
var needed = []program{
	{"/usr/sbin/libvirtd", "libvirt-daemon-system"},
	{"/usr/sbin/virtlogd", "libvirt-daemon-system"},
	{"/usr/bin/virsh", "libvirt-clients"},
	{"/usr/bin/qemu-system-x86_64", "qemu-system-x86"},
	{"/usr/bin/qemu-img", "qemu-utils"},
	{"/usr/sbin/sshd", "openssh-server"},
	{"/usr/bin/ssh", "openssh-client"},
	{"/usr/bin/rsync", "rsync"},
	{"/usr/bin/sudo", "sudo"},
	{"/usr/bin/tmux", "tmux"},
	{"/usr/sbin/nft", "nftables"},
	{"/usr/bin/systemd-socket-activate", "systemd"},
	{"/usr/bin/ip", "iproute2"},
	{"/usr/sbin/mkfs.ext4", "e2fsprogs"},
	{"/usr/sbin/mkfs.xfs", "xfsprogs"},
	{"/usr/sbin/debugfs", "e2fsprogs"},
	{"/usr/sbin/e2fsck", "e2fsprogs"},
}

// neededBy lists what is needed for these VMs and for no others.
func neededBy(vms []VM) []program {
	var out []program
	if slices.ContainsFunc(vms, func(vm VM) bool { return vm.UEFI }) {
		out = append(out, program{ovmfCode, "ovmf"})
	}
	if slices.ContainsFunc(vms, func(vm VM) bool { return vm.TPM }) {
		out = append(out, program{"/usr/bin/swtpm", "swtpm"}, program{"/usr/bin/swtpm_setup", "swtpm-tools"})
	}
	return out
}

// missingOf lists the packages of what is not there.
func missingOf(all []program) []string {
	var out []string
	for _, n := range all {
		// /bin and /sbin may or may not be one with /usr.
		if !fileExists(n.file) && !fileExists(strings.TrimPrefix(n.file, "/usr")) && !slices.Contains(out, n.pkg) {
			out = append(out, n.pkg)
		}
	}
	return out
}

// install brings what is missing. Services of the packages are kept from
// starting: the lab runs its own.
func (l *Lab) install(ctx context.Context, vms []VM, never bool) error {
	all := slices.Concat(needed, neededBy(vms))
	if l.release != "" {
		all = append(all, bootstrapper)
	}
	missing := missingOf(all)
	if len(missing) == 0 {
		return nil
	}
	list := strings.Join(missing, " ")
	if _, err := exec.LookPath("apt-get"); err != nil {
		return fmt.Errorf("cannot make a lab: %s is missing and this is no Debian system, so install its like by hand", list)
	}
	if never {
		return fmt.Errorf("cannot make a lab without these packages: apt-get install --no-install-recommends %s", list)
	}
	// One at a time: what one lab keeps from starting must not start because
	// another one has ended.
	if err := os.MkdirAll(DefaultDir, 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, installDeadline, filepath.Join(DefaultDir, ".install.lock"), "another lab that installs packages")
	if err != nil {
		return err
	}
	defer unlock()
	if missing = missingOf(all); len(missing) == 0 {
		return nil
	}
	l.logf("installing from Debian: %s", strings.Join(missing, " "))
	if err := apt(ctx, "update"); err != nil {
		return err
	}
	restore, err := forbidServices()
	if err != nil {
		return err
	}
	err = apt(ctx, append([]string{"install", "-y", "--no-install-recommends"}, missing...)...)
	if err = errors.Join(err, restore()); err != nil {
		return err
	}
	if left := missingOf(all); len(left) > 0 {
		return fmt.Errorf("cannot make a lab: %s is installed but its programs are not where Debian puts them", strings.Join(left, " "))
	}
	return nil
}

// policyFile is asked by Debian's package scripts before they start a service.
const policyFile = "/usr/sbin/policy-rc.d"

// forbidServices keeps new services from starting until restore is called. A
// policy of the machine's own stays as it is.
func forbidServices() (restore func() error, err error) {
	f, err := os.OpenFile(policyFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
	if errors.Is(err, os.ErrExist) {
		return func() error { return nil }, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot keep new services from starting: %w", err)
	}
	_, err = f.WriteString("#!/bin/sh\nexit 101\n")
	return func() error { return os.Remove(policyFile) }, errors.Join(err, f.Close())
}

// apt runs apt-get without questions and puts its last words into the error.
func apt(ctx context.Context, args ...string) error {
	return aptIn(ctx, "/", args...)
}

func aptIn(ctx context.Context, dir string, args ...string) error {
	// A download as another user fails in a directory that only root may enter.
	args = append([]string{"-q", "-o", "APT::Sandbox::User=root", "-o", "DPkg::Lock::Timeout=60"}, args...)
	cmd := exec.CommandContext(ctx, "apt-get", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LANG=C.UTF-8")
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return fmt.Errorf("cannot run `apt-get %s`: %w: %s", strings.Join(args, " "), err, strings.Join(lines[max(0, len(lines)-3):], " / "))
}

// installedVersion is the version of an installed package, or "".
func installedVersion(ctx context.Context, pkg string) string {
	out, err := exec.CommandContext(ctx, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", pkg).Output()
	if err != nil {
		return ""
	}
	v, ok := strings.CutPrefix(strings.TrimSpace(string(out)), "installed ")
	if !ok {
		return ""
	}
	return v
}

// kernelMeta is the package that depends on the newest kernel for virtual
// machines.
const kernelMeta = "linux-image-cloud-amd64"

// kernelPackage names the concrete package behind kernelMeta.
func kernelPackage(ctx context.Context) (string, error) {
	for _, refresh := range []bool{false, true} {
		if refresh {
			if err := apt(ctx, "update"); err != nil {
				return "", err
			}
		}
		out, err := exec.CommandContext(ctx, "apt-cache", "depends", "--important", kernelMeta).Output()
		if err != nil && !refresh {
			continue
		}
		if pkg := parseDepends(string(out)); pkg != "" {
			return pkg, nil
		}
	}
	return "", fmt.Errorf("cannot find the package %s, the guests' kernel; it comes with Debian for amd64: see that a Debian mirror is in apt's sources", kernelMeta)
}

func parseDepends(text string) string {
	for line := range strings.Lines(text) {
		if pkg, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: linux-image-"); ok {
			return "linux-image-" + pkg
		}
	}
	return ""
}

// unpack fetches packages and unpacks them into tree.
func unpack(ctx context.Context, tmp, tree string, pkgs []string) error {
	debs := filepath.Join(tmp, "debs")
	for _, d := range []string{debs, tree} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	download := append([]string{"download"}, pkgs...)
	if err := aptIn(ctx, debs, download...); err != nil {
		// The lists may name a version that the mirror has replaced.
		if err := apt(ctx, "update"); err != nil {
			return err
		}
		if err := aptIn(ctx, debs, download...); err != nil {
			return err
		}
	}
	files, err := filepath.Glob(filepath.Join(debs, "*.deb"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if out, err := exec.CommandContext(ctx, "dpkg", "-x", f, tree).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot unpack %s: %w: %s", filepath.Base(f), err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}
