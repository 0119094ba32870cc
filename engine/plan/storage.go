package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"horcrux/engine/model"
)

// diskRule has one finding for each disk: its decision in words.
func diskRule(f *facts) []model.Finding {
	var out []model.Finding
	for i, p := range f.disks {
		id, title := "disk-"+p.Target, "disk "+p.Target
		if p.Device == "cdrom" || p.Device == "floppy" {
			title = p.Device + " " + p.Target
		}
		switch {
		case p.Decision == model.DiskRefuse:
			out = append(out, fail(id, title, p.Reason, diskRemedy(f, f.vm.Domain.Disks[i])))
		case p.Decision == model.DiskCopy && len(f.vm.Domain.Disks[i].Chain) > 0 && !byFile(f.r.Mode):
			out = append(out, warn(id, title, p.Reason, "nothing, if one whole file is welcome; else move it by the mode offline"))
		default:
			out = append(out, pass(id, title, "%s: %s", p.Decision, p.Reason))
		}
	}
	return out
}

// diskRemedy says what would make a refused disk movable.
func diskRemedy(f *facts, d Disk) string {
	dir := path.Dir(d.Source)
	there := f.dst.Files[d.Source] || f.dst.Volumes[d.Source].Exists
	drive := d.Device == "cdrom" || d.Device == "floppy"
	switch {
	case d.Transient:
		return "the mode offline will move it"
	case path.IsAbs(d.Source) && noPool(f, d) != "":
		return poolRemedy(f, d.Pool, dir)
	case d.Type == "volume" && !path.IsAbs(d.Source):
		pool, volume, _ := strings.Cut(d.Source, "/")
		return fmt.Sprintf("name the file itself, as <disk type='file'> with <source file='…'/>: on %s: ", f.src.Name) +
			command("virsh vol-path %s --pool %s; virsh edit %s", volume, pool, f.vm.Domain.Name) + "; it counts from the VM's next start"
	case d.Type != "file" && d.Type != "block" && d.Type != "volume", !path.IsAbs(d.Source):
		return "put the disk on a file or a block device"
	case drive && (!there || !d.ReadOnly):
		return "eject it: " + command("virsh change-media %s %s --eject --live --config", f.vm.Domain.Name, d.Target) + fmt.Sprintf("; or copy the file to %s", f.dst.Name)
	case d.ReadOnly:
		return fmt.Sprintf("copy the file to %s", f.dst.Name)
	case d.Type == "block" && mayBeEmptied(f, d):
		return fmt.Sprintf("if what %s has there is not needed, empty both ends of it on %s: ", f.dst.Name, f.dst.Name) +
			command("dd if=/dev/zero of=%s bs=4096 count=256 conv=nocreat && dd if=/dev/zero of=%s bs=4096 count=256 conv=nocreat seek=%s",
				d.Source, d.Source, strconv.FormatUint(d.Capacity/4096-256, 10))
	case d.Type == "block":
		return fmt.Sprintf("make an empty device of %d bytes at that path on %s, or put the disk on shared storage", d.Capacity, f.dst.Name)
	case uncopyable(d, model.DiskPlan{Disk: model.Disk{Format: formatOf(d)}}) != "":
		return "put it on storage that both nodes see, or wait for the mode offline"
	case there:
		return fmt.Sprintf("if %s is shared storage, see that both nodes mount it there; if not, move the file on %s away", dir, f.dst.Name)
	}
	return poolRemedy(f, d.Pool, dir)
}

// poolRemedy makes or starts a pool on the target.
func poolRemedy(f *facts, name, dir string) string {
	if pool, ok := poolFor(f.dst.Pools, dir, name); ok && !pool.Active {
		return fmt.Sprintf("on %s: ", f.dst.Name) + command("virsh pool-start %s", pool.Name)
	}
	if name == "" {
		name = path.Base(dir)
	}
	return fmt.Sprintf("on %s: ", f.dst.Name) + command("virsh pool-define-as %s dir --target %s && virsh pool-build %s && virsh pool-start %s", name, dir, name, name)
}

// mayBeEmptied tells that only what is on the target's device stands in the way.
func mayBeEmptied(f *facts, d Disk) bool {
	v := f.dst.Volumes[d.Source]
	return f.proofs[d.Target].Separate && v.Exists && v.User == "" && v.Capacity == d.Capacity && d.Capacity >= 2<<20
}

func formatOf(d Disk) string {
	if d.Format == "" {
		return "raw"
	}
	return d.Format
}

// safeCache are the cache modes with which no host keeps data of its own.
func safeCache(mode string) bool { return mode == "none" || mode == "directsync" }

// written tells that a disk is written and stays where it is: what libvirt's
// test of shared storage is about.
func written(p model.DiskPlan) bool { return p.Decision == model.DiskShared && !p.ReadOnly }

// overrule is the rule for Plan.Unsafe; the package comment has it in words.
func overrule(disks []model.DiskPlan) bool {
	needed := false
	for _, p := range disks {
		if p.Decision == model.DiskRefuse {
			return false
		}
		if !written(p) || p.Type == "network" {
			continue
		}
		if !safeCache(p.Cache) {
			return false
		}
		needed = true
	}
	return needed
}

// localFS are file systems that libvirt takes for one host's own, by the names
// that stat(1) has for them. Of the others it knows some as shared (nfs, ceph,
// gfs2 …) and finds out others in ways that cannot be repeated here.
var localFS = map[string]bool{
	"ext2/ext3": true, "ext4": true, "xfs": true, "btrfs": true, "zfs": true, "f2fs": true, "bcachefs": true,
	"reiserfs": true, "jfs": true, "tmpfs": true, "overlayfs": true,
}

// cacheRule: a shared disk that a host caches is left to libvirt's own test,
// which takes it only on file systems that it knows as shared.
func cacheRule(f *facts) []model.Finding {
	var out []model.Finding
	for _, p := range f.disks {
		if !written(p) || p.Type == "network" || safeCache(p.Cache) {
			continue
		}
		id, title := "cache-"+p.Target, "cache of "+p.Target
		mode := p.Cache
		if mode == "" || mode == "default" {
			mode = "writeback, QEMU's default"
		}
		remedy := fmt.Sprintf("set cache='none' for %s in the VM's definition and restart the VM", p.Target)
		fs := f.proofs[p.Target].FS
		detail := fmt.Sprintf("the disk is shared and its cache mode is %s, so libvirt's own test of the storage cannot be overruled", mode)
		if localFS[fs] {
			out = append(out, fail(id, title, detail+"; libvirt does not take "+fs+" for shared and would refuse the move", remedy))
			continue
		}
		out = append(out, warn(id, title, detail+"; libvirt may refuse the move before it begins", remedy))
	}
	return out
}

// spaceRule adds up what goes into each pool: what is allocated and 5 % more.
// That the disks may grow beyond it is worth a warning.
func spaceRule(f *facts) []model.Finding {
	if byFile(f.r.Mode) {
		return coldSpaceRule(f)
	}
	type sum struct{ need, most uint64 }
	sums := map[string]sum{}
	for _, p := range f.disks {
		if p.Decision == model.DiskCopy && p.Create {
			s := sums[p.Pool]
			s.need = plus(s.need, plus(p.Allocation, p.Allocation/20))
			s.most = plus(s.most, max(p.Capacity, p.Allocation))
			sums[p.Pool] = s
		}
	}
	var out []model.Finding
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		i := slices.IndexFunc(f.dst.Pools, func(p model.Pool) bool { return p.Name == name })
		pool, s := f.dst.Pools[i], sums[name]
		id, title := "space-"+name, "space in "+name
		detail := fmt.Sprintf("%s are needed (what is allocated, and 5 %%), %s are free on %s", size(s.need), size(pool.Available), f.dst.Name)
		switch {
		case s.need > pool.Available:
			out = append(out, fail(id, title, detail, fmt.Sprintf("free %s there, or choose another target", size(s.need-pool.Available))))
		case s.most > pool.Available:
			out = append(out, warn(id, title, fmt.Sprintf("%s; the disks may grow to %s, and that would not fit", detail, size(s.most)), "enlarge the pool before they do"))
		default:
			out = append(out, pass(id, title, "%s", detail))
		}
	}
	return out
}
