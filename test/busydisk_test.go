//go:build lab

package test

import (
	"fmt"
	"testing"
	"time"

	"horcrux/lab"
)

// TestABusyDisk: a guest that writes its disk faster than the limit lets it be
// copied. Its QEMU outlives a mirror that is ended before its time, by an abort
// or with the job's process; and what does not converge is noticed, so that by
// the policy suspend the move ends whole.
func TestABusyDisk(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wbusy", Agent: true, WriteRate: 8, Disks: []lab.DiskSpec{{SizeMiB: 96, FillMiB: 48}}})
	stopAfter(t, s.Name)
	to, c := other(from), newConsole(t)
	judged := func(id, want string) {
		t.Helper()
		if now, bad := s.judge(t.Context()); now != want || len(bad) > 0 {
			c.fail(t, id, append(bad, fmt.Sprintf("it is on %s", now)))
		}
	}
	for _, how := range []string{"aborted", "killed", "aborted", "killed"} {
		stop := observe(s)
		id := c.start(s.Name, to, "--bandwidth", "4")
		c.copied(id, "disk")
		if how == "killed" {
			c.kill(id)
			if _, err := c.settleAll(2 * time.Minute); err != nil {
				t.Fatal(err)
			}
		} else {
			c.must(0, "abort", id, "--yes")
			until(t, "the end of the job", time.Minute, func() bool { return c.worker(id) == 0 })
		}
		stop()
		judged(id, from)
	}
	stop := observe(s)
	id := c.start(s.Name, to, "--bandwidth", "4", "--policy", "suspend")
	until(t, "the copy of a disk that does not end is noticed", 6*time.Minute, func() bool {
		return c.logged(id, "the guest writes to them as fast as they are copied") || c.worker(id) == 0
	})
	// What is left is the memory, at a limit that has shown what it is for.
	c.must(0, "tune", id, "--bandwidth", "0")
	c.reach(id, "done")
	stop()
	judged(id, to)
}
