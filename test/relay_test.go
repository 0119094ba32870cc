//go:build lab

package test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// parted takes the hosts' network to each other away for the rest of a test, but
// for SSH if that is to be left.
func parted(t *testing.T, ssh bool) {
	t.Helper()
	for _, n := range the.Nodes {
		block := n.CutPeers
		if ssh {
			block = n.BlockPeers
		}
		if err := block(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.UnblockPeers(context.Background()) }) //nolint:errcheck // a host that is off has no rules
	}
}

// forwarding sets AllowTcpForwarding of a host's sshd for the rest of a test.
func forwarding(t *testing.T, n *lab.Node, to string) {
	t.Helper()
	set := func(ctx context.Context, to string) error {
		if _, err := n.Exec(ctx, "sed", "-i", "s/^AllowTcpForwarding .*/AllowTcpForwarding "+to+"/", "/etc/ssh/sshd_config"); err != nil {
			return err
		}
		return n.Restart(ctx, lab.SSHD)
	}
	if err := set(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := set(context.Background(), "yes"); err != nil {
			t.Error(err)
		}
	})
}

// noSockets checks that no folder or socket of a relay is left on any host.
func noSockets(t *testing.T) {
	t.Helper()
	for _, n := range the.Nodes {
		out, err := n.Exec(t.Context(), "find", "/run", "/var/lib/libvirt/qemu", "-name", "*horcrux-*", "-o", "-name", "*tunnelmigrate*")
		if left := strings.Fields(out); err != nil || len(left) > 0 {
			t.Errorf("%s still has %v (%v)", n.Name, left, err)
		}
	}
}

// TestRelay: hosts that only the console reaches, and only by SSH. All modes find
// that out by themselves, and a job that is killed in the
// middle is undone with nothing left.
func TestRelay(t *testing.T) {
	s, _ := one(t, lab.VMSpec{Name: "wrelay", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}, {SizeMiB: 64, FillMiB: 8}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	parted(t, false)
	judged := func(id string, stop func()) {
		t.Helper()
		stop() // what the guest says afterwards is not on the disk that is read here
		if _, bad := s.judge(t.Context()); len(bad) > 0 {
			c.fail(t, id, bad)
		}
		noSockets(t)
	}
	killed := func(t *testing.T) {
		from, err := s.owner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stop := observe(s)
		defer stop()
		id := c.start(s.Name, other(from), "--bandwidth", "4")
		if !c.wrote(id, "perform", time.Minute) {
			t.Fatalf("the copy does not begin: %v", c.records(id))
		}
		until(t, "bytes in the mirror", time.Minute, func() bool {
			out, err := the.Node(from).Virsh(t.Context(), "domjobinfo", s.Name)
			return err == nil && strings.Contains(out, "Unbounded")
		})
		c.kill(id)
		if _, err := c.settleAll(2 * time.Minute); err != nil {
			t.Fatal(err)
		}
		if at, err := s.owner(t.Context()); at != from || err != nil {
			t.Errorf("it is on %s: %v", at, err)
		}
		judged(id, stop)
	}
	// moves sends it over, and sees that the plan says this of the way.
	moves := func(t *testing.T, way, mode string, more ...string) {
		t.Helper()
		from, err := s.owner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		args := append([]string{"--mode", mode}, more...)
		if o := c.run(append([]string{"plan", s.Name, "--to", other(from)}, args...)...); o.code != 0 || !strings.Contains(o.out, way) {
			t.Fatalf("exit code %d: %s%s", o.code, o.out, o.errOut)
		}
		if mode == "offline" {
			s.boots++
		}
		stop := observe(s)
		defer stop()
		id, o := c.move(s, other(from), args...)
		if o.code != 0 {
			t.Fatalf("exit code %d: %s%s", o.code, o.out, o.errOut)
		}
		if at, err := s.owner(t.Context()); at == from || err != nil {
			t.Errorf("it is on %s: %v", at, err)
		}
		if mode != "offline" && !slices.Contains(c.records(id), "relayed") {
			t.Errorf("records: %v", c.records(id))
		}
		judged(id, stop)
	}
	t.Run("killed", killed)
	const through = " through this machine to "
	t.Run("live", func(t *testing.T) { moves(t, through, "live", "--parallel", "2") })
	for _, mode := range []string{"online", "block", "offline"} {
		t.Run(mode, func(t *testing.T) { moves(t, through, mode) })
	}
	t.Run("sshd forwards nothing", func(t *testing.T) {
		for _, n := range the.Nodes {
			forwarding(t, n, "no")
		}
		killed(t)
		for _, mode := range []string{"live", "block"} {
			moves(t, "AllowTcpForwarding no, so commands there carry them", mode, "--parallel", "2")
			for _, n := range the.Nodes {
				// What ends a command kills it for good 5 s later.
				until(t, "end of the commands on "+n.Name, 20*time.Second, func() bool {
					out, err := n.Exec(t.Context(), "sh", "-c", "grep -als 'run/libvirt/qemu/[h]orcrux-' /proc/[0-9]*/cmdline || :")
					return err == nil && out == ""
				})
			}
		}
	})
	t.Run("direct", func(t *testing.T) {
		from, _ := s.owner(t.Context())
		c.must(3, "migrate", s.Name, "--to", other(from), "--yes", "--path", "direct")
		judged("", func() {})
	})
}
