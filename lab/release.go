package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

var releasePattern = regexp.MustCompile(`^[a-z]{2,20}$`)

// parseRelease reads which Debian hosts run: "trixie" for all of them,
// "node3=trixie,node4=sid" for some. What it does not name runs the machine's own.
func parseRelease(text string, nodes int) (map[string]string, error) {
	out := map[string]string{}
	if text == "" {
		return out, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		node, release, one := strings.Cut(part, "=")
		if !one {
			node, release = "", part
		}
		if !releasePattern.MatchString(release) {
			return nil, fmt.Errorf("cannot use the release %q: write it as trixie, or node3=trixie for one node", part)
		}
		if one && (nodeIndex(node) == 0 || nodeIndex(node) > nodes) {
			return nil, fmt.Errorf("cannot give %q a release: the lab has node1 to node%d", node, nodes)
		}
		for i := 1; i <= nodes; i++ {
			if name := nodeName(i); !one || name == node {
				out[name] = release
			}
		}
	}
	return out, nil
}

// bootstrapper makes a tree of another release; only such labs need it.
var bootstrapper = program{"/usr/bin/mmdebstrap", "mmdebstrap"}

// releasePackages are in every such tree, whatever VMs its lab has.
func releasePackages() []string {
	var out []string
	for _, p := range slices.Concat(needed, neededBy([]VM{{VMSpec: VMSpec{UEFI: true, TPM: true}}})) {
		out = append(out, p.pkg)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// tree is the root of that release, kept for all labs of the directory: as
// with the guests' system, an older one is as good as the newest.
func (p paths) tree(release string) string {
	key := sha256.Sum256([]byte(strings.Join(releasePackages(), " ")))
	return filepath.Join(p.releases(), release+"-"+hex.EncodeToString(key[:6]))
}

// ensureReleases makes the trees that the hosts need and that are not there.
func (l *Lab) ensureReleases(ctx context.Context) error {
	for _, n := range l.Nodes {
		if n.release == "" {
			continue
		}
		if err := ensureTree(ctx, l.paths, n.release, l.logf); err != nil {
			return fmt.Errorf("cannot make the root of Debian %s: %w", n.release, err)
		}
	}
	return nil
}

func ensureTree(ctx context.Context, p paths, release string, logf func(string, ...any)) error {
	if err := os.MkdirAll(p.releases(), 0o755); err != nil {
		return err
	}
	unlock, err := lockFile(ctx, installDeadline, filepath.Join(p.releases(), ".lock"), "another lab that fetches a release")
	if err != nil {
		return err
	}
	defer unlock()
	if fileExists(p.tree(release)) {
		return nil
	}
	logf("fetching Debian %s (once; kept in %s)", release, p.releases())
	// One name for all: what a killed process has left of it goes with the next.
	tmp := filepath.Join(p.releases(), ".build")
	if err := os.RemoveAll(tmp); err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := os.Mkdir(tmp, 0o700); err != nil {
		return err
	}
	tree := filepath.Join(tmp, "root")
	if err := bootstrap(ctx, tmp, tree, release); err != nil {
		return err
	}
	for _, n := range needed {
		if !fileExists(tree + n.file) {
			return fmt.Errorf("its package %s has no %s", n.pkg, n.file)
		}
	}
	return os.Rename(tree, p.tree(release))
}

// bootstrap fills an empty tree. It keeps the packages' services from starting.
func bootstrap(ctx context.Context, tmp, tree, release string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, installDeadline, fmt.Errorf("not within %s", installDeadline))
	defer cancel()
	cmd := exec.CommandContext(ctx, bootstrapper.file, "--mode=root", "--format=directory", "--variant=minbase",
		"--include="+strings.Join(releasePackages(), ","), release, tree)
	cmd.Env = append(os.Environ(), "LANG=C.UTF-8", "TMPDIR="+tmp)
	// What it mounts in the tree is never seen by the machine.
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS}
	cmd.Cancel = func() error { return cmd.Process.Signal(unix.SIGTERM) }
	cmd.WaitDelay = goneDeadline
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if lines := errorLines(string(out)); lines != "" {
		return errors.New(lines)
	}
	return err
}

// errorLines picks mmdebstrap's and apt's errors out of what they say.
func errorLines(out string) string {
	var found []string
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "E: ") {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found, " / ")
}
