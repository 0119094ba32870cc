package survey

import (
	"context"
	"strings"

	"horcrux/engine/fleet"
)

// userfaultFile says whether others than root may have the page faults of the
// kernel on their memory handed to them, which QEMU needs to fetch what is
// missing (Documentation/admin-guide/sysctl/vm.rst). Kernels before 5.2 have no
// such file, and no such limit.
const userfaultFile = "/proc/sys/vm/unprivileged_userfaultfd"

// noPostCopy tells why QEMU on a node cannot receive a post-copy; empty if it
// can, or if nothing is known.
func noPostCopy(ctx context.Context, n *fleet.Node) string {
	res, err := n.Exec(ctx, []string{"cat", userfaultFile}, nil)
	if err != nil || res.Code != 0 || strings.TrimSpace(string(res.Stdout)) != "0" {
		return ""
	}
	c, err := n.Act(ctx)
	if err != nil {
		return ""
	}
	if info, err := c.Host(ctx); err != nil || info.QEMUUser == nil || info.QEMUUser.Root() {
		return ""
	}
	return "it does not run as root, and " + userfaultFile + " is 0"
}
