//go:build lab

package fleet

import (
	"context"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// TestLabMigrate makes the five calls, with the copy of the disk, back and forth.
func TestLabMigrate(t *testing.T) {
	l, cfg := openLab(t)
	f := openFleet(t, cfg)
	n1, n2 := node(t, f, "node1"), node(t, f, "node2")
	waitUp(t, n1, 30*time.Second)
	waitUp(t, n2, 30*time.Second)
	v, ok := l.VM("web")
	if !ok {
		t.Fatal("no VM web")
	}
	uuid := model.UUID(v.UUID)
	src, dst := n1, n2
	if c, err := n2.Poll(t.Context()); err != nil {
		t.Fatal(err)
	} else if s, _ := c.Status(t.Context(), uuid); s.Live() {
		src, dst = n2, n1
	}
	abortMove(t, src, dst, uuid)
	for range 2 {
		moveVM(t, src, dst, uuid)
		src, dst = dst, src
	}
}

// abortMove begins a slow move and aborts it: the source runs on, nothing is
// left on the target but the volume that libvirt made.
func abortMove(t *testing.T, from, to *Node, uuid model.UUID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	src, err := from.Dial(ctx)
	ok(err)
	defer src.Close()
	dst, err := to.Dial(ctx)
	ok(err)
	defer dst.Close()
	other, err := from.Act(ctx)
	ok(err)
	p := virt.MigrateParams{DestName: "web", MigrateURI: "tcp://" + to.MigrateAddress(), Disks: []string{"vda"}, Bandwidth: 1}
	cookie, xml, err := src.MigrateBegin(ctx, uuid, p, moveFlags)
	ok(err)
	p.DestXML = xml
	cookie, uri, err := dst.MigratePrepare(ctx, p, cookie, moveFlags)
	ok(err)
	if uri != "" {
		p.MigrateURI = uri
	}
	performed := make(chan error, 1)
	go func() {
		_, err := src.MigratePerform(ctx, uuid, p, cookie, moveFlags)
		performed <- err
	}()
	for {
		s, err := other.JobStats(ctx, uuid)
		ok(err)
		if s.Active() && s.DiskTotal > 0 {
			t.Logf("limited: disk %d/%d at %d bytes/s", s.DiskProcessed, s.DiskTotal, s.DiskBps)
			break
		}
	}
	if found, job, err := other.BlockJob(ctx, uuid, "vda"); err != nil || !found {
		t.Errorf("block job %v %+v %v", found, job, err)
	}
	ok(other.SetBlockJobSpeed(ctx, uuid, "vda", 3<<20))
	answer, err := other.QMP(ctx, uuid, "query-block-jobs", nil)
	if err != nil || !strings.Contains(string(answer), `"speed":3145728`) {
		t.Errorf("%s %v", answer, err)
	}
	ok(other.SetMaxSpeed(ctx, uuid, 0))
	ok(other.SetMaxDowntime(ctx, uuid, 900*time.Millisecond))
	ok(other.AbortJob(ctx, uuid))
	err = <-performed
	t.Log(err)
	if _, answered := virt.Code(err); !answered || virt.Unknown(err) {
		t.Errorf("perform after abort: %v", err)
	}
	if _, err := dst.MigrateFinish(ctx, p, nil, moveFlags, true); err != nil && !virt.IsNoDomain(err) {
		t.Error(err)
	}
	if s, err := other.Status(ctx, uuid); err != nil || s.State != model.StateRunning || s.JobActive {
		t.Errorf("source after abort: %+v %v", s, err)
	}
	if s, err := dst.Status(ctx, uuid); err != nil || s.State != model.StateMissing {
		t.Errorf("target after abort: %+v %v", s, err)
	}
	ok(dst.RefreshPool(ctx, "images"))
	ok(dst.DeleteVolume(ctx, "/var/lib/libvirt/images/web.qcow2"))
}

const moveFlags = virt.MigrateLive | virt.MigratePersistDest | virt.MigratePaused | virt.MigrateNonSharedDisk |
	virt.MigrateAbortOnError | virt.MigrateAutoConverge | virt.MigrateChangeProtection

func moveVM(t *testing.T, from, to *Node, uuid model.UUID) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	src, err := from.Dial(ctx)
	ok(err)
	defer src.Close()
	dst, err := to.Dial(ctx)
	ok(err)
	defer dst.Close()
	poll, err := from.Poll(ctx)
	ok(err)

	protect, err := src.SupportsFeature(ctx, 7)
	ok(err)
	if !protect {
		t.Error("no change protection")
	}
	const flags = moveFlags
	p := virt.MigrateParams{DestName: "web", MigrateURI: "tcp://" + to.MigrateAddress(), Disks: []string{"vda"}}
	began := time.Now()
	step := func(what string) { t.Logf("%6.2f s  %s", time.Since(began).Seconds(), what) }

	cookie, xml, err := src.MigrateBegin(ctx, uuid, p, flags)
	ok(err)
	step("begun")
	if s, err := poll.Status(ctx, uuid); err != nil || !s.JobActive {
		t.Errorf("after Begin: %+v %v", s, err)
	}
	p.DestXML = xml
	cookie, uri, err := dst.MigratePrepare(ctx, p, cookie, flags)
	ok(err)
	step("prepared " + uri)
	if uri != "" {
		p.MigrateURI = uri
	}
	performed := make(chan error, 1)
	go func() {
		var err error
		cookie, err = src.MigratePerform(ctx, uuid, p, cookie, flags)
		performed <- err
	}()
	watchJob(t, ctx, poll, uuid, performed)
	step("performed")
	for _, c := range []*virt.Conn{poll, dst} {
		s, err := c.Status(ctx, uuid)
		ok(err)
		if s.State != model.StatePaused || s.Reason != "migration" {
			t.Errorf("after Perform: %v", s)
		}
	}
	cookie, err = dst.MigrateFinish(ctx, p, cookie, flags, false)
	ok(err)
	s, err := dst.Status(ctx, uuid)
	ok(err)
	step("finished: " + s.String())
	if s.State != model.StatePaused || s.Reason != "user" || !s.Persistent {
		t.Errorf("after Finish: %+v", s)
	}
	ok(dst.Resume(ctx, uuid))
	step("resumed")
	ok(src.MigrateConfirm(ctx, uuid, p, cookie, flags, false))
	step("confirmed")
	s, err = src.Status(ctx, uuid)
	ok(err)
	if s.State != model.StateShutoff || s.Reason != "migrated" || s.JobActive {
		t.Errorf("source after Confirm: %+v", s)
	}
	done, err := dst.CompletedJobStats(ctx, uuid)
	ok(err)
	t.Logf("downtime %v, memory %d MiB, setup %v", done.Downtime, done.MemProcessed>>20, done.SetupTime)
	if done.Type != virt.JobCompleted || done.Downtime == 0 {
		t.Errorf("completed stats: %+v", done)
	}
	info, found, err := src.VolumeByPath(ctx, "/var/lib/libvirt/images/web.qcow2")
	t.Logf("source volume: %+v %v %v", info, found, err)
	ok(src.Undefine(ctx, uuid, virt.UndefineOptions{KeepNVRAM: true, KeepTPM: true}))
	ok(src.RefreshPool(ctx, "images"))
	ok(src.DeleteVolume(ctx, "/var/lib/libvirt/images/web.qcow2"))
	if s, err := src.Status(ctx, uuid); err != nil || s.State != model.StateMissing {
		t.Errorf("source after undefine: %v %v", s, err)
	}
}

func watchJob(t *testing.T, ctx context.Context, c *virt.Conn, uuid model.UUID, performed chan error) {
	t.Helper()
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-performed:
			if err != nil {
				t.Fatal(err)
			}
			return
		case <-tick.C:
			s, err := c.JobStats(ctx, uuid)
			if err != nil {
				t.Error(err)
				continue
			}
			t.Logf("%s %s disk %d/%d memory %d/%d iteration %d", s.Type, s.Operation, s.DiskProcessed>>20, s.DiskTotal>>20,
				s.MemProcessed>>20, s.MemTotal>>20, s.MemIteration)
		}
	}
}
