//go:build lab

package test

import (
	"context"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestDiskProof: what a live move says it compared, it compared. The images of one
// of the lab's hosts are on a file system that makes snapshots of files (XFS), those
// of the other on one that does not (ext4).
func TestDiskProof(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wproof", Agent: true, Disks: []lab.DiskSpec{{FillMiB: 24}, {Format: "raw", FillMiB: 8}, {Format: "qcow2", Backing: "raw", FillMiB: 8}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	cow, flat := "", ""
	for _, n := range []string{from, other(from)} {
		fs, err := the.Node(n).Exec(t.Context(), "stat", "-f", "-c", "%T", "/var/lib/libvirt/images")
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(fs) == "xfs" {
			cow = n
		} else {
			flat = n
		}
	}
	if cow == "" || flat == "" {
		t.Fatal("the hosts' file systems are of one kind: does this kernel know XFS?")
	}
	move := func(to, proof string, args ...string) {
		t.Helper()
		stop := observe(s)
		id, o := c.move(s, to, args...)
		stop()
		now, bad := s.judge(t.Context())
		if o.code != 0 || now != to || len(bad) > 0 {
			c.fail(t, id, append(bad, "on "+now+": "+o.out+o.errOut))
		}
		if said := c.must(0, "job", id, "-o", "json").out; !strings.Contains(said, proof) {
			t.Errorf("to %s %v: the proof is not %q: %s", to, args, proof, said)
		}
	}
	const none = "sizes compared at the gate, and no more: no snapshot of /var/lib/libvirt/images/wproof"
	const equal = "sha256 of 3 disk(s) equal on both nodes as the guest sees them"
	if from == cow {
		move(flat, none)
	}
	move(cow, equal)
	move(flat, none)
	move(cow, "what was written since: sha256 of 3 disk(s) equal", "--mode", "block")
	// A guest that stays paused can wait for the comparison on any file system.
	if _, err := the.Node(cow).Virsh(t.Context(), "suspend", s.Name); err != nil {
		t.Fatal(err)
	}
	s.want = "paused"
	move(flat, equal)
	if _, err := the.Node(flat).Virsh(t.Context(), "resume", s.Name); err != nil {
		t.Fatal(err)
	}
	s.want = "running"

	// One block of the snapshot is damaged before it is read: the move must not let
	// go of the source's disks, although it was told to.
	id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", cow, "--yes", "--detach").out)
	if !c.wrote(id, "snapped", time.Minute) {
		t.Fatalf("no snapshots were made: %v", c.records(id))
	}
	snapshot := s.Disks[1].Path() + ".gate-" + id
	if _, err := the.Node(cow).Exec(t.Context(), "dd", "if=/dev/urandom", "of="+snapshot, "bs=4096", "count=1", "seek=100", "conv=notrunc,nocreat", "oflag=direct", "status=none"); err != nil {
		t.Fatal(err)
	}
	until(t, "the move ends", time.Minute, func() bool { return c.worker(id) == 0 })
	said := c.run("job", id, "-o", "json").out
	if r := result(t, said); r.Outcome != "degraded" || !strings.Contains(r.Reason, "vdb on "+cow+" differs from that on "+flat) {
		t.Errorf("%+v", r)
	}
	if kept, err := the.Node(flat).Exec(t.Context(), "ls", s.Disks[1].Path()+".migrated-"+id); err != nil {
		t.Errorf("%s let go of its disk: %s %v", flat, kept, err)
	}
	// The guest itself is well, and goes back as it is.
	c.must(0, "rollback", id, "--yes")
	if _, err := c.settleAll(time.Minute); err != nil {
		t.Error(err)
	}
	if now, bad := s.judge(context.WithoutCancel(t.Context())); now != flat || len(bad) > 0 {
		c.fail(t, id, append(bad, "on "+now))
	}
}
