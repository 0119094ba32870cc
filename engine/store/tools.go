package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"horcrux/engine/model"
)

// Tools is what a node has of what a copy uses.
type Tools struct {
	have map[string]bool
}

// Has tells whether a command is there.
func (t Tools) Has(name string) bool { return t.have[name] }

// needed are the commands without which nothing is copied, with the package
// that has them on Debian and on Red Hat's systems.
var needed = []struct{ name, from string }{
	{"dd", "coreutils"},
	{"stat", "coreutils"},
	{"truncate", "coreutils"},
	{"sha256sum", "coreutils"},
	{"sync", "coreutils"},
	{"timeout", "coreutils"},
	{"stdbuf", "coreutils"},
	{"ln", "coreutils"},
	{"grep", "grep"},
	{"cmp", "diffutils"},
	{"tar", "tar"},
	{"find", "findutils"},
	{"qemu-img", "qemu-utils, on Red Hat's systems qemu-img"},
	{"qemu-io", "qemu-utils, on Red Hat's systems qemu-img"},
}

// useful are the commands that make a copy faster, and what is done without.
var useful = []struct{ name, from, without string }{
	{"qemu-nbd", "qemu-utils, on Red Hat's systems qemu-img", "disks to this node go through this machine's SSH connections instead of directly"},
	{"openssl", "openssl", "blocks are hashed with sha256sum, which takes two to three times as long"},
	{"zstd", "zstd", "what goes through SSH is not compressed"},
	{"getent", "libc-bin, glibc-common", "the migration address must be written as a number"},
}

// toolScript prints those of its arguments that are commands here.
const toolScript = `for c; do command -v "$c" >/dev/null 2>&1 && echo "$c"; done; exit 0`

// Probe asks a node which tools it has.
func Probe(ctx context.Context, n Node) (Tools, error) {
	argv := []string{"sh", "-c", toolScript, "horcrux-copy"}
	for _, t := range needed {
		argv = append(argv, t.name)
	}
	for _, t := range useful {
		argv = append(argv, t.name)
	}
	out, err := run(ctx, n, "look for the tools of a copy", nil, argv...)
	if err != nil {
		return Tools{}, err
	}
	t := Tools{have: map[string]bool{}}
	for _, name := range strings.Fields(out) {
		t.have[name] = true
	}
	return t, nil
}

// Findings says what a node lacks for copies of disks: failures for what a copy
// cannot do without, warnings for what makes it slower.
func (t Tools) Findings() []model.Finding {
	var all []model.Finding
	var missing, from []string
	for _, n := range needed {
		if !t.have[n.name] {
			missing = append(missing, n.name)
			if !slices.Contains(from, n.from) {
				from = append(from, n.from)
			}
		}
	}
	f := model.Finding{ID: "copy-tools", Title: "tools for copying disks", Verdict: model.Pass, Detail: "all that a copy needs is there"}
	if len(missing) > 0 {
		f.Verdict = model.Fail
		f.Detail = "missing: " + strings.Join(missing, ", ") + "; the modes offline and block cannot copy a disk from or to this node"
		f.Remedy = "install " + strings.Join(from, "; ")
	}
	all = append(all, f)
	for _, u := range useful {
		if !t.have[u.name] {
			all = append(all, model.Finding{
				ID: "copy-" + u.name, Title: u.name, Verdict: model.Warn,
				Detail: fmt.Sprintf("%s is not there: %s", u.name, u.without), Remedy: "install " + u.from,
			})
		}
	}
	return all
}

// lacking is an error if something needed is missing.
func (t Tools) lacking(n Node) error {
	for _, f := range t.Findings() {
		if f.Verdict == model.Fail {
			return fmt.Errorf("cannot copy files from or to %s: %s; %s", n.Name(), f.Detail, f.Remedy)
		}
	}
	return nil
}
