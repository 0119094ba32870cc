package plan

import (
	"fmt"
	"slices"
	"strings"

	"horcrux/engine/model"
)

func archRule(f *facts) []model.Finding {
	const id, title = "arch", "architecture"
	want := f.vm.Domain.Arch
	switch {
	case f.dst.VirtTypes != nil && len(f.dst.VirtTypes) == 0, f.dst.Arch != "" && f.dst.VirtTypes == nil && f.dst.Arch != want:
		return one(fail(id, title, fmt.Sprintf("%s (%s) runs no guests for %s", f.dst.Name, f.dst.Arch, want), "choose another target"))
	case f.dst.Arch == "" && f.dst.VirtTypes == nil:
		return one(warn(id, title, fmt.Sprintf("that of %s is not known", f.dst.Name), "horcrux doctor"))
	}
	return one(pass(id, title, "%s", want))
}

func virtTypeRule(f *facts) []model.Finding {
	const id, title = "virt-type", "virtualisation"
	want := f.vm.Domain.Type
	switch {
	case f.dst.VirtTypes == nil:
		return one(warn(id, title, fmt.Sprintf("whether %s has %s is not known", f.dst.Name, want), "horcrux doctor"))
	case !slices.Contains(f.dst.VirtTypes, want):
		remedy := "choose another target"
		if want == "kvm" {
			remedy = fmt.Sprintf("switch on virtualisation in the firmware of %s and load the kvm module", f.dst.Name)
		}
		return one(fail(id, title, fmt.Sprintf("the VM needs %s, and %s has %s", want, f.dst.Name, orNone(f.dst.VirtTypes)), remedy))
	case losesWrites(f):
		return one(warn(id, title, fmt.Sprintf("%s emulates the VM's CPU, and QEMU %s then misses some of what the guest writes to its memory while it is moved; about one guest in 150 was seen to panic afterwards", f.src.Name, f.src.QEMU),
			"--mode online pauses the guest for that time; QEMU 9.0 and KVM do not have this fault"))
	}
	return one(pass(id, title, "%s", want))
}

// losesWrites tells of a fault of QEMU before 9.0 without KVM: where the RAM is a
// multiple of 64 pages, the pages that were written are collected without a word
// to the virtual CPU's TLB, and what is then written through it is not sent
// ("physmem: Fix migration dirty bitmap coherency with TCG memory access").
func losesWrites(f *facts) bool {
	const stride = 64 * 4096
	v, ok := parseVersion(f.src.QEMU)
	runs := f.vm.Status.State == model.StateRunning &&
		(f.r.Mode == model.ModeLive || f.r.Mode == model.ModeBlock && f.r.Options.Finish != model.FinishStop)
	return f.vm.Domain.Type == "qemu" && runs && ok && v[0] < 9 && f.vm.BaseRAM > 0 && f.vm.BaseRAM%stride == 0
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return list(words)
}

func emulatorRule(f *facts) []model.Finding {
	const id, title = "emulator", "emulator"
	want := f.vm.Domain.Emulator
	switch {
	case want == "":
		return nil
	case f.dst.Emulators == nil:
		return one(warn(id, title, fmt.Sprintf("whether %s has %s is not known", f.dst.Name, want), "horcrux doctor"))
	case slices.Contains(f.dst.Emulators, want):
		return one(pass(id, title, "%s", want))
	case f.dst.Files[want]:
		return one(warn(id, title, fmt.Sprintf("%s has %s, and libvirt does not list it among its emulators", f.dst.Name, want), "make sure that it is the same QEMU on both"))
	case !slices.Contains(f.src.Emulators, want) && !known(f.dst.Files, want):
		return one(warn(id, title, fmt.Sprintf("the VM runs on %s, which is not libvirt's choice on either node; whether %s has it is not known", want, f.dst.Name), "see there"))
	}
	return one(fail(id, title, fmt.Sprintf("the VM runs on %s, and %s has %s", want, f.dst.Name, orNone(f.dst.Emulators)),
		fmt.Sprintf("make a link of that name on %s, or name another emulator in the VM's definition and restart it", f.dst.Name)))
}

func known(files map[string]bool, path string) bool {
	_, ok := files[path]
	return ok
}

func machineRule(f *facts) []model.Finding {
	const id, title = "machine", "machine type"
	want := f.vm.Domain.Machine
	switch {
	case f.dst.Machines == nil:
		return one(warn(id, title, fmt.Sprintf("whether %s has %s is not known", f.dst.Name, want), "horcrux doctor"))
	case !slices.Contains(f.dst.Machines, want):
		return one(fail(id, title, fmt.Sprintf("%s (QEMU %s) does not have %s", f.dst.Name, f.dst.QEMU, want),
			fmt.Sprintf("update QEMU on %s, or give the VM a machine type that both have and restart it", f.dst.Name)))
	}
	return one(pass(id, title, "%s", want))
}

// cpuRule goes by libvirt's own comparison on the target. A guest that sees the
// host's CPU as it is must find the same one: a superset would show it other
// features after its next reboot, or take some away while it runs.
func cpuRule(f *facts) []model.Finding {
	const id, title = "cpu", "CPU"
	d, c := f.vm.Domain, f.dst.CPU
	name := d.CPUModel
	if name == "" {
		name = d.CPUMode
	}
	if d.CPUXML == "" {
		return one(pass(id, title, "QEMU's default CPU, which every host has"))
	}
	remedy := "give the VM a CPU model that both nodes have (`virsh hypervisor-cpu-baseline` finds one) and restart it, or choose another target"
	switch c.Match {
	case CPUIncompatible:
		return one(fail(id, title, withWords(fmt.Sprintf("that of %s cannot be the VM's %s", f.dst.Name, name), c.Detail), remedy))
	case CPUIdentical:
		return one(pass(id, title, "that of %s is identical to the VM's %s", f.dst.Name, name))
	case CPUSuperset:
		if d.CPUMode == "host-passthrough" || d.CPUMode == "maximum" {
			return one(warn(id, title, fmt.Sprintf("the guest sees the CPU of %s as it is, and that of %s has more features", f.src.Name, f.dst.Name), remedy))
		}
		return one(pass(id, title, "that of %s has all of the VM's %s, and more", f.dst.Name, name))
	}
	return one(warn(id, title, withWords(fmt.Sprintf("whether %s can give the VM its %s is not known; if it cannot, the move ends before the switch", f.dst.Name, name), c.Detail), remedy))
}

func withWords(s, detail string) string {
	if detail == "" {
		return s
	}
	return s + ": " + detail
}

// overhead is what QEMU needs besides the guest's memory.
const overhead = 128 << 20

// Needs is what a VM with so much memory takes on its host, in bytes.
func Needs(memory uint64) uint64 { return plus(memory, overhead) }

// freeFor is what a host has for VMs.
func freeFor(h HostFacts) uint64 { return minus(h.MemFree, h.MemReserved) }

// jobs lists a few jobs by name.
func jobs(ids []model.JobID) string {
	const most = 4
	var words []string
	for _, id := range ids[:min(most, len(ids))] {
		words = append(words, string(id))
	}
	if n := len(ids) - most; n > 0 {
		words = append(words, fmt.Sprintf("%d more", n))
	}
	return strings.Join(words, ", ")
}

// memoryRule: what the guest has now must fit beside what the host keeps for
// itself; that it could grow to its maximum is worth a warning.
func memoryRule(f *facts) []model.Finding {
	const id, title = "memory", "memory"
	d := f.vm.Domain
	free := minus(freeFor(f.dst), f.dst.MemPromised)
	need := Needs(d.Memory)
	if f.dst.MemTotal == 0 {
		return one(fail(id, title, fmt.Sprintf("how much %s has is not known", f.dst.Name), "horcrux doctor"))
	}
	detail := fmt.Sprintf("the VM needs %s (%s and %s for QEMU); %s has %s free", size(need), size(d.Memory), size(overhead), f.dst.Name, size(f.dst.MemFree))
	if f.dst.MemReserved > 0 {
		detail += fmt.Sprintf(", of which %s stay with the host", size(f.dst.MemReserved))
	}
	if f.dst.MemPromised > 0 {
		detail += fmt.Sprintf(", and %s are promised to moves that wait or run (%s)", size(f.dst.MemPromised), jobs(f.dst.PromisedTo))
	}
	switch {
	case need > free:
		return one(fail(id, title, detail, fmt.Sprintf("free %s on %s, or choose another target", size(need-free), f.dst.Name)))
	case plus(d.MaxMemory, overhead) > free:
		return one(warn(id, title, fmt.Sprintf("%s; it may grow to %s, and that would not fit", detail, size(d.MaxMemory)), fmt.Sprintf("free memory on %s before it does", f.dst.Name)))
	}
	return one(pass(id, title, "%s", detail))
}

func vcpuRule(f *facts) []model.Finding {
	const id, title = "vcpus", "vCPUs"
	n, have := f.vm.Domain.VCPUs, f.dst.CPUs
	if have > 0 && n > have {
		return one(warn(id, title, fmt.Sprintf("the VM has %s, and %s has %s", plural(n, "vCPU"), f.dst.Name, plural(have, "CPU")), "expect it to be slower there, or choose another target"))
	}
	return one(pass(id, title, "%d of %s", n, plural(have, "CPU")))
}

func hugepagesRule(f *facts) []model.Finding {
	if !f.vm.Domain.Hugepages {
		return nil
	}
	return one(warn("hugepages", "huge pages", fmt.Sprintf("the VM's memory is in huge pages, and how many %s has free was not looked at", f.dst.Name),
		fmt.Sprintf("see `virsh freepages --all` on %s", f.dst.Name)))
}
