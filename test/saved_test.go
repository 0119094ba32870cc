//go:build lab

package test

import (
	"strings"
	"testing"

	"horcrux/lab"
)

// TestSavedState: a VM whose memory lies saved is moved twice while it is off, and
// goes on in the boot that it was in. libvirt on the target notices a saved state
// that came as a file only when it starts the VM.
func TestSavedState(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wsaved", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	if _, err := the.Node(from).Virsh(t.Context(), "managedsave", s.Name); err != nil {
		t.Fatal(err)
	}
	s.want = "shut off"
	for range 2 {
		now, err := s.owner(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		id, o := c.move(s, other(now), "--mode", "offline")
		on, bad := s.judge(t.Context())
		if o.code != 0 || on == now || len(bad) > 0 {
			c.fail(t, id, append(bad, o.out+o.errOut))
		}
		if _, err := the.Node(other(now)).Exec(t.Context(), "test", "-f", "/var/lib/libvirt/qemu/save/"+s.Name+".save"); err != nil {
			t.Errorf("%s has no saved state: %v", other(now), err)
		}
	}
	if _, err := the.Node(from).Virsh(t.Context(), "start", s.Name); err != nil {
		t.Fatal(err)
	}
	s.want = "running"
	if err := the.WaitVM(t.Context(), s.Name); err != nil {
		t.Fatal(err)
	}
	if on, bad := s.judge(t.Context()); on != from || len(bad) > 0 { // of one boot alone
		t.Errorf("on %s: %v", on, bad)
	}
}

// TestOtherMedium: the target has a disc of the same name and size with other
// content. The guest does not go on with that.
func TestOtherMedium(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wdisc", Agent: true, ISO: true, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	stopAfter(t, s.Name)
	c, to := newConsole(t), the.Node(other(from))
	size, err := the.Node(from).Exec(t.Context(), "stat", "-c", "%s", s.ISOPath())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := to.Exec(t.Context(), "sh", "-c", `head -c "$1" /dev/urandom >"$2"`, "x", strings.TrimSpace(size), s.ISOPath()); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"live", "offline"} {
		id, o := c.move(s, to.Name, "--mode", mode)
		if o.code != 4 || !strings.Contains(o.errOut, to.Name+" has another "+s.ISOPath()) {
			t.Errorf("%s: exit code %d: %s", mode, o.code, o.errOut)
		}
		if on, bad := s.judge(t.Context()); on != from || len(bad) > 0 {
			c.fail(t, id, append(bad, "it is on "+on))
		}
	}
	if _, err := to.Exec(t.Context(), "rm", "--", s.ISOPath()); err != nil {
		t.Error(err)
	}
}
