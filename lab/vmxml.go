package lab

import (
	"encoding/xml"
	"fmt"
	"strings"
)

// machineType is versioned, so that hosts with different QEMUs agree on it.
const machineType = "pc-q35-7.2"

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
		p("    <disk type='file' device='disk'>")
		p("      <driver name='qemu' type='%s' cache='%s' discard='unmap'/>", d.Format, xmlText(d.Cache))
		p("      <source file='%s'/>", xmlText(d.Path()))
		p("      <target dev='vd%c' bus='virtio'/>", 'a'+i)
		p("    </disk>")
	}
	if vm.EmptyCDROM {
		p("    <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><target dev='sda' bus='sata'/><readonly/></disk>")
	}
	p("    <interface type='bridge'><mac address='%s'/><source bridge='%s'/><model type='virtio'/></interface>", vm.MAC, nodeBridge)
	p("    <serial type='pty'><target port='0'/></serial>")
	p("    <console type='pty'><target type='serial' port='0'/></console>")
	if vm.Agent {
		p("    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>")
	}
	p("    <memballoon model='virtio'><stats period='5'/></memballoon>")
	if vm.DevicesXML != "" {
		p("%s", vm.DevicesXML)
	}
	p("  </devices>")
	p("</domain>")
	return b.String()
}

// cmdline tells the guest's init what to do. Mitigations cost a guest without
// KVM dearly and protect nothing here.
func (vm VM) cmdline() string {
	bit := map[bool]int{true: 1}
	return fmt.Sprintf("console=ttyS0 quiet panic=10 mitigations=off random.trust_cpu=on lab.name=%s lab.ip=%s lab.agent=%d lab.http=%d lab.dirty=%d lab.rate=%d lab.write=%d",
		vm.Name, vm.CIDR, bit[vm.Agent], bit[vm.HTTP], vm.DirtyMiB, vm.DirtyRate, vm.WriteRate)
}
