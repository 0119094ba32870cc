package lab

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func testPlan(t *testing.T) addressPlan {
	t.Helper()
	p, err := parseSubnet("10.77.0.0/24")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestResolveDefaults(t *testing.T) {
	vms, err := resolveVMs([]VMSpec{{Name: "a"}, {Name: "b", IP: "10.77.0.101"}, {Name: "c", DirtyMiB: 64, Disks: []DiskSpec{{Format: "raw"}, {Pool: "shared"}}}}, "hx", testPlan(t), 3)
	if err != nil {
		t.Fatal(err)
	}
	a, b, c := vms[0], vms[1], vms[2]
	if a.Node != "node1" || a.MemoryMiB != 256 || a.VCPUs != 1 || a.State != VMRunning || a.CIDR != "10.77.0.102/24" {
		t.Errorf("defaults: %+v", a)
	}
	if a.Disks[0].Path() != "/var/lib/libvirt/images/a.qcow2" || c.Disks[0].Path() != "/var/lib/libvirt/images/c.img" || c.Disks[1].Path() != "/srv/shared/c-2.qcow2" {
		t.Errorf("disks: %+v %+v", a.Disks, c.Disks)
	}
	if a.UUID == b.UUID || a.MAC == b.MAC || b.IP != "10.77.0.101" || c.MemoryMiB != 320 {
		t.Errorf("b: %+v c: %+v", b, c)
	}
	again, err := resolveAfter(vms, []VMSpec{{Name: "d"}}, "hx", testPlan(t), 3)
	if err != nil || again[0].IP != "10.77.0.104" {
		t.Errorf("one more: %+v %v", again, err)
	}
	if _, err := resolveAfter(vms, []VMSpec{{Name: "a"}}, "hx", testPlan(t), 3); err == nil {
		t.Error("a second VM of a name was taken")
	}
}

func TestResolveRefuses(t *testing.T) {
	for name, s := range map[string]VMSpec{
		"name":     {Name: "a b"},
		"node":     {Name: "a", Node: "node9"},
		"state":    {Name: "a", State: "asleep"},
		"off":      {Name: "a", State: VMOff, Transient: true},
		"memory":   {Name: "a", MemoryMiB: 128, DirtyMiB: 64},
		"ip":       {Name: "a", IP: "192.168.0.1"},
		"pool":     {Name: "a", Disks: []DiskSpec{{Pool: "x"}}},
		"format":   {Name: "a", Disks: []DiskSpec{{Format: "vmdk"}}},
		"file":     {Name: "a", Disks: []DiskSpec{{File: "../x"}}},
		"small":    {Name: "a", Disks: []DiskSpec{{SizeMiB: 1}}},
		"overfull": {Name: "a", Disks: []DiskSpec{{SizeMiB: 64, FillMiB: 60}}},
	} {
		if _, err := resolveVMs([]VMSpec{s}, "hx", testPlan(t), 3); err == nil {
			t.Errorf("%s: %+v was taken", name, s)
		}
	}
}

func TestDomainXML(t *testing.T) {
	vms, err := resolveVMs([]VMSpec{{
		Name: "web", Agent: true, EmptyCDROM: true, Disks: []DiskSpec{{}, {Format: "raw", Cache: "writeback"}},
		DevicesXML: "<rng model='virtio'/>", DomainXML: "<description>x</description>",
	}, {Name: "bare"}}, "hx", testPlan(t), 3)
	if err != nil {
		t.Fatal(err)
	}
	text := vms[0].domainXML(guestImage{"/a&b/vmlinuz", "/a/initrd"}, machineType)
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%s", err, text)
		}
	}
	for _, want := range []string{
		"<kernel>/a&amp;b/vmlinuz</kernel>", "machine='pc-q35-7.2'", "dev='vda'", "dev='vdb'", "type='raw' cache='writeback'",
		"org.qemu.guest_agent.0", "device='cdrom'", "<rng", "<description>", "lab.ip=10.77.0.101/24", "lab.agent=1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is missing in\n%s", want, text)
		}
	}
	if bare := vms[1].domainXML(guestImage{}, machineType); strings.Contains(bare, "guest_agent") || strings.Contains(bare, "cdrom") {
		t.Error("the bare VM has more than it should")
	}
}

func TestPickMachine(t *testing.T) {
	for help, want := range map[string]string{
		"pc  x\npc-q35-8.0 x\npc-q35-7.2 x\n": "pc-q35-7.2",
		"q35  x\npc-q35-6.1 x\npc-q35-6.0\n":  "pc-q35-6.1",
	} {
		if got, err := pickMachine(help); got != want || err != nil {
			t.Errorf("picked %s (%v), want %s", got, err, want)
		}
	}
	if _, err := pickMachine("virt\n"); err == nil {
		t.Error("a machine was found where none is")
	}
}

func TestPresets(t *testing.T) {
	for _, name := range []string{"demo", "minimal", "none"} {
		for nodes := 1; nodes <= 4; nodes++ {
			specs, err := Preset(name, nodes)
			if err != nil {
				t.Fatal(err)
			}
			if err := (Options{Nodes: nodes, VMs: specs}).Validate(); err != nil {
				t.Errorf("%s with %d nodes: %v", name, nodes, err)
			}
		}
	}
	if _, err := Preset("huge", 3); err == nil {
		t.Error("an unknown set was taken")
	}
}
