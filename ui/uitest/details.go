package uitest

import (
	"time"

	"horcrux/engine"
	"horcrux/engine/model"
)

// VMDetails are details of a VM with a chain and snapshots.
func VMDetails() model.VMDetails {
	return model.VMDetails{
		At: Epoch, Serial: true,
		XML: `<domain type='kvm' id='4'>
  <name>db01</name>
  <uuid>5e1f0000-0000-4000-8000-000000000004</uuid>
  <title>orders database #prod #sql</title>
  <memory unit='KiB'>50331648</memory>
  <vcpu placement='static'>16</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <boot dev='hd'/>
  </os>
  <!-- tuned by hand -->
  <cpu mode='host-model' check='partial'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/var/lib/libvirt/images/db01.qcow2'/>
      <target dev='vda' bus='virtio'/>
    </disk>
    <interface type='bridge'>
      <mac address='52:54:00:5e:1f:03'/>
      <source bridge='br-lan'/>
      <model type='virtio'/>
    </interface>
  </devices>
</domain>`,
		Chains: map[string][]model.ChainFile{
			"vda": {
				{Path: "/var/lib/libvirt/images/db01.qcow2", Format: "qcow2", Size: 6 * gib, Taken: 5 * gib},
				{Path: "/var/lib/libvirt/images/db01-before-upgrade.qcow2", Format: "qcow2", Size: 9 * gib, Taken: 8 * gib},
				{Path: "/var/lib/libvirt/images/deb12-golden.qcow2", Format: "qcow2", Size: 3 * gib, Taken: 3 * gib},
			},
			"vdb": {{Path: "/dev/vg_fast/db01-data", Format: "raw"}},
		},
		Snapshots: []model.Snapshot{
			{Name: "before-upgrade", Description: "PostgreSQL 15 to 16", State: model.StateRunning, Created: Epoch.Add(-49 * time.Hour), External: true},
			{Name: "2026-03-14-060000", Parent: "before-upgrade", State: model.StateShutoff, Created: Epoch.Add(-9 * time.Hour), Current: true},
		},
		Errs: []string{"cannot measure the disks on node1: /dev/vg_fast/db01-data has no blocks of its own"},
	}
}

// HealthChecks are the eight checks with a bit of everything.
func HealthChecks() []model.CheckResult {
	one := func(id model.CheckID, title string, v model.Verdict, evidence string, ms int) model.CheckResult {
		return model.CheckResult{Check: id, Title: title, Stage: model.StageNow, Node: "node1", Verdict: v, Evidence: evidence, Duration: time.Duration(ms) * time.Millisecond, At: Epoch}
	}
	return []model.CheckResult{
		one(model.CheckRunning, "VM running", model.Pass, "running (booted) on node1", 12),
		one(model.CheckMonitor, "QEMU monitor", model.Pass, "answered query-status with running", 8),
		one(model.CheckMemory, "memory", model.Pass, "48 GiB of 48 GiB, 41 GiB resident", 9),
		one(model.CheckCPU, "CPU", model.Pass, "16 vCPUs, 5.1 s of CPU time in 1.0 s", 1010),
		one(model.CheckDisk, "disk I/O", model.Warn, "vda: 3 errors since the start; vdb: 96 MiB/s, no errors", 1004),
		one(model.CheckNetwork, "network", model.Pass, "vnet3 up on br-lan, 22 MiB/s in", 1003),
		one(model.CheckAgent, "guest agent", model.Pass, "answered guest-ping in 41 ms", 41),
		one(model.CheckApp, "application", model.Skip, "no application is configured for db01", 0),
	}
}

// NodeDetails are details of a node.
func NodeDetails() model.NodeDetails {
	return model.NodeDetails{
		At: Epoch,
		Volumes: []model.Volume{
			{Pool: "default", Name: "db01.qcow2", Path: "/var/lib/libvirt/images/db01.qcow2", Format: "qcow2", Capacity: 40 * gib, Allocation: 18 * gib},
			{Pool: "default", Name: "deb12-golden.qcow2", Path: "/var/lib/libvirt/images/deb12-golden.qcow2", Format: "qcow2", Capacity: 8 * gib, Allocation: 3 * gib},
			{Pool: "fast", Name: "db01-data", Path: "/dev/vg_fast/db01-data", Format: "raw", Capacity: 100 * gib, Allocation: 100 * gib},
		},
		Networks: []model.Network{
			{Name: "default", Bridge: "virbr0", Forward: "nat", Address: "192.168.122.1/24", Active: true, Autostart: true},
			{Name: "dmz", Bridge: "br-dmz", Forward: "bridge", Active: true},
			{Name: "lan", Bridge: "br-lan", Forward: "isolated"},
		},
		Capabilities: []model.Capability{
			{Name: "architecture", Value: "x86_64"},
			{Name: "CPU model", Value: "AMD EPYC-Milan"},
			{Name: "topology", Value: "1 socket, 16 cores, 2 threads"},
			{Name: "migration", Value: "live, tcp, rdma"},
			{Name: "security models", Value: "apparmor"},
			{Name: "CPU features", Value: "acpi apic clflush cx8 fxsr mmx sse sse2 svm topoext wbnoinvd xsaves"},
			{Name: "guests x86_64", Value: "qemu, kvm, machines pc (pc-i440fx-7.2), q35 (pc-q35-7.2)"},
		},
	}
}

// Reports are what doctor finds on two nodes.
func Reports() []engine.NodeReport {
	return []engine.NodeReport{
		{Node: "node1", Findings: []model.Finding{
			{ID: "ssh", Title: "SSH", Verdict: model.Pass, Detail: "logged in as root at 10.77.0.11"},
			{ID: "libvirt", Title: "libvirt", Verdict: model.Pass, Detail: "9.0.0 by /run/libvirt/libvirt-sock"},
			{ID: "clock", Title: "clock", Verdict: model.Warn, Detail: "its clock is 4.2 s behind ours", Remedy: "enable systemd-timesyncd or chrony on node1"},
		}},
		{Node: "node3", Findings: []model.Finding{
			{ID: "space", Title: "space", Verdict: model.Fail, Detail: "pool default has 1.2 GiB free", Remedy: "delete what is not needed in /var/lib/libvirt/images on node3"},
		}},
	}
}
