//go:build lab

package test

import (
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestPausedOnSharedStorage: QEMU before 10 dies at the end of a move of a guest
// that came paused and has not run since, if its disks are shared. Such a move is
// refused, and is made once the guest has run.
func TestPausedOnSharedStorage(t *testing.T) {
	s := testify(t, lab.VMSpec{Name: "pshared", Agent: true, Disks: []lab.DiskSpec{{Pool: "shared"}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	from, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := other(from)
	virsh := func(node, do string) {
		t.Helper()
		if out, err := the.Node(node).Virsh(t.Context(), do, s.Name); err != nil {
			t.Fatalf("virsh %s on %s: %v: %s", do, node, err, out)
		}
	}
	stop := observe(s)
	virsh(from, "suspend")
	s.want = "paused"
	c.must(0, "migrate", s.Name, "--to", to, "--yes")
	o := c.must(3, "migrate", s.Name, "--to", from, "--yes")
	if said := o.out + o.errOut; !strings.Contains(said, "has not run since it came to "+to) || !strings.Contains(said, "resume it on "+to) {
		t.Errorf("the refusal says %s", said)
	}
	virsh(to, "resume")
	if err := the.WaitVM(t.Context(), s.Name); err != nil {
		t.Fatal(err)
	}
	until(t, "the guest has run", time.Minute, func() bool {
		out, err := the.Node(to).Virsh(t.Context(), "domstats", "--vcpu", s.Name)
		return err == nil && !strings.Contains(out, "vcpu.0.time=0\n")
	})
	virsh(to, "suspend")
	c.must(0, "migrate", s.Name, "--to", from, "--yes")
	virsh(from, "resume")
	s.want = "running"
	if err := the.WaitVM(t.Context(), s.Name); err != nil {
		t.Fatal(err)
	}
	stop()
	if owner, bad := s.judge(t.Context()); owner != from || len(bad) > 0 {
		t.Errorf("on %s: %v", owner, bad)
	}
}
