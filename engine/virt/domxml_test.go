package virt

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

func TestParseDomain(t *testing.T) {
	text, err := os.ReadFile("testdata/rich.xml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDomain(string(text))
	if err != nil {
		t.Fatal(err)
	}
	disk := func(target, device, kind, source, format, cache, bus string) DiskXML {
		return DiskXML{Disk: model.Disk{Target: target, Device: device, Type: kind, Source: source, Format: format, Cache: cache}, Bus: bus}
	}
	vda := disk("vda", "disk", "file", "/var/lib/libvirt/images/web.qcow2", "qcow2", "none", "virtio")
	vda.Discard, vda.IO, vda.Backing = "unmap", "native", "/base/mid.qcow2"
	vda.Chain = []BackingFile{{"file", "/base/mid.qcow2", "qcow2"}, {"block", "/dev/vg/base", "raw"}}
	vdb := disk("vdb", "disk", "network", "rbd://mon1:6789/pool/img", "raw", "", "virtio")
	vdb.Protocol, vdb.Shareable = "rbd", true
	vdc := disk("vdc", "disk", "volume", "images/data", "", "", "scsi")
	vdc.Pool, vdc.Volume = "images", "data"
	sda := disk("sda", "cdrom", "file", "", "raw", "", "sata")
	sda.ReadOnly = true
	want := Domain{
		UUID: "27547765-b6ef-4c65-94e7-2576667b0d5a", Name: "web", ID: 7, Title: "The web",
		Type: "kvm", Arch: "x86_64", Machine: "pc-q35-7.2", Emulator: "/usr/bin/qemu-system-x86_64",
		VCPUs: 2, MaxVCPUs: 4, Memory: 1 << 30, MaxMemory: 2 << 30,
		CPUMode: "custom", CPUModel: "EPYC",
		CPUXML: "<cpu mode='custom' match='exact' check='full'>\n    <model fallback='forbid'>EPYC</model>\n" +
			"    <feature policy='require' name='x2apic'/>\n  </cpu>",
		Disks: []DiskXML{vda, vdb, vdc, sda},
		NICs: []model.NIC{
			{Target: "vnet0", MAC: "52:54:00:f2:0f:b4", Model: "virtio", Type: "bridge", Source: "br0"},
			{MAC: "52:54:00:00:00:02", Model: "e1000e", Type: "network", Source: "default"},
			{MAC: "52:54:00:00:00:03", Type: "direct", Source: "eth1"},
		},
		Agent: model.AgentConnected, Hostdevs: []string{"pci 0000:3b:00.1"},
		Filesystems: []Filesystem{{"virtiofs", "/srv/data", "data"}},
		Serials:     []CharDevice{{"pty", "/dev/pts/3"}}, Consoles: []CharDevice{{"pty", "/dev/pts/3"}},
		Firmware: "efi", Loader: "/usr/share/OVMF/OVMF_CODE_4M.fd",
		NVRAM: "/var/lib/libvirt/qemu/nvram/web_VARS.fd", NVRAMTemplate: "/usr/share/OVMF/OVMF_VARS_4M.fd",
		TPM: "emulator", Kernel: "/boot/vmlinuz", Initrd: "/boot/initrd", LaunchSecurity: "sev", Hugepages: true,
		Job: "web-20261123-1", JobRole: RoleTombstone,
		Mark: model.Mark{Job: "web-20261123-1", Role: model.RoleTombstone},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseDomainRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"cut":     "<domain><name>x</name>",
		"deep":    strings.Repeat("<a>", maxDepth+1) + strings.Repeat("</a>", maxDepth+1),
		"long":    "<domain><name>" + strings.Repeat("x", maxXML) + "</name></domain>",
		"doctype": `<!DOCTYPE x [<!ENTITY a "b">]><domain/>`,
		"other":   "<network/>",
	} {
		if _, err := ParseDomain(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func FuzzParseDomain(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.xml")
	for _, n := range files {
		text, _ := os.ReadFile(n)
		f.Add(string(text))
	}
	f.Add("<domain type='x'><vcpu current='99999999999'>-1</vcpu></domain>")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDomain(text)
		if err != nil {
			return
		}
		for _, s := range []string{d.Name, d.Title, string(d.Job), d.Machine} {
			if s != Clean(s) {
				t.Errorf("%q was not cleaned", s)
			}
		}
		if !strings.Contains(text, d.CPUXML) {
			t.Errorf("%q is not in the text", d.CPUXML)
		}
	})
}

func TestScaled(t *testing.T) {
	for _, c := range []struct {
		v    uint64
		unit string
		want uint64
	}{
		{3, "", 3 << 10}, {3, "KiB", 3 << 10}, {3, "bytes", 3}, {3, "MB", 3e6}, {3, "G", 3 << 30}, {1 << 63, "GiB", 1<<64 - 1},
	} {
		if got := scaled(c.v, c.unit, 1<<10); got != c.want {
			t.Errorf("%d %q is %d, want %d", c.v, c.unit, got, c.want)
		}
	}
}

func TestMarkIsReadWhole(t *testing.T) {
	const xml = `<domain type='qemu'><name>web</name><metadata><h:job xmlns:h='https://horcrux.dev/xmlns/job/1' id='abc234' role='moving' from='node1' to='node2'
		by='root@jump1 from 10.0.0.1' console='00112233445566ff' since='2026-11-25T12:00:00Z' autostart='on' copies='vda vdb' beat='7' was='running'/></metadata></domain>`
	d, err := ParseDomain(xml)
	if err != nil {
		t.Fatal(err)
	}
	want := model.Mark{
		Job: "abc234", Role: model.RoleMoving, From: "node1", To: "node2", By: "root@jump1 from 10.0.0.1", Console: "00112233445566ff",
		Since: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), Autostart: true, Copies: []string{"vda", "vdb"}, Beat: 7, Was: model.StateRunning,
	}
	if diff := cmp.Diff(want, d.Mark); diff != "" {
		t.Error(diff)
	}
	if d.Mark.Whose() == "" || d.Job != "abc234" {
		t.Errorf("%+v", d)
	}
}
