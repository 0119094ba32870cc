package uitest

import (
	"errors"
	"time"

	"horcrux/engine/model"
)

// Plan answers a request as a pre-flight might: node2 passes, node1 passes,
// node3 warns and has no room for a disk if the VM is big, others fail.
func Plan(c model.Cluster, now time.Time, r model.Request) (model.Plan, error) {
	if r.To == "node5" {
		return model.Plan{}, errors.New("cannot read the capabilities of node5: libvirt does not answer after 10s")
	}
	var vm model.VM
	for _, v := range c.VMs {
		if v.UUID == r.VM {
			vm = *v
		}
	}
	p := model.Plan{
		Request: r, VMName: vm.Name, Made: now, Was: model.DomainStatus{State: vm.State, Reason: vm.Reason}, Memory: vm.Memory,
		ModeReason: "it runs, and the CPUs of both nodes agree: the guest runs on while it moves",
		CopyBytes:  18 * gib, Forecast: 3*time.Minute + 20*time.Second, MigrateHost: "10.77.0.12",
		Findings: []model.Finding{
			{ID: "reach", Title: "both nodes answer", Verdict: model.Pass, Detail: string(r.From) + " in 3 ms, " + string(r.To) + " in 4 ms"},
			{ID: "cpu", Title: "CPU", Verdict: model.Pass, Detail: "the target has every feature of EPYC-Milan that the guest uses"},
			{ID: "memory", Title: "memory", Verdict: model.Pass, Detail: "the guest needs 4.0 GiB, the target has 79 GiB free"},
			{ID: "network", Title: "networks", Verdict: model.Pass, Detail: "br-lan is there"},
			{ID: "name", Title: "name and UUID", Verdict: model.Pass, Detail: "neither is taken on the target"},
			{ID: "snapshots", Title: "snapshots", Verdict: model.Skip, Detail: "it has none"},
		},
		Disks: []model.DiskPlan{
			{Disk: vm.Disks[0], Decision: model.DiskCopy, Reason: "only on " + string(r.From), Pool: "default", Path: vm.Disks[0].Source, Create: true},
			{Disk: vm.Disks[1], Decision: model.DiskShared, Reason: "a mark written through " + string(r.From) + " was read through " + string(r.To)},
			{Disk: vm.Disks[2], Decision: model.DiskEmpty, Reason: "an empty drive"},
		},
		Steps: []model.PlanStep{
			{Phase: model.PhasePreflight, Text: "take the baseline of the eight checks on " + string(r.From)},
			{Phase: model.PhasePrepare, Text: "make the volume of vda on " + string(r.To) + ", 40 GiB"},
			{Phase: model.PhasePrepare, Text: "let " + string(r.To) + " wait for the guest"},
			{Phase: model.PhaseDisks, Text: "copy vda, 18 GiB, while the guest runs"},
			{Phase: model.PhaseMemory, Text: "copy 4.0 GiB of memory while the guest runs"},
			{Phase: model.PhaseGate, Text: "stop both sides, look at the target"},
			{Phase: model.PhaseSwitch, Text: "let " + string(r.To) + " take over"},
			{Phase: model.PhaseVerify, Text: "make the eight checks again and compare"},
			{Phase: model.PhaseConfirm, Text: "wait for your word, then let go of what is left on " + string(r.From)},
		},
	}
	switch {
	case r.To == "node3" && vm.Memory > 8*gib:
		p.Findings[2] = model.Finding{ID: "memory", Title: "memory", Verdict: model.Fail, Detail: "the guest needs more than the 4.5 GiB that node3 has free", Remedy: "free memory on node3, or choose another target"}
	case r.To == "node3":
		p.Findings[1] = model.Finding{ID: "cpu", Title: "CPU", Verdict: model.Warn, Detail: "node3 is 88 % busy", Remedy: "wait for the builds on ci-runner-1 to end"}
		p.Forecast = 9 * time.Minute
	}
	return p, nil
}
