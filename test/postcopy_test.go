//go:build lab

package test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// slow is a guest that dirties its memory faster than the limited cable of its
// host carries it.
//
// Its disk has a thread of its own: when QEMU's main thread needs memory that
// has not come, its monitor is dead until the memory is there, and then neither
// libvirt nor anybody else can start a broken post-copy again.
var slow = lab.VMSpec{
	Name: "slow", MemoryMiB: 192, DirtyMiB: 40, DirtyRate: 60,
	Disks: []lab.DiskSpec{{IOThread: true}}, DomainXML: "<iothreads>1</iothreads>",
}

const cable = 12 << 20 // bytes a second

// switchOver begins a move whose cable is too thin and waits until it has
// switched to post-copy. After the first pass the cable is made thinner still:
// a guest on a busy machine dirties little, and there must be time to break
// something afterwards.
func switchOver(t *testing.T) (m *moving, from, to string) {
	t.Helper()
	allowPostCopy(t)
	ensure(t, slow)
	from = home(t, slow.Name)
	to = other(from)
	if err := the.Node(from).LimitRate(cable); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = the.Node(from).UnlimitRate() })
	m = begin(t, slow.Name, to, "--policy", "post-copy", "--no-auto-converge", "--max-downtime", "200ms")
	m.reach("the second pass", 3*time.Minute, func(l line) bool { return l.Iteration > 1 })
	if err := the.Node(from).LimitRate(cable / 4); err != nil {
		t.Fatal(err)
	}
	m.reach("why it will not converge", 3*time.Minute, func(l line) bool { return strings.Contains(l.Diverging, "post-copy") })
	m.reach("the post-copy", 3*time.Minute, saysLog("switches to post-copy"))
	m.reach("the guest on the target", time.Minute, func(l line) bool {
		return isPhase("switch", "active")(l) && strings.Contains(l.Detail, "fetches")
	})
	return m, from, to
}

// allowPostCopy lets QEMU fetch memory as somebody else than root, as an admin of
// such nodes has to. The hosts of a lab share the machine's kernel.
func allowPostCopy(t *testing.T) {
	t.Helper()
	const file = "/proc/sys/vm/unprivileged_userfaultfd"
	was, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		err = os.WriteFile(file, []byte("1"), 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.WriteFile(file, was, 0) })
}

// arrived checks that the guest runs on the target alone, in the boot it was in.
func arrived(t *testing.T, from, to string) {
	t.Helper()
	if home(t, slow.Name) != to {
		t.Errorf("it is not on %s", to)
	}
	absent(t, slow.Name, from)
	beats(t, slow.Name, to, imageDir+slow.Name+".qcow2")
}

// H7 without a break, and: an abort is refused with words while it lasts.
func TestPostCopy(t *testing.T) {
	end := watching(t, slow.Name)
	m, from, to := switchOver(t)
	if out := said(t, 1, "abort", m.id, "--yes"); !strings.Contains(out, "post-copy is under way") {
		t.Errorf("the refusal of an abort says: %s", out)
	}
	_ = the.Node(from).UnlimitRate()
	if _, r := m.end(); r.Outcome != "done" || r.Owner != to || r.Downtime == 0 {
		t.Errorf("%+v", r)
	}
	end()
	arrived(t, from, to)
}

// H6: the network breaks during post-copy, twice, and it goes on by itself. With
// QEMU 7.2 it does not: the monitor of a target whose main thread waits for a
// page does not answer, so nothing can be resumed there; nor with libvirt 11.3,
// which would die of it: `make test-long RELEASE=sid`.
func TestPostCopyGoesOnAfterTheNetworkBroke(t *testing.T) {
	end := watching(t, slow.Name)
	m, from, to := switchOver(t)
	for range 2 {
		if err := the.Node(to).BlockPeers(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = the.Node(to).UnblockPeers(t.Context()) })
		m.reach("the break", 2*time.Minute, saysLog("broke off"))
		if err := the.Node(to).UnblockPeers(t.Context()); err != nil {
			t.Fatal(err)
		}
		m.reach("going on", 3*time.Minute, saysLog("goes on"))
	}
	_ = the.Node(from).UnlimitRate()
	if _, r := m.end(); r.Outcome != "done" || r.Owner != to {
		t.Errorf("%+v", r)
	}
	end()
	arrived(t, from, to)
}

// H7: nobody attends to the post-copy; QEMU ends it, recover settles it.
func TestPostCopyUnattended(t *testing.T) {
	end := watching(t, slow.Name)
	m, from, to := switchOver(t)
	killWorker(t, m.id)
	_ = the.Node(from).UnlimitRate()
	until(t, "the end of the post-copy", 2*time.Minute, func() bool {
		return !strings.Contains(domstate(t, slow.Name, to)+domstate(t, slow.Name, from), "post-copy")
	})
	must(t, 0, "recover")
	must(t, 0, "confirm", m.id, "--yes")
	end()
	arrived(t, from, to)
}

// H5: the source's QEMU dies during post-copy. Nothing is stopped by us, and a
// person is told.
func TestPostCopySourceDies(t *testing.T) {
	m, from, to := switchOver(t)
	t.Cleanup(func() { drop(t, slow.Name) })
	if err := the.Node(from).Kill(t.Context(), lab.OfVM(slow.Name)); err != nil {
		t.Fatal(err)
	}
	_, r := m.end()
	if r.Outcome != "needs-person" || r.Owner != to || !strings.Contains(r.Reason, "power-cycle") {
		t.Errorf("%+v", r)
	}
	if s := domstate(t, slow.Name, to); !strings.Contains(s, "running (post-copy") {
		t.Errorf("on %s it is %s", to, s)
	}
}

func domstate(t *testing.T, vm, node string) string {
	t.Helper()
	s, err := the.Node(node).Virsh(t.Context(), "domstate", "--reason", vm)
	if err != nil {
		return "missing"
	}
	return strings.TrimSpace(s)
}

// drop ends a VM whose test has broken it, and removes what is left of it.
func drop(t *testing.T, vm string) {
	t.Helper()
	for _, n := range the.Nodes {
		_, _ = n.Virsh(context.Background(), "destroy", vm)
		_, _ = n.Virsh(context.Background(), "undefine", vm, "--nvram")
	}
}
