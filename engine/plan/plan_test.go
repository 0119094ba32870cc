package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

const (
	uuid    = model.UUID("11111111-2222-3333-4444-555555555555")
	gib     = 1 << 30
	image   = "/var/lib/libvirt/images/web.qcow2"
	shared  = "/srv/shared/data.raw"
	machine = "pc-q35-7.2"
	qemu    = "/usr/bin/qemu-system-x86_64"
)

// input is what Make is given; tests spoil one thing in a good one.
type input struct {
	r        model.Request
	vm       VMFacts
	src, dst HostFacts
	proofs   SharedProof
}

func (in input) plan() model.Plan {
	return Make(in.r, in.vm, in.src, in.dst, in.proofs, time.Unix(1000, 0))
}

// good is a running VM with one disk to copy, one shared disk, an empty drive,
// one bridge and one network, between two equal hosts.
func good() input {
	host := func(name, id string) HostFacts {
		return HostFacts{
			Name: model.NodeName(name), Reachable: true, Hostname: name + ".example", HostUUID: id,
			Libvirt: "9.0.0", QEMU: "7.2.22", Arch: "x86_64", CPUs: 8, MemTotal: 16 * gib, MemFree: 8 * gib, MemReserved: gib,
			MigrationV3: true, MigrationParams: true, MigrateAddr: "10.0.0." + id,
			Emulators: []string{qemu}, VirtTypes: []string{"qemu", "kvm"}, Machines: []string{"q35", machine},
			CPU:      CPUFact{Match: CPUIdentical},
			Networks: map[string]bool{"default": true}, Bridges: []string{"br0"},
			Pools:   []model.Pool{{Name: "images", Type: "dir", Path: "/var/lib/libvirt/images", Active: true, Capacity: 100 * gib, Available: 50 * gib}},
			Volumes: map[string]VolumeFact{}, Files: map[string]bool{image: name == "node1", shared: true},
			Domains: []DomainFact{{UUID: "99999999-2222-3333-4444-555555555555", Name: "other", State: model.StateRunning}},
		}
	}
	return input{
		r:   model.Request{VM: uuid, From: "node1", To: "node2", Mode: model.ModeLive, Options: model.Options{MaxDowntime: 900 * time.Millisecond}},
		src: host("node1", "1"),
		dst: host("node2", "2"),
		vm: VMFacts{
			Domain: Domain{
				UUID: uuid, Name: "web", Type: "kvm", Arch: "x86_64", Machine: machine, Emulator: qemu,
				VCPUs: 2, Memory: 2 * gib, MaxMemory: 2 * gib, CPUMode: "custom", CPUModel: "Haswell", CPUXML: "<cpu/>",
				Disks: []Disk{
					{Disk: model.Disk{Target: "vda", Device: "disk", Type: "file", Source: image, Format: "qcow2", Cache: "none", Capacity: 20 * gib, Allocation: 4 * gib}},
					{Disk: model.Disk{Target: "vdb", Device: "disk", Type: "file", Source: shared, Format: "raw", Cache: "none", Capacity: gib, Allocation: gib}},
					{Disk: model.Disk{Target: "sda", Device: "cdrom", Type: "file", ReadOnly: true}},
				},
				NICs: []model.NIC{{MAC: "52:54:00:00:00:01", Type: "bridge", Source: "br0"}, {MAC: "52:54:00:00:00:02", Type: "network", Source: "default"}},
			},
			Status:    model.DomainStatus{State: model.StateRunning, Reason: "booted", Persistent: true},
			Agent:     model.AgentConnected,
			ActiveXML: "<domain id='1'/>", InactiveXML: "<domain/>",
		},
		proofs: SharedProof{
			"vda": {Separate: true, Detail: "node2 has no such file"},
			"vdb": {Proved: true, FS: "ext2/ext3", Detail: "a mark written by node1 was read by node2"},
		},
	}
}

func find(t *testing.T, p model.Plan, id string) model.Finding {
	t.Helper()
	for _, f := range p.Findings {
		if f.ID == id {
			return f
		}
	}
	t.Fatalf("no finding %q in %v", id, ids(p))
	return model.Finding{}
}

func ids(p model.Plan) []string {
	var out []string
	for _, f := range p.Findings {
		out = append(out, f.ID)
	}
	return out
}

func TestGoodPlan(t *testing.T) {
	p := good().plan()
	for _, f := range p.Findings {
		if f.Verdict != model.Pass {
			t.Errorf("%s is %s: %s", f.ID, f.Verdict, f.Detail)
		}
		if f.Title == "" || f.Detail == "" {
			t.Errorf("%s says nothing: %+v", f.ID, f)
		}
	}
	if p.VMName != "web" || p.Memory != 2*gib || p.CopyBytes != 4*gib || p.MigrateHost != "10.0.0.2" || !p.Unsafe || p.Transient {
		t.Errorf("got %+v", p)
	}
	want := []model.DiskPlan{
		{Decision: model.DiskCopy, Pool: "images", Path: image, Create: true, Reason: "only on node1; 4.0 GiB of 20 GiB to copy into the pool images"},
		{Decision: model.DiskShared, Reason: "both nodes see the same bytes: a mark written by node1 was read by node2"},
		{Decision: model.DiskEmpty, Reason: "an empty drive"},
	}
	for i := range want {
		want[i].Disk = good().vm.Domain.Disks[i].Disk
	}
	if d := cmp.Diff(want, p.Disks); d != "" {
		t.Error(d)
	}
	var phases []model.PhaseID
	for _, s := range p.Steps {
		if len(phases) == 0 || phases[len(phases)-1] != s.Phase {
			phases = append(phases, s.Phase)
		}
	}
	wantPhases := []model.PhaseID{
		model.PhasePreflight, model.PhasePrepare, model.PhaseDisks, model.PhaseMemory, model.PhaseGate,
		model.PhaseSwitch, model.PhaseVerify, model.PhaseConfirm,
	}
	if d := cmp.Diff(wantPhases, phases); d != "" {
		t.Error(d)
	}
}

// Each rule both ways: the good plan passes all, and each line spoils one thing.
func TestFindings(t *testing.T) {
	disk := func(in *input, i int) *Disk { return &in.vm.Domain.Disks[i] }
	tests := []struct {
		name    string
		spoil   func(*input)
		id      string
		verdict model.Verdict
		detail  string // part of it
		remedy  string // part of it
	}{
		{"source gone", func(in *input) { in.src.Reachable, in.src.Reason = false, "connection refused" }, "source-reachable", model.Fail, "node1 cannot be reached: connection refused", "doctor"},
		{"target gone", func(in *input) { in.dst.Reachable = false }, "target-reachable", model.Fail, "node2 cannot be reached: it does not answer", "doctor"},
		{"mode online", func(in *input) { in.r.Mode = model.ModeOnline }, "mode", model.Pass, "the disks go over while the guest runs, then it is paused", ""},
		{"mode offline", func(in *input) { in.r.Mode = model.ModeOffline }, "mode", model.Pass, "the guest is shut down, and started on the target", ""},
		{"mode block", func(in *input) { in.r.Mode = model.ModeBlock }, "mode", model.Pass, "the disks go over in passes while the guest runs", ""},
		{"mode unknown", func(in *input) { in.r.Mode = "warp" }, "mode", model.Fail, `there is no mode "warp"`, ""},
		{"E4 same node", func(in *input) { in.r.To = "node1" }, "same-host", model.Fail, "on node1 already", "another target"},
		{"E4 same UUID", func(in *input) { in.dst.HostUUID = in.src.HostUUID }, "same-host", model.Fail, "same host: both have the host UUID 1", "host_uuid"},
		{"E4 same name", func(in *input) { in.dst.Hostname = "NODE1.example" }, "same-host", model.Fail, "both have the host name", "host name of its own"},
		{"host UUID unknown", func(in *input) { in.dst.HostUUID = "" }, "same-host", model.Warn, "not certain", ""},

		{"E10 paused by the user", func(in *input) { in.vm.Status = state(model.StatePaused, "user") }, "state", model.Pass, "paused (user); it stays paused on the target", ""},
		{"paused, and has not run since it came", func(in *input) {
			in.vm.Status, in.vm.NeverRan = state(model.StatePaused, "user"), true
		}, "state", model.Fail, "has not run since it came to node1", "resume it on node1"},
		{"paused, nothing shared", func(in *input) {
			in.vm.Status, in.vm.NeverRan = state(model.StatePaused, "user"), true
			in.vm.Domain.Disks = in.vm.Domain.Disks[:1]
		}, "state", model.Pass, "paused (user); it stays paused", ""},
		{"paused by a move", func(in *input) { in.vm.Status = state(model.StatePaused, "migration") }, "state", model.Fail, "another move has left it so", "recover"},
		{"paused by an I/O error", func(in *input) { in.vm.Status = state(model.StatePaused, "ioerror") }, "state", model.Fail, "a disk failed", "mend"},
		{"paused by a watchdog", func(in *input) { in.vm.Status = state(model.StatePaused, "watchdog") }, "state", model.Fail, "paused (watchdog)", ""},
		{"postcopy", func(in *input) { in.vm.Status = state(model.StateRunning, "postcopy") }, "state", model.Fail, "another move is not finished", ""},
		{"off", func(in *input) { in.vm.Status = state(model.StateShutoff, "shutdown") }, "state", model.Fail, "shutoff (shutdown), and live moves need", "offline"},
		{"missing", func(in *input) { in.vm.Status = state(model.StateMissing, "") }, "state", model.Fail, "node1 has no such VM", ""},
		{"unknown", func(in *input) { in.vm.Status = model.DomainStatus{State: model.StateUnreachable, Err: "timeout"} }, "state", model.Fail, "timeout", ""},
		{"crashed", func(in *input) { in.vm.Status = state(model.StateCrashed, "panicked") }, "state", model.Fail, "crashed", ""},
		{"suspended", func(in *input) { in.vm.Status = state(model.StateSuspended, "") }, "state", model.Fail, "pmsuspended", ""},
		{"in shutdown", func(in *input) { in.vm.Status = state(model.StateShutdown, "") }, "state", model.Fail, "in-shutdown", ""},

		{"E5 marked by a move", func(in *input) { in.vm.Domain.Job, in.vm.Domain.JobRole = "web-7", "moving" }, "mark", model.Fail, "job web-7 has hold", "horcrux job web-7"},
		{"a tombstone", func(in *input) { in.vm.Domain.Job, in.vm.Domain.JobRole = "web-7", "tombstone" }, "mark", model.Fail, "what job web-7 left on node1", "where it is now"},
		{"E5 libvirt's job", func(in *input) { in.vm.Status.JobActive = true }, "libvirt-job", model.Fail, "another migration", "virsh domjobabort web"},
		{"block job", func(in *input) { in.vm.BlockJobs = []string{"vda"} }, "block-jobs", model.Fail, "at work on vda", "virsh blockjob web vda --abort"},
		{"mirror", func(in *input) { disk(in, 1).Mirror = true }, "block-jobs", model.Fail, "at work on vdb", ""},

		{"E1 name taken", func(in *input) { in.dst.Domains[0].Name = "web" }, "clash", model.Fail, "web already exists on node2 with UUID 99999999", "rename"},
		{"E2 UUID taken", func(in *input) { in.dst.Domains[0].UUID = uuid }, "clash", model.Fail, "is already defined on node2 as other", "real one"},
		{"twin", func(in *input) { in.dst.Domains[0] = DomainFact{UUID: uuid, Name: "web", State: model.StateShutoff} }, "clash", model.Fail, "has this VM too", "undefine it"},
		{"running tombstone", func(in *input) {
			in.dst.Domains[0] = DomainFact{UUID: uuid, Name: "web", State: model.StateRunning, Tombstone: true}
		}, "clash", model.Fail, "has this VM too", ""},
		{"our tombstone", func(in *input) {
			in.dst.Domains[0] = DomainFact{UUID: uuid, Name: "web", State: model.StateShutoff, Tombstone: true, Job: "web-6"}
		}, "clash", model.Pass, "what job web-6 left of this VM on node2 will be replaced", ""},
		{"tombstone and a namesake", func(in *input) {
			in.dst.Domains = []DomainFact{{UUID: uuid, Name: "web", State: model.StateShutoff, Tombstone: true}, {UUID: "x", Name: "web"}}
		}, "clash", model.Fail, "already exists", ""},

		{"altered names", func(in *input) { in.vm.Altered = []string{"/new line"} }, "names", model.Fail, "/new line", "rename"},
		{"not root", func(in *input) { in.src.User, in.src.Unwritable = "ops", []string{"/var/lib/libvirt/images"} }, "rights", model.Fail, "user ops may not rename files in /var/lib/libvirt/images on node1", "sudo = true"},
		{"E7 snapshots", func(in *input) { in.vm.Snapshots = 2 }, "snapshots", model.Fail, "2 snapshots", "virsh snapshot-delete web NAME"},
		{"saved state", func(in *input) { in.vm.ManagedSave = true }, "managed-save", model.Warn, "lies on node1", "managedsave-remove web"},

		{"architecture", func(in *input) { in.dst.VirtTypes, in.dst.Arch = []string{}, "aarch64" }, "arch", model.Fail, "node2 (aarch64) runs no guests for x86_64", ""},
		{"architecture by the host's", func(in *input) { in.dst.VirtTypes, in.dst.Arch = nil, "aarch64" }, "arch", model.Fail, "runs no guests", ""},
		{"architecture unknown", func(in *input) { in.dst.VirtTypes, in.dst.Arch = nil, "" }, "arch", model.Warn, "not known", ""},
		{"no KVM", func(in *input) { in.dst.VirtTypes = []string{"qemu"} }, "virt-type", model.Fail, "the VM needs kvm, and node2 has qemu", "kvm module"},
		{"KVM unknown", func(in *input) { in.dst.VirtTypes = nil }, "virt-type", model.Warn, "whether node2 has kvm is not known", ""},
		{"emulated by old QEMU", func(in *input) { emulated(in, "7.2.22", 256<<20) }, "virt-type", model.Warn, "QEMU 7.2.22 then misses", "--mode online"},
		{"emulated, odd RAM", func(in *input) { emulated(in, "7.2.22", 256<<20+8192) }, "virt-type", model.Pass, "qemu", ""},
		{"emulated by new QEMU", func(in *input) { emulated(in, "9.0.0", 256<<20) }, "virt-type", model.Pass, "qemu", ""},
		{"emulated, paused for its memory", func(in *input) { emulated(in, "7.2.22", 256<<20); in.r.Mode = model.ModeOnline }, "virt-type", model.Pass, "qemu", ""},
		{"emulator", func(in *input) { in.dst.Emulators = []string{"/usr/libexec/qemu-kvm"} }, "emulator", model.Fail, "node2 has /usr/libexec/qemu-kvm", "link of that name on node2"},
		{"emulator unlisted but there", func(in *input) { in.dst.Emulators, in.dst.Files[qemu] = []string{}, true }, "emulator", model.Warn, "does not list it", ""},
		{"emulator of their own", func(in *input) { in.src.Emulators, in.dst.Emulators = []string{}, []string{} }, "emulator", model.Warn, "not libvirt's choice", ""},
		{"emulator unknown", func(in *input) { in.dst.Emulators = nil }, "emulator", model.Warn, "not known", ""},
		{"machine type", func(in *input) { in.dst.Machines = []string{"pc-q35-6.2"} }, "machine", model.Fail, "node2 (QEMU 7.2.22) does not have pc-q35-7.2", "update QEMU"},
		{"machine type unknown", func(in *input) { in.dst.Machines = nil }, "machine", model.Warn, "not known", ""},
		{"H4 CPU", func(in *input) { in.dst.CPU = CPUFact{CPUIncompatible, "missing avx2"} }, "cpu", model.Fail, "that of node2 cannot be the VM's Haswell: missing avx2", "baseline"},
		{"CPU superset", func(in *input) { in.dst.CPU.Match = CPUSuperset }, "cpu", model.Pass, "and more", ""},
		{"CPU superset of the host's own", func(in *input) {
			in.dst.CPU.Match, in.vm.Domain.CPUMode = CPUSuperset, "host-passthrough"
		}, "cpu", model.Warn, "has more features", ""},
		{"CPU unknown", func(in *input) { in.dst.CPU = CPUFact{Detail: "unsupported"} }, "cpu", model.Warn, "not known; if it cannot, the move ends before the switch: unsupported", ""},
		{"default CPU", func(in *input) { in.vm.Domain.CPUXML, in.dst.CPU = "", CPUFact{} }, "cpu", model.Pass, "QEMU's default CPU", ""},

		{"host device", func(in *input) { in.vm.Domain.Hostdevs = []string{"pci 0000:3b:00.0"} }, "host-devices", model.Fail, "devices of node1: pci 0000:3b:00.0", "detach"},
		{"virtiofs", func(in *input) { in.vm.Domain.Filesystems = []string{"virtiofs /home"} }, "filesystems", model.Fail, "virtiofs /home", ""},
		{"sealed memory", func(in *input) { in.vm.Domain.LaunchSecurity = "sev" }, "launch-security", model.Fail, "sealed (sev)", ""},
		{"TPM of the host", func(in *input) { in.vm.Domain.TPM = "passthrough" }, "tpm", model.Fail, "passthrough", ""},
		{"emulated TPM", func(in *input) { in.vm.Domain.TPM = "emulator" }, "tpm", model.Pass, "travels with the memory", ""},
		{"emulated TPM without the programs", func(in *input) { in.vm.Domain.TPM, in.dst.NoTPM = "emulator", []string{"swtpm", "swtpm_setup"} }, "tpm", model.Fail, "on node2 is no swtpm, swtpm_setup", "install swtpm and swtpm-tools on node2"},
		{"TPM state where no TPM was yet", func(in *input) {
			in.r.Mode, in.vm.Domain.TPM = model.ModeOffline, "emulator"
			in.vm.Files = append(in.vm.Files, model.FilePlan{Path: "/var/lib/libvirt/swtpm/x", Role: model.FileTPM, Allocation: 4096})
		}, "file-tpm-x", model.Pass, "no VM with a TPM was on node2 yet, so /var/lib/libvirt/swtpm is made", ""},
		{"huge pages", func(in *input) { in.vm.Domain.Hugepages = true }, "hugepages", model.Warn, "not looked at", "freepages"},

		{"no network", func(in *input) { in.dst.Networks = map[string]bool{} }, "nic-2", model.Fail, "node2 has no network default", "net-define"},
		{"network off", func(in *input) { in.dst.Networks["default"] = false }, "nic-2", model.Fail, "not active", "on node2: virsh net-start default"},
		{"networks unknown", func(in *input) { in.dst.Networks = nil }, "nic-2", model.Warn, "not known", ""},
		{"no bridge", func(in *input) { in.dst.Bridges = []string{"virbr0"} }, "nic-1", model.Fail, "node2 has no bridge br0", "make a bridge"},
		{"bridges unknown", func(in *input) { in.dst.Bridges = nil }, "nic-1", model.Warn, "not known", ""},
		{"macvtap", func(in *input) { in.vm.Domain.NICs[0] = model.NIC{Type: "direct", Source: "eth0"} }, "nic-1", model.Warn, "eth0 of node1", ""},
		{"SR-IOV", func(in *input) { in.vm.Domain.NICs[0].Type = "hostdev" }, "nic-1", model.Fail, "device of node1 itself", ""},
		{"user network", func(in *input) { in.vm.Domain.NICs[0].Type = "user" }, "nic-1", model.Warn, "QEMU's own network", ""},
		{"other interface", func(in *input) { in.vm.Domain.NICs[0].Type = "vhostuser" }, "nic-1", model.Warn, "vhostuser", ""},

		{"kernel", func(in *input) { in.vm.Domain.Kernel, in.dst.Files["/boot/vmlinuz"] = "/boot/vmlinuz", false }, "kernel", model.Fail, "node2 has no /boot/vmlinuz", "copy it"},
		{"kernel there", func(in *input) { in.vm.Domain.Kernel, in.dst.Files["/boot/vmlinuz"] = "/boot/vmlinuz", true }, "kernel", model.Pass, "is there", ""},
		{"initrd unknown", func(in *input) { in.vm.Domain.Initrd = "/boot/initrd" }, "initrd", model.Warn, "not known", ""},
		{"firmware", func(in *input) { in.vm.Domain.Loader, in.dst.Files["/usr/share/OVMF.fd"] = "/usr/share/OVMF.fd", false }, "firmware", model.Fail, "node2 has no /usr/share/OVMF.fd", "firmware package"},
		{"NVRAM", func(in *input) { in.vm.Domain.NVRAM = "/var/nv/web.fd" }, "nvram", model.Pass, "travel with the memory into web.fd", ""},
		{"NVRAM there", func(in *input) { in.vm.Domain.NVRAM, in.dst.Files["/var/nv/web.fd"] = "/var/nv/web.fd", true }, "nvram", model.Warn, "written over", ""},
		{"NVRAM template", func(in *input) {
			in.vm.Domain.NVRAM, in.vm.Domain.NVRAMTemplate, in.dst.Files["/t.fd"] = "/var/nv/web.fd", "/t.fd", false
		}, "nvram", model.Fail, "no /t.fd", ""},

		{"memory", func(in *input) { in.dst.MemFree = 3 * gib }, "memory", model.Fail, "needs 2.1 GiB", "free 128 MiB on node2"},
		{"memory to grow into", func(in *input) { in.vm.Domain.MaxMemory = 16 * gib }, "memory", model.Warn, "may grow to 16 GiB", ""},
		{"memory unknown", func(in *input) { in.dst.MemTotal = 0 }, "memory", model.Fail, "not known", ""},
		{"more reserved than free", func(in *input) { in.dst.MemReserved = 9 * gib }, "memory", model.Fail, "stay with the host", ""},
		{"absurd memory", func(in *input) { in.vm.Domain.Memory = ^uint64(0) }, "memory", model.Fail, "", ""},
		{"vCPUs", func(in *input) { in.dst.CPUs = 1 }, "vcpus", model.Warn, "2 vCPUs, and node2 has 1 CPU", ""},

		{"old protocol", func(in *input) { in.dst.MigrationParams = false }, "protocol", model.Fail, "libvirt 9.0.0 on node2", "update libvirt on node2"},
		{"older libvirt", func(in *input) { in.dst.Libvirt = "8.0.0" }, "libvirt-version", model.Warn, "node2 has 8.0.0, older than 9.0.0 on node1", "update"},
		{"newer libvirt", func(in *input) { in.dst.Libvirt = "11.3.0" }, "libvirt-version", model.Pass, "", ""},
		{"libvirt unknown", func(in *input) { in.dst.Libvirt = "" }, "libvirt-version", model.Warn, "not known", ""},
		{"older QEMU", func(in *input) { in.src.QEMU = "10.0.2" }, "qemu-version", model.Warn, "node2 has 7.2.22, older than 10.0.2 on node1; it has the machine type", ""},
		{"older QEMU without the machine", func(in *input) {
			in.src.QEMU, in.vm.Domain.Machine = "10.0.2", "pc-q35-10.0"
		}, "qemu-version", model.Fail, "does not have the machine type pc-q35-10.0", "update QEMU"},
		{"older fix of QEMU", func(in *input) { in.dst.QEMU = "7.2.1" }, "qemu-version", model.Pass, "", ""},
		{"QEMU unknown", func(in *input) { in.src.QEMU = "x" }, "qemu-version", model.Warn, "not known", ""},
		{"no address", func(in *input) { in.dst.MigrateAddr = "" }, "migrate-address", model.Warn, "its own host name", "migrate_address of node2"},
		{"loopback address", func(in *input) { in.dst.MigrateAddr = "127.0.0.1" }, "migrate-address", model.Fail, "leads node1 back to itself", ""},
		{"localhost", func(in *input) { in.dst.MigrateAddr = "localhost" }, "migrate-address", model.Fail, "back to itself", ""},
		{"transient", func(in *input) { in.vm.Status.Persistent = false }, "transient", model.Pass, "until the move is confirmed", ""},
		{"no agent", func(in *input) { in.vm.Agent = model.AgentNone }, "agent", model.Pass, "has none", ""},
		{"agent away", func(in *input) { in.vm.Agent = model.AgentDisconnected }, "agent", model.Pass, "no agent is behind it", ""},
		{"encryption", func(*input) {}, "encryption", model.Pass, "not encrypted", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			tt.spoil(&in)
			p := in.plan()
			f := find(t, p, tt.id)
			if f.Verdict != tt.verdict || !strings.Contains(f.Detail, tt.detail) || !strings.Contains(f.Remedy, tt.remedy) {
				t.Errorf("got %s: %s; %s\nwant %s: %s; %s", f.Verdict, f.Detail, f.Remedy, tt.verdict, tt.detail, tt.remedy)
			}
			if tt.verdict == model.Fail && (f.Remedy == "" || len(p.Steps) > 0 || p.Blocking() == nil) {
				t.Errorf("a refused plan with remedy %q, %d steps", f.Remedy, len(p.Steps))
			}
		})
	}
}

func state(s model.DomainState, reason string) model.DomainStatus {
	return model.DomainStatus{State: s, Reason: reason, Persistent: true}
}

func emulated(in *input, qemu string, ram uint64) {
	in.vm.Domain.Type, in.vm.BaseRAM = "qemu", ram
	in.src.QEMU, in.dst.QEMU = qemu, qemu
	in.dst.VirtTypes = []string{"qemu"}
}
