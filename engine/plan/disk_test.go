package plan

import (
	"strings"
	"testing"

	"horcrux/engine/model"
)

func TestDiskDecisions(t *testing.T) {
	iso := "/iso/debian.iso"
	tests := []struct {
		name     string
		spoil    func(in *input, d *Disk) // d is vda, which is copied
		decision model.DiskDecision
		verdict  model.Verdict
		reason   string
		remedy   string
	}{
		{"F1 copy", func(*input, *Disk) {}, model.DiskCopy, model.Pass, "4.0 GiB of 20 GiB to copy into the pool images", ""},
		{"raw by default", func(_ *input, d *Disk) { d.Format = "" }, model.DiskCopy, model.Pass, "", ""},
		{"F2 no pool", func(in *input, _ *Disk) { in.dst.Pools = nil }, model.DiskRefuse, model.Fail, "node2 has no storage pool for /var/lib/libvirt/images", "virsh pool-define-as images dir --target /var/lib/libvirt/images"},
		{"pool of a parent directory", func(in *input, _ *Disk) { in.dst.Pools[0].Path = "/var/lib/libvirt" }, model.DiskRefuse, model.Fail, "no storage pool", ""},
		{"pool off", func(in *input, _ *Disk) { in.dst.Pools[0].Active = false }, model.DiskRefuse, model.Fail, "the storage pool images of node2 is not active", "virsh pool-start images"},
		{"pool without files", func(in *input, _ *Disk) { in.dst.Pools[0].Type = "logical" }, model.DiskRefuse, model.Fail, "no storage pool", ""},
		{"of two pools the active one", func(in *input, _ *Disk) {
			off := in.dst.Pools[0]
			off.Name, off.Active = "old", false
			in.dst.Pools = append([]model.Pool{off}, in.dst.Pools...)
		}, model.DiskCopy, model.Pass, "into the pool images", ""},
		{"a slash too many", func(in *input, _ *Disk) { in.dst.Pools[0].Path += "/" }, model.DiskCopy, model.Pass, "", ""},

		{"file there", func(in *input, _ *Disk) { in.dst.Files[image] = true }, model.DiskRefuse, model.Fail, "node2 has a file " + image + " already, and it was not proved to be the same one", "is shared storage"},
		{"file there and another one", func(in *input, _ *Disk) {
			in.dst.Files[image] = true
			in.proofs["vda"] = Proof{Separate: true, Detail: "the mark is not seen"}
		}, model.DiskRefuse, model.Fail, "the mark is not seen", ""},
		{"volume there", func(in *input, _ *Disk) { in.dst.Volumes[image] = VolumeFact{Exists: true} }, model.DiskRefuse, model.Fail, "already", ""},
		{"nobody looked", func(in *input, _ *Disk) { delete(in.dst.Files, image) }, model.DiskRefuse, model.Fail, "whether node2 has " + image + " is not known", ""},
		{"shared", func(in *input, _ *Disk) {
			in.dst.Files[image] = true
			in.proofs["vda"] = Proof{Proved: true}
		}, model.DiskShared, model.Pass, "both nodes see the same bytes", ""},
		{"shared without its layer", func(in *input, d *Disk) {
			in.proofs["vda"] = Proof{Proved: true}
			d.Chain = []string{"/base.qcow2"}
		}, model.DiskRefuse, model.Fail, "does not see the layer below it, /base.qcow2", ""},
		{"shared with its layer", func(in *input, d *Disk) {
			in.proofs["vda"] = Proof{Proved: true}
			d.Chain, in.dst.Files["/base.qcow2"] = []string{"/base.qcow2"}, true
		}, model.DiskShared, model.Pass, "", ""},
		{"F10 layers", func(_ *input, d *Disk) { d.Chain = []string{"/base.qcow2"} }, model.DiskCopy, model.Warn, "its layers become one file", ""},

		{"transient", func(_ *input, d *Disk) { d.Transient = true }, model.DiskRefuse, model.Fail, "thrown away", "offline"},
		{"shareable", func(_ *input, d *Disk) { d.Shareable = true }, model.DiskRefuse, model.Fail, "several VMs", "both nodes see"},
		{"lun", func(_ *input, d *Disk) { d.Device = "lun" }, model.DiskRefuse, model.Fail, "SCSI device", ""},
		{"encrypted", func(_ *input, d *Disk) { d.Encrypted = true }, model.DiskRefuse, model.Fail, "encrypted", ""},
		{"encrypted and shared", func(in *input, d *Disk) { d.Encrypted, in.proofs["vda"] = true, Proof{Proved: true} }, model.DiskShared, model.Pass, "", ""},
		{"format", func(_ *input, d *Disk) { d.Format = "vmdk" }, model.DiskRefuse, model.Fail, "its format vmdk", ""},
		{"size", func(_ *input, d *Disk) { d.Capacity = 0 }, model.DiskRefuse, model.Fail, "size is not known", ""},
		{"relative path", func(_ *input, d *Disk) { d.Source = "images/x" }, model.DiskRefuse, model.Fail, "not absolute", "file or a block device"},
		{"crooked path", func(_ *input, d *Disk) { d.Source = "/a/../b" }, model.DiskRefuse, model.Fail, "not absolute and plain", ""},
		{"network", func(_ *input, d *Disk) { d.Type, d.Source = "network", "rbd://mon/pool/web" }, model.DiskShared, model.Pass, "on the network at rbd://mon/pool/web", ""},
		{"nvme", func(_ *input, d *Disk) { d.Type = "nvme" }, model.DiskRefuse, model.Fail, "its type nvme", "file or a block device"},
		{"volume", func(_ *input, d *Disk) { d.Type, d.Pool = "volume", "images" }, model.DiskCopy, model.Pass, "into the pool images", ""},
		{"volume by its name", func(_ *input, d *Disk) { d.Type, d.Pool, d.Source = "volume", "images", "images/data.qcow2" }, model.DiskRefuse, model.Fail, "whose volumes are no files", "virsh vol-path data.qcow2 --pool images; virsh edit"},
		{"volume of another pool", func(_ *input, d *Disk) { d.Type, d.Pool = "volume", "fast" }, model.DiskRefuse, model.Fail, "no storage pool fast", "pool-define-as fast"},

		{"F12 block, separate and empty", func(in *input, d *Disk) { block(in, d, VolumeFact{Exists: true, Capacity: d.Capacity, Blank: true}) }, model.DiskCopy, model.Pass, "onto the empty device /dev/vg/web of node2", ""},
		{"block, not known whether the same", func(in *input, d *Disk) {
			block(in, d, VolumeFact{Exists: true, Capacity: d.Capacity, Blank: true})
			in.proofs["vda"] = Proof{}
		}, model.DiskRefuse, model.Fail, "whether both nodes see the same device is not known", "empty device of 21474836480 bytes"},
		{"block, missing", func(in *input, d *Disk) { block(in, d, VolumeFact{}) }, model.DiskRefuse, model.Fail, "node2 has no device /dev/vg/web", ""},
		{"block, nobody looked", func(in *input, d *Disk) {
			block(in, d, VolumeFact{})
			delete(in.dst.Volumes, d.Source)
		}, model.DiskRefuse, model.Fail, "is not known", ""},
		{"block, other size", func(in *input, d *Disk) {
			block(in, d, VolumeFact{Exists: true, Capacity: d.Capacity + 512, Blank: true})
		}, model.DiskRefuse, model.Fail, "21474836480 bytes on node1 and 21474836992 on node2", ""},
		{"block, with data", func(in *input, d *Disk) { block(in, d, VolumeFact{Exists: true, Capacity: d.Capacity}) }, model.DiskRefuse, model.Fail, "not known to be empty", ""},
		{"block, shared", func(in *input, d *Disk) {
			block(in, d, VolumeFact{Exists: true, Capacity: d.Capacity})
			in.proofs["vda"] = Proof{Proved: true}
		}, model.DiskShared, model.Pass, "same bytes", ""},

		{"F6 ISO missing", func(in *input, d *Disk) { media(in, d, iso, false) }, model.DiskRefuse, model.Fail, "node2 has no " + iso, "virsh change-media web vda --eject"},
		{"ISO there", func(in *input, d *Disk) { media(in, d, iso, true) }, model.DiskPresent, model.Pass, "has a file of that name", ""},
		{"ISO, nobody looked", func(in *input, d *Disk) {
			media(in, d, iso, true)
			delete(in.dst.Files, iso)
		}, model.DiskRefuse, model.Fail, "not known", ""},
		{"ISO that may be missing", func(in *input, d *Disk) {
			media(in, d, iso, false)
			d.StartupPolicy = "optional"
		}, model.DiskPresent, model.Pass, "may do without", ""},
		{"read-only disk missing", func(in *input, d *Disk) {
			media(in, d, iso, false)
			d.Device = "disk"
		}, model.DiskRefuse, model.Fail, "no folder /iso to copy it into", "copy the file to node2"},
		{"floppy", func(in *input, d *Disk) {
			media(in, d, iso, true)
			d.Device, d.ReadOnly = "floppy", false
		}, model.DiskRefuse, model.Fail, "floppy", "--eject"},
		{"empty", func(_ *input, d *Disk) { d.Source = "" }, model.DiskEmpty, model.Pass, "empty drive", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			tt.spoil(&in, &in.vm.Domain.Disks[0])
			p := in.plan()
			d, f := p.Disks[0], find(t, p, "disk-vda")
			if d.Decision != tt.decision || f.Verdict != tt.verdict || !strings.Contains(d.Reason, tt.reason) || !strings.Contains(f.Remedy, tt.remedy) {
				t.Errorf("got %s, %s: %s; %s\nwant %s, %s: %s; %s", d.Decision, f.Verdict, d.Reason, f.Remedy, tt.decision, tt.verdict, tt.reason, tt.remedy)
			}
			if (d.Decision == model.DiskCopy) != (d.Path != "") || d.Create && d.Type == "block" {
				t.Errorf("path %q, create %t for %s", d.Path, d.Create, d.Decision)
			}
			if d.Decision == model.DiskCopy && d.Format == "" {
				t.Error("a copy without a format")
			}
		})
	}
}

func block(in *input, d *Disk, v VolumeFact) {
	d.Type, d.Source, d.Format = "block", "/dev/vg/web", "raw"
	in.dst.Volumes[d.Source] = v
	in.proofs["vda"] = Proof{Separate: true}
}

func media(in *input, d *Disk, path string, there bool) {
	d.Device, d.ReadOnly, d.Source, d.Format = "cdrom", true, path, "raw"
	in.dst.Files[path] = there
}

func TestUnsafe(t *testing.T) {
	disk := func(in *input, i int) *Disk { return &in.vm.Domain.Disks[i] }
	tests := []struct {
		name  string
		spoil func(*input)
		want  bool
	}{
		{"a shared disk with cache none", func(*input) {}, true},
		{"directsync", func(in *input) { disk(in, 1).Cache = "directsync" }, true},
		{"writeback", func(in *input) { disk(in, 1).Cache = "writeback" }, false},
		{"writethrough", func(in *input) { disk(in, 1).Cache = "writethrough" }, false},
		{"no cache mode is writeback", func(in *input) { disk(in, 1).Cache = "" }, false},
		{"nothing shared, nothing to overrule", func(in *input) { in.vm.Domain.Disks = in.vm.Domain.Disks[:1] }, false},
		{"a refused disk", func(in *input) { disk(in, 0).Transient = true }, false},
		{"the cache of a copied disk does not matter", func(in *input) { disk(in, 0).Cache = "writeback" }, true},
		{"nor that of read-only media", func(in *input) {
			disk(in, 2).Source, in.dst.Files["/i.iso"], disk(in, 2).Cache = "/i.iso", true, "writeback"
		}, true},
		{"nor that of a network disk", func(in *input) {
			in.vm.Domain.Disks = append(in.vm.Domain.Disks, Disk{Disk: model.Disk{Target: "vdc", Type: "network", Source: "rbd://m/p/v"}})
		}, true},
		{"a network disk alone needs nothing", func(in *input) {
			in.vm.Domain.Disks = []Disk{{Disk: model.Disk{Target: "vdc", Type: "network", Source: "rbd://m/p/v", Cache: "none"}}}
		}, false},
		{"one of two shared disks is cached", func(in *input) {
			in.vm.Domain.Disks = append(in.vm.Domain.Disks, Disk{Disk: model.Disk{Target: "vdc", Type: "file", Source: "/srv/shared/c", Cache: "writeback"}})
			in.proofs["vdc"] = Proof{Proved: true}
		}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			tt.spoil(&in)
			if got := in.plan().Unsafe; got != tt.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

func TestCacheOfSharedDisks(t *testing.T) {
	for fs, want := range map[string]model.Verdict{"": model.Warn, "nfs": model.Warn, "fuseblk": model.Warn, "ext2/ext3": model.Fail, "xfs": model.Fail} {
		in := good()
		in.vm.Domain.Disks[1].Cache = ""
		proof := in.proofs["vdb"]
		proof.FS = fs
		in.proofs["vdb"] = proof
		f := find(t, in.plan(), "cache-vdb")
		if f.Verdict != want || !strings.Contains(f.Detail, "writeback, QEMU's default") || !strings.Contains(f.Remedy, "cache='none'") {
			t.Errorf("%q: %+v", fs, f)
		}
	}
}

func TestSpace(t *testing.T) {
	tests := []struct {
		name      string
		available uint64
		want      model.Verdict
		detail    string
	}{
		{"enough", 20 * gib, model.Pass, "4.2 GiB are needed"},
		{"enough for now", 5 * gib, model.Warn, "may grow to 20 GiB"},
		{"the 5 % count", 4*gib + gib/10, model.Fail, "4.2 GiB are needed"},
		{"none", 0, model.Fail, "0 B are free on node2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			in.dst.Pools[0].Available = tt.available
			f := find(t, in.plan(), "space-images")
			if f.Verdict != tt.want || !strings.Contains(f.Detail, tt.detail) {
				t.Errorf("got %+v", f)
			}
		})
	}
	in := good()
	second := in.vm.Domain.Disks[0]
	second.Target, second.Source = "vdc", "/var/lib/libvirt/images/second.qcow2"
	in.dst.Files[second.Source] = false
	in.vm.Domain.Disks = append(in.vm.Domain.Disks, second)
	in.dst.Pools[0].Available = 6 * gib
	if f := find(t, in.plan(), "space-images"); f.Verdict != model.Fail || !strings.Contains(f.Detail, "8.4 GiB") {
		t.Errorf("two disks in one pool: %+v", f)
	}
}
