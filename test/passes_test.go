//go:build lab

package test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestTwoPasses: a guest that writes so much while its disks go first that they go
// in two passes. An abort in the second makes one image of three layers again on
// the source; the move after it makes one on the target. Every byte is there.
func TestTwoPasses(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wpasses", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 192, FillMiB: 24}}})
	stopAfter(t, s.Name)
	to, c := other(from), newConsole(t)
	const bulk = 70 << 20 // more than is left to the end of a move
	twice := func(word string) (id string) {
		t.Helper()
		// The first pass lasts until the guest has written.
		id = c.start(s.Name, to, "--mode", "block", "--bandwidth", "1")
		defer func() {
			if t.Failed() {
				c.fail(t, id, nil)
			}
		}()
		if !c.wrote(id, "copying", time.Minute) {
			t.Fatalf("the first pass does not begin: %v", c.records(id))
		}
		inGuest(t, s.Name, from, "yes "+word+" | dd of=/data/bulk bs=1M count=70 iflag=fullblock conv=notrunc,fsync 2>&1")
		c.must(0, "tune", id, "--bandwidth", "48")
		until(t, "the second pass", time.Minute, func() bool { return strings.Count(strings.Join(c.records(id), " "), "copying") == 2 })
		disks, err := the.Node(from).Virsh(t.Context(), "domblklist", s.Name)
		if err != nil || !strings.Contains(disks, s.Disks[0].Path()+".pass-"+id+"-2") {
			t.Errorf("the guest does not write to a second overlay: %v\n%s", err, disks)
		}
		return id
	}
	whole := func(id, node, word string) {
		t.Helper()
		at, bad := s.judge(t.Context())
		if at != node || len(bad) > 0 {
			c.fail(t, id, append(bad, "it is on "+at))
		}
		out, err := the.Node(node).Exec(t.Context(), "qemu-img", "info", "-U", "--output=json", s.Disks[0].Path())
		var info map[string]any
		if err == nil {
			err = json.Unmarshal([]byte(out), &info)
		}
		if err != nil || info["backing-filename"] != nil {
			t.Errorf("it is not one image: %v\n%s", err, out)
		}
		text, err := the.ReadGuestFile(t.Context(), node, s.Disks[0].Path(), "/bulk")
		if want := strings.Repeat(word+"\n", bulk/(len(word)+1)+1)[:bulk]; err != nil || text != want {
			t.Errorf("%d bytes that the guest wrote during the passes are others (%v)", len(text), err)
		}
	}

	stop := observe(s)
	id := twice("first")
	c.must(0, "abort", id, "--yes")
	if r := result(t, c.run("job", id, "-o", "json").out); r.Outcome != "undone" || r.Owner != from {
		t.Errorf("%+v", r)
	}
	stop()
	whole(id, from, "first")

	stop = observe(s)
	id = twice("second")
	c.must(0, "tune", id, "--bandwidth", "0")
	if r := result(t, c.run("job", id, "-o", "json").out); r.Outcome != "done" || r.Owner != to {
		t.Errorf("%+v", r)
	}
	stop()
	whole(id, to, "second")
}
