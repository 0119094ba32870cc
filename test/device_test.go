//go:build lab

package test

import (
	"regexp"
	"strings"
	"testing"

	"horcrux/lab"
)

// F12: a disk that is a block device is copied onto the target's own, which must
// be seen to be another one and empty. Nothing is ever copied over data.
func TestF12BlockDevice(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wdevice", Agent: true, Disks: []lab.DiskSpec{{Format: "raw", Device: true, FillMiB: 24}}})
	stopAfter(t, s.Name)
	to, device := other(from), s.Disks[0].DevicePath()
	c := newConsole(t)
	if o := c.must(3, "plan", s.Name, "--to", to, "--mode", "offline"); !strings.Contains(o.out+o.errOut, "block device") {
		t.Errorf("offline is refused without its reason: %s%s", o.out, o.errOut)
	}

	// Somebody's data are in the way; the plan says how to empty the device.
	if _, err := the.Node(to).Exec(t.Context(), "dd", "if=/dev/urandom", "of="+device, "bs=4096", "count=4", "conv=nocreat,fsync", "status=none"); err != nil {
		t.Fatal(err)
	}
	o := c.must(3, "plan", s.Name, "--to", to)
	said := o.out + o.errOut
	remedy := regexp.MustCompile(`dd if=/dev/zero of=\S+ bs=4096 count=256 conv=nocreat && dd [^\n]* seek=[0-9]+`).FindString(said)
	if remedy == "" || !strings.Contains(said, "not known to be empty") {
		t.Fatalf("the refusal does not say how to empty the device: %s", said)
	}
	if _, err := the.Node(to).Exec(t.Context(), "sh", "-c", remedy+" && sync"); err != nil {
		t.Fatal(err)
	}

	stop := observe(s)
	id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", to, "--yes", "--detach", "--bandwidth", "4").out)
	c.copied(id, "disk")
	c.must(0, "abort", id, "--yes")
	stop()
	now, bad := s.judge(t.Context())
	if r := result(t, c.run("job", id, "-o", "json").out); r.Outcome != "undone" || now != from || len(bad) > 0 {
		t.Errorf("%+v, on %s", r, now)
		c.fail(t, id, bad)
		return
	}

	// The half copy is gone from the device, so that the move can be tried again.
	movesTo(t, s, to)
	// Both ends of the two are the same now, as those of one device would be.
	o = c.must(3, "plan", s.Name, "--to", from)
	if said := o.out + o.errOut; !strings.Contains(said, "which copies would have too") && !strings.Contains(said, device+" on "+from+" is not known to be empty") {
		t.Errorf("the way back would write over %s: %s", device, said)
	}
}
