package plan

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

func TestUnreachableSaysOnlyThat(t *testing.T) {
	in := good()
	in.dst = HostFacts{Name: "node2", Reason: "no route to host"}
	p := in.plan()
	if d := cmp.Diff([]string{"target-reachable", "source-reachable"}, ids(p)); d != "" {
		t.Error(d)
	}
	if p.Blocking() == nil || len(p.Disks) > 0 {
		t.Errorf("got %+v", p)
	}
}

func TestOrderOfFindings(t *testing.T) {
	in := good()
	in.dst.CPUs, in.dst.Libvirt, in.vm.Snapshots, in.dst.MemFree = 1, "8.0.0", 1, 0
	p := in.plan()
	if d := cmp.Diff([]string{"snapshots", "memory", "vcpus", "libvirt-version"}, ids(p)[:4]); d != "" {
		t.Error(d)
	}
	last := 3
	for _, f := range p.Findings {
		if w := weight(f.Verdict); w > last {
			t.Errorf("%s (%s) comes too late", f.ID, f.Verdict)
		} else {
			last = w
		}
	}
}

func TestForecast(t *testing.T) {
	tests := []struct {
		bandwidth, rate uint64
		want            time.Duration
	}{
		{0, 0, 0},
		{1024, 0, 6 * time.Second},
		{0, 2 * gib, 3 * time.Second},
		{1024, 2 * gib, 6 * time.Second},
		{4096, 2 * gib, 3 * time.Second},
	}
	for _, tt := range tests {
		in := good()
		in.r.Options.Bandwidth, in.dst.Rate = tt.bandwidth, tt.rate
		if got := in.plan().Forecast; got != tt.want {
			t.Errorf("bandwidth %d, rate %d: %v, want %v", tt.bandwidth, tt.rate, got, tt.want)
		}
	}
}

// What is pasted into a shell must not be more than one word per name.
func TestCommandsAreQuoted(t *testing.T) {
	in := good()
	in.vm.Domain.Name, in.vm.Snapshots = "a; reboot", 1
	if r := find(t, in.plan(), "snapshots").Remedy; !strings.Contains(r, "virsh snapshot-list 'a; reboot'") {
		t.Error(r)
	}
}

// Nothing known of the target: never a pass by accident, never a panic.
func TestKnowingNothing(t *testing.T) {
	in := good()
	in.dst = HostFacts{Name: "node2", Reachable: true}
	in.proofs = nil
	p := in.plan()
	for _, id := range []string{"memory", "protocol", "disk-vda", "disk-vdb"} {
		if f := find(t, p, id); f.Verdict != model.Fail {
			t.Errorf("%s is %s: %s", id, f.Verdict, f.Detail)
		}
	}
	for _, id := range []string{"same-host", "arch", "virt-type", "emulator", "machine", "cpu", "nic-1", "nic-2", "libvirt-version", "qemu-version", "migrate-address"} {
		if f := find(t, p, id); f.Verdict != model.Warn {
			t.Errorf("%s is %s: %s", id, f.Verdict, f.Detail)
		}
	}
}

// Make is a function: the same facts give the same plan, and are not changed.
func TestMakeIsPure(t *testing.T) {
	in, again := good(), good()
	in.vm.Domain.Disks[1].Mirror, again.vm.Domain.Disks[1].Mirror = true, true
	a, b := in.plan(), in.plan()
	if d := cmp.Diff(a, b); d != "" {
		t.Error(d)
	}
	if !reflect.DeepEqual(in, again) {
		t.Error("the facts were changed")
	}
}

func TestSteps(t *testing.T) {
	in := good()
	in.vm.Autostart = true
	in.r.Options = model.Options{Bandwidth: 100, MaxDowntime: 300 * time.Millisecond, AutoConverge: true, AutoConfirm: true}
	text := words(in.plan())
	for _, want := range []string{
		"switch autostart off on node1", "create " + image + " (qcow2, 20 GiB) in the pool images of node2", "have node2 wait for the VM at 10.0.0.2",
		"copy vda, 4.0 GiB of 20 GiB, while the guest runs on", "leave 1 disk where both nodes see it",
		"send 2.0 GiB of memory, at most 100 MiB/s; slow the guest down", "overrule libvirt's own test",
		"let the VM run on node2", "at most 300ms", "if all checks pass, remove what is left on node1: the definition and 1 disk",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	in = good()
	in.vm.Status = state(model.StatePaused, "user")
	in.vm.Domain.Disks = in.vm.Domain.Disks[1:2]
	in.dst.MigrateAddr = ""
	text = words(in.plan())
	for _, want := range []string{"have node2 wait for the VM\n", "still paused as its user left it", "until you confirm: the definition\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func words(p model.Plan) string {
	var b strings.Builder
	for _, s := range p.Steps {
		fmt.Fprintf(&b, "%s: %s\n", s.Phase, s.Text)
	}
	return b.String()
}
