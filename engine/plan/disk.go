package plan

import (
	"fmt"
	"path"

	"horcrux/engine/model"
)

// decideDisks decides for each disk what becomes of its bytes. Whatever is not
// certain is refused: a wrong guess writes over data or leaves some behind.
func decideDisks(f *facts) []model.DiskPlan {
	out := make([]model.DiskPlan, 0, len(f.vm.Domain.Disks))
	for _, d := range f.vm.Domain.Disks {
		p, why := decide(f, d)
		p.Reason = why
		out = append(out, p)
	}
	return out
}

func refuse(p model.DiskPlan, format string, args ...any) (model.DiskPlan, string) {
	p.Decision = model.DiskRefuse
	return p, fmt.Sprintf(format, args...)
}

func decide(f *facts, d Disk) (model.DiskPlan, string) {
	p := model.DiskPlan{Disk: d.Disk, Named: d.Pool}
	if p.Format == "" && p.Source != "" {
		p.Format = "raw" // what libvirt takes a disk for that names no format
	}
	switch {
	case d.Source == "" && d.Type != "network":
		p.Decision = model.DiskEmpty
		return p, "an empty drive"
	case d.Transient && f.r.Mode != model.ModeOffline:
		return refuse(p, "what is written to it is thrown away with the process; libvirt does not move such disks")
	case d.Type == "network":
		p.Decision = model.DiskShared
		return p, fmt.Sprintf("on the network at %s, where both nodes reach it", d.Source)
	case d.Type != "file" && d.Type != "block" && d.Type != "volume":
		return refuse(p, "its type %s cannot be moved", d.Type)
	case d.Type == "volume" && !path.IsAbs(d.Source):
		return refuse(p, "its definition names it as a volume (%s) of a pool that is not there or whose volumes are no files", d.Source)
	case !path.IsAbs(d.Source) || path.Clean(d.Source) != d.Source:
		return refuse(p, "its path %q is not absolute and plain", d.Source)
	}
	if why := noPool(f, d); why != "" {
		return refuse(p, "%s", why)
	}
	proof := f.proofs[d.Target]
	if proof.Proved {
		return decideShared(f, d, p, proof)
	}
	if d.ReadOnly || d.Device == "cdrom" {
		return decideMedia(f, d, p)
	}
	if d.Device == "floppy" {
		return refuse(p, "a floppy that can be written to is neither shared nor copied")
	}
	if byFile(f.r.Mode) {
		return decideCold(f, d, p, proof)
	}
	if why := uncopyable(d, p); why != "" {
		return refuse(p, "%s", why)
	}
	if d.Type == "block" {
		return decideBlock(f, d, p, proof)
	}
	return decideFile(f, d, p, proof)
}

// noPool tells why the definition, which names the disk as a volume of a pool,
// would mean nothing on the target; empty if it would, or names the file itself.
func noPool(f *facts, d Disk) string {
	if d.Pool == "" {
		return ""
	}
	dir := path.Dir(d.Source)
	switch pool, ok := poolFor(f.dst.Pools, dir, d.Pool); {
	case !ok:
		return fmt.Sprintf("its definition names it as a volume of the pool %s, and %s has no storage pool %s for %s", d.Pool, f.dst.Name, d.Pool, dir)
	case !pool.Active:
		return fmt.Sprintf("its definition names it as a volume of the pool %s, which is not active on %s", d.Pool, f.dst.Name)
	}
	return ""
}

// decideShared: the layers below must be there too.
func decideShared(f *facts, d Disk, p model.DiskPlan, proof Proof) (model.DiskPlan, string) {
	for _, layer := range d.Chain {
		if !f.dst.Files[layer] {
			return refuse(p, "it is shared, but %s does not see the layer below it, %s", f.dst.Name, layer)
		}
	}
	p.Decision = model.DiskShared
	return p, withDetail("both nodes see the same bytes", proof)
}

func withDetail(s string, proof Proof) string {
	if proof.Detail == "" {
		return s
	}
	return s + ": " + proof.Detail
}

// decideMedia: libvirt copies nothing that is read-only. A file of the same name
// on the target is used if it proves to be the same; where there is none it is copied.
func decideMedia(f *facts, d Disk, p model.DiskPlan) (model.DiskPlan, string) {
	there, known := f.dst.Files[d.Source]
	switch {
	case !known:
		return refuse(p, "whether %s has %s is not known", f.dst.Name, d.Source)
	case !there && d.StartupPolicy == "optional":
		p.Decision = model.DiskPresent
		return p, fmt.Sprintf("%s has no %s, and the VM may do without", f.dst.Name, d.Source)
	case !there && d.Type == "file" && f.dst.Dirs[path.Dir(d.Source)].Exists:
		p.Decision, p.Path = model.DiskPresent, d.Source
		return p, fmt.Sprintf("read-only; %s has none of that name, so it is copied beforehand", f.dst.Name)
	case !there:
		return refuse(p, "%s has no %s, and no folder %s to copy it into", f.dst.Name, d.Source, path.Dir(d.Source))
	}
	p.Decision = model.DiskPresent
	return p, fmt.Sprintf("read-only, and %s has a file of that name; it is compared before anything is copied", f.dst.Name)
}

// uncopyable says why a disk that is not shared cannot be copied either.
func uncopyable(d Disk, p model.DiskPlan) string {
	switch {
	case d.Shareable:
		return "several VMs may write to it, so it must be shared and cannot be copied"
	case d.Device == "lun":
		return "it is a whole SCSI device of the host, so it must be shared and cannot be copied"
	case d.Encrypted:
		return "it is encrypted by QEMU, and a copy would need its key on the target"
	case p.Format != "raw" && p.Format != "qcow2":
		return fmt.Sprintf("its format %s cannot be copied while the VM runs; raw and qcow2 can", p.Format)
	case d.Capacity == 0:
		return "its size is not known"
	}
	return ""
}

// decideFile copies into a file of the same name in the pool that has its
// directory. A file that is there already and not proved to be the same one is
// somebody's, and is never written over.
func decideFile(f *facts, d Disk, p model.DiskPlan, proof Proof) (model.DiskPlan, string) {
	there, known := f.dst.Files[d.Source]
	volume := f.dst.Volumes[d.Source]
	dir := path.Dir(d.Source)
	switch {
	case there || volume.Exists:
		return refuse(p, "%s", withDetail(fmt.Sprintf("%s has a file %s already, and it was not proved to be the same one", f.dst.Name, d.Source), proof))
	case !known:
		return refuse(p, "whether %s has %s is not known", f.dst.Name, d.Source)
	}
	pool, ok := poolFor(f.dst.Pools, dir, d.Pool)
	switch {
	case !ok && d.Pool != "":
		return refuse(p, "%s has no storage pool %s for %s", f.dst.Name, d.Pool, dir)
	case !ok:
		return refuse(p, "%s has no storage pool for %s", f.dst.Name, dir)
	case !pool.Active:
		return refuse(p, "the storage pool %s of %s is not active", pool.Name, f.dst.Name)
	}
	p.Decision, p.Pool, p.Path, p.Create = model.DiskCopy, pool.Name, d.Source, true
	why := fmt.Sprintf("only on %s; %s of %s to copy into the pool %s", f.src.Name, size(d.Allocation), size(d.Capacity), pool.Name)
	if len(d.Chain) > 0 || d.Backing != "" {
		why += "; its layers become one file"
	}
	return p, why
}

// poolFor finds the pool whose files are right in dir: libvirt looks for no
// other. An active one is preferred.
func poolFor(pools []model.Pool, dir, name string) (model.Pool, bool) {
	var found model.Pool
	ok := false
	for _, p := range pools {
		if path.Clean(p.Path) != dir || name != "" && p.Name != name || !p.HoldsFiles() {
			continue
		}
		if p.Active {
			return p, true
		}
		found, ok = p, true
	}
	return found, ok
}

// decideBlock copies onto a device that is proved to be another one, has the
// same size, and holds nothing. Copying a device onto itself, or onto data,
// could not be undone.
func decideBlock(f *facts, d Disk, p model.DiskPlan, proof Proof) (model.DiskPlan, string) {
	v, known := f.dst.Volumes[d.Source]
	switch {
	case !proof.Separate:
		return refuse(p, "%s", withDetail("whether both nodes see the same device is not known", proof))
	case !known:
		return refuse(p, "what %s has at %s is not known", f.dst.Name, d.Source)
	case !v.Exists:
		return refuse(p, "%s has no device %s", f.dst.Name, d.Source)
	case v.Capacity != d.Capacity:
		return refuse(p, "%s has %d bytes on %s and %d on %s", d.Source, d.Capacity, f.src.Name, v.Capacity, f.dst.Name)
	case v.User != "":
		return refuse(p, "%s on %s belongs to the VM %s", d.Source, f.dst.Name, v.User)
	case !v.Blank:
		return refuse(p, "%s on %s is not known to be empty, and a copy would write over it", d.Source, f.dst.Name)
	}
	p.Decision, p.Path = model.DiskCopy, d.Source
	// A device has no holes that libvirt knows of.
	p.Allocation = d.Capacity
	return p, fmt.Sprintf("only on %s; %s to copy onto the empty device %s of %s", f.src.Name, size(d.Capacity), d.Source, f.dst.Name)
}
