//go:build lab

package test

import (
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
