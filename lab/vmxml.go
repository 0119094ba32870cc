package lab

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// machineType is versioned, so that hosts with different QEMUs agree on it.
const machineType = "pc-q35-7.2"

// The firmware of Debian's package ovmf.
const (
	ovmfCode = "/usr/share/OVMF/OVMF_CODE_4M.fd"
	ovmfVars = "/usr/share/OVMF/OVMF_VARS_4M.fd"
)

func xmlText(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) //nolint:errcheck // a strings.Builder takes everything
	return b.String()
}

// domainXML is the VM as libvirt defines it.
func (vm VM) domainXML(image guestImage, machine string) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("<domain type='qemu'>")
	p("  <name>%s</name>", xmlText(vm.Name))
	p("  <uuid>%s</uuid>", vm.UUID)
	p("  <memory unit='MiB'>%d</memory>", vm.MemoryMiB)
	p("  <vcpu>%d</vcpu>", vm.VCPUs)
	p("  <os>")
	p("    <type arch='x86_64' machine='%s'>hvm</type>", xmlText(machine))
	p("    <kernel>%s</kernel>", xmlText(image.kernel))
	p("    <initrd>%s</initrd>", xmlText(image.initrd))
	p("    <cmdline>%s</cmdline>", xmlText(vm.cmdline()))
	if vm.UEFI {
		p("    <loader readonly='yes' type='pflash'>%s</loader>", ovmfCode)
		p("    <nvram template='%s'>%s</nvram>", ovmfVars, xmlText(vm.NVRAMPath()))
	}
	p("  </os>")
	p("  <features><acpi/><apic/></features>")
	p("  <cpu mode='custom' match='exact' check='none'><model fallback='forbid'>qemu64</model></cpu>")
	p("  <on_poweroff>destroy</on_poweroff>")
	p("  <on_reboot>restart</on_reboot>")
	p("  <on_crash>destroy</on_crash>")
	if vm.DomainXML != "" {
		p("%s", vm.DomainXML)
	}
	p("  <devices>")
	p("    <emulator>/usr/bin/qemu-system-x86_64</emulator>")
	for i, d := range vm.Disks {
		kind, source := "file", fmt.Sprintf("file='%s'", xmlText(d.Source()))
		switch {
		case d.Device:
			kind, source = "block", fmt.Sprintf("dev='%s'", xmlText(d.Source()))
		case d.Named:
			kind, source = "volume", fmt.Sprintf("pool='%s' volume='%s'", xmlText(d.Pool), xmlText(d.File))
		}
		p("    <disk type='%s' device='disk'>", kind)
		own := ""
		if d.IOThread {
			own = " iothread='1'"
		}
		p("      <driver name='qemu' type='%s' cache='%s' discard='unmap'%s/>", d.Format, xmlText(d.Cache), own)
		p("      <source %s/>", source)
		p("      <target dev='vd%c' bus='virtio'/>", 'a'+i)
		p("    </disk>")
	}
	if vm.EmptyCDROM {
		p("    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='sda' bus='sata'/><readonly/></disk>")
	}
	if vm.ISO {
		p("    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='%s'/><target dev='sdb' bus='sata'/><readonly/></disk>", xmlText(vm.ISOPath()))
	}
	if vm.TPM {
		p("    <tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>")
	}
	p("    <interface type='bridge'><mac address='%s'/><source bridge='%s'/><model type='virtio'/></interface>", vm.MAC, nodeBridge)
	// What a guest said last is all that is left of one that died.
	log := fmt.Sprintf("<log file='/var/log/libvirt/qemu/%s-serial.log' append='on'/>", vm.Name)
	p("    <serial type='pty'>%s<target port='0'/></serial>", log)
	p("    <console type='pty'>%s<target type='serial' port='0'/></console>", log)
	if vm.Agent {
		p("    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
	}
	p("    <memballoon model='virtio'><stats period='5'/></memballoon>")
	if vm.DevicesXML != "" {
		p("%s", vm.DevicesXML)
	}
	p("  </devices>")
	p("%s", vm.oddMemory())
	p("</domain>")
	return b.String()
}

// oddMemory gives the guest 8 KiB more than libvirt, which rounds up to a MiB,
// can say. QEMU before 9.0 without KVM collects the pages that were written in a
// live migration by a short cut where the RAM is a multiple of 256 KiB, and
// forgets the virtual CPU's TLB there ("physmem: Fix migration dirty bitmap
// coherency with TCG memory access", March 2024): some of what the guest writes
// is not sent, and one guest in about 150 panics after its move.
func (vm VM) oddMemory() string {
	kib := vm.MemoryMiB<<10 + 8
	var b strings.Builder
	b.WriteString("  <qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n")
	for _, arg := range []string{
		"-object", fmt.Sprintf("memory-backend-ram,id=odd.ram,size=%dk", kib),
		"-machine", "memory-backend=odd.ram", "-m", fmt.Sprintf("%dk", kib),
	} {
		fmt.Fprintf(&b, "    <qemu:arg value='%s'/>\n", arg)
	}
	b.WriteString("  </qemu:commandline>")
	return b.String()
}

// cmdline tells the guest's init what to do. Mitigations cost a guest without
// KVM dearly and protect nothing here.
func (vm VM) cmdline() string {
	bit := map[bool]int{true: 1}
	return fmt.Sprintf("console=ttyS0 quiet panic=10 mitigations=off random.trust_cpu=on lab.name=%s lab.ip=%s lab.agent=%d lab.http=%d lab.dirty=%d lab.rate=%d lab.write=%d lab.ledger=%d",
		vm.Name, vm.CIDR, bit[vm.Agent], bit[vm.HTTP], vm.DirtyMiB, vm.DirtyRate, vm.WriteRate, bit[vm.Ledger])
}
