// Package plan is the pre-flight of a move: facts about two nodes and a VM go
// in, findings, a decision for every disk and the steps come out.
//
// It is pure: it asks no host, reads no clock and changes nothing, so every
// rule is a line of a table in its tests. What is not known is never taken for
// good news: where ignorance could cost data or a running VM it forbids the
// move, elsewhere it is a warning.
//
// The rule for overruling libvirt's own test of shared storage (Plan.Unsafe):
// libvirt knows a few shared file systems by name and refuses the others with
// error 81. It is overruled only if at least one disk needs it, and every disk
// that is written and not copied is either on the network or was proved shared
// by a mark and has the cache mode none or directsync. QEMU's default cache is
// writeback, so a disk without a cache mode counts as unsafe. Read-only media do
// not take part: libvirt does not look at them.
package plan

import (
	"slices"
	"time"

	"horcrux/engine/model"
)

// facts is all that a rule may look at.
type facts struct {
	r        model.Request
	vm       VMFacts
	src, dst HostFacts
	proofs   SharedProof
	// disks are the decisions; they are made before the other rules are asked.
	disks []model.DiskPlan
	// files go over as files, in this order.
	files []model.FilePlan
	// tls tells that QEMU encrypts, tlsName under which name the target is known
	// then, tlsWhy why it does not.
	tls     bool
	tlsName string
	tlsWhy  error
	// way is how memory and disks travel, empty if none do.
	way    model.DataPath
	wayWhy string
}

// rule looks at one thing and says what it saw: nothing if the VM has none of
// it.
type rule func(*facts) []model.Finding

// rules in the order of what decides most. A finding that is worse still comes
// before one that is better.
var rules = []rule{
	modeRule, namesRule, sameHostRule, stateRule, markRule, jobRule, blockJobRule, clashRule, snapshotRule, managedSaveRule,
	archRule, virtTypeRule, emulatorRule, machineRule, cpuRule, hostDeviceRule, tpmRule, hugepagesRule,
	diskRule, cacheRule, spaceRule, networkRule, rightsRule, bootFileRule, nvramRule, memoryRule, vcpuRule,
	featureRule, versionRule, addressRule, dataPathRule, transientRule, agentRule, streamRule, encryptionRule,
}

// Make plans one move. It always returns a plan; whether it may be carried out
// is for its Verdict to say. Findings are ordered from the most to the least
// decisive.
func Make(r model.Request, vm VMFacts, src, dst HostFacts, proofs SharedProof, now time.Time) model.Plan {
	d := vm.Domain
	p := model.Plan{
		Request: r, VMName: d.Name, Made: now, Was: vm.Status, Autostart: vm.Autostart,
		Transient: vm.Status.Live() && !vm.Status.Persistent, Memory: d.Memory, MemFree: freeFor(dst),
		ActiveXML: vm.ActiveXML, InactiveXML: vm.InactiveXML, TargetXML: vm.TargetXML, MigrateHost: dst.MigrateAddr,
	}
	f := &facts{r: r, vm: vm, src: src, dst: dst, proofs: proofs}
	p.Findings = reachableRule(f)
	if !src.Reachable || !dst.Reachable {
		// Nothing else is known; guesses would bury the one thing that matters.
		return p
	}
	f.disks = decideDisks(f)
	f.files = filesOf(f, f.disks)
	p.Disks, p.Files = f.disks, f.files
	f.way, f.wayWhy = chooseWay(f, now)
	p.Way, p.WayReason = f.way, f.wayWhy
	if MovesMemory(r) {
		f.tls, f.tlsName, f.tlsWhy = secure(f, now)
		p.Encrypted, p.TLSName = f.tls, f.tlsName
		p.Travels = travels(f)
	}
	p.ModeReason = modeReason(f)
	for _, rule := range f.rules() {
		p.Findings = append(p.Findings, rule(f)...)
	}
	slices.SortStableFunc(p.Findings, func(a, b model.Finding) int { return weight(b.Verdict) - weight(a.Verdict) })
	p.Unsafe = overrule(f.disks)
	for _, c := range p.Copies() {
		if !byFile(r.Mode) {
			p.CopyBytes += c.Allocation
		}
	}
	for _, file := range f.files {
		if !file.Present {
			p.CopyBytes += file.Allocation
		}
	}
	p.Forecast = forecast(p, dst.Rate)
	if p.Verdict() != model.Fail {
		p.Steps = steps(p, dst.Rate)
	}
	return p
}

func weight(v model.Verdict) int {
	switch v {
	case model.Fail:
		return 3
	case model.Warn:
		return 2
	case model.Pass:
		return 1
	}
	return 0
}

// forecast is how long the data takes at the given limit or the measured rate,
// whichever is lower; memory that is written meanwhile comes on top of it.
func forecast(p model.Plan, rate uint64) time.Duration {
	if rate = rateOf(p.Options, rate); rate == 0 {
		return 0
	}
	return time.Duration(float64(p.CopyBytes+p.Memory) / float64(rate) * float64(time.Second)).Round(time.Second)
}
