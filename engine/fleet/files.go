package fleet

import (
	"context"
	"fmt"
	"path"
	"strings"
)

// Privileged tells whether commands on the host may look everywhere.
func (n *Node) Privileged() bool { return n.sudo || n.target.User == "root" }

// FileExists looks whether something is at an absolute path. A folder that the
// user may not look into makes an error, never "no": what is not seen is not
// what is not there.
func (n *Node) FileExists(ctx context.Context, p string) (bool, error) {
	if !path.IsAbs(p) || path.Clean(p) != p || strings.IndexByte(p, 0) >= 0 {
		return false, fmt.Errorf("%q is not a clean absolute path", p)
	}
	there, err := n.test(ctx, "-e", p, "-o", "-L", p)
	if err != nil || there || n.Privileged() {
		return there, err
	}
	for dir := path.Dir(p); ; dir = path.Dir(dir) {
		seen, err := n.test(ctx, "-d", dir)
		if err != nil {
			return false, err
		}
		if seen {
			if open, err := n.test(ctx, "-x", dir); err != nil || !open {
				return false, fmt.Errorf("cannot look for %s on %s: user %s may not look into %s: set sudo = true, or log in as root", p, n.name, n.target.User, dir)
			}
			return false, nil
		}
		if dir == "/" {
			return false, nil
		}
	}
}

// MayWrite tells whether commands on the host may rename files in a folder.
func (n *Node) MayWrite(ctx context.Context, dir string) (bool, error) {
	if n.Privileged() {
		return true, nil
	}
	return n.test(ctx, "-w", dir)
}

// test runs test(1). The arguments that can be anything are absolute paths, so
// that it reads none of them as an operator.
func (n *Node) test(ctx context.Context, argv ...string) (bool, error) {
	r, err := n.Exec(ctx, append([]string{"test"}, argv...), nil)
	if err != nil {
		return false, err
	}
	if r.Code > 1 {
		return false, fmt.Errorf("cannot look for %s on %s: test answered %d", argv[1], n.name, r.Code)
	}
	return r.Code == 0, nil
}
