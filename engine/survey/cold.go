package survey

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/plan"
	"horcrux/engine/store"
	"horcrux/engine/virt"
)

// The folders where libvirt's system daemon keeps what belongs to a VM.
const (
	tpmRoot  = "/var/lib/libvirt/swtpm"
	saveRoot = "/var/lib/libvirt/qemu/save"
)

// cold lists the files of a VM that no migration of libvirt carries: all of
// them for a move that copies files, media for every move.
func cold(ctx context.Context, n *fleet.Node, r model.Request, f *plan.VMFacts) error {
	if r.Mode == model.ModeOffline && f.InactiveXML != "" {
		if err := asDefined(ctx, n, f); err != nil {
			return err
		}
	}
	whole := r.Mode == model.ModeOffline || r.Mode == model.ModeBlock
	for i := range f.Domain.Disks {
		d := &f.Domain.Disks[i]
		if d.Type != "file" || !path.IsAbs(d.Source) {
			continue
		}
		var err error
		switch media := d.ReadOnly || d.Device == "cdrom"; {
		case media:
			err = side(ctx, n, f, d.Source, model.FileMedia, d.Target)
		case whole && (d.Device == "disk" || d.Device == "lun"):
			err = chain(ctx, n, f, d)
		}
		if err != nil {
			return err
		}
	}
	if !whole || r.Mode == model.ModeBlock && r.Options.Finish != model.FinishStop {
		return nil
	}
	if p := f.Domain.NVRAM; path.IsAbs(p) {
		if err := side(ctx, n, f, p, model.FileNVRAM, ""); err != nil {
			return err
		}
	}
	if f.Domain.TPM == "emulator" {
		if err := side(ctx, n, f, path.Join(tpmRoot, string(f.Domain.UUID)), model.FileTPM, ""); err != nil {
			return err
		}
	}
	if f.ManagedSave {
		return side(ctx, n, f, path.Join(saveRoot, f.Domain.Name+".save"), model.FileSave, "")
	}
	return nil
}

// asDefined takes the VM as its next start will make it, with the sizes and the
// sources that are known of what runs.
func asDefined(ctx context.Context, n *fleet.Node, f *plan.VMFacts) error {
	dom, err := virt.ParseDomain(f.InactiveXML)
	if err != nil {
		return fmt.Errorf("cannot read the definition: %w", err)
	}
	c, err := n.Act(ctx)
	if err != nil {
		return err
	}
	if err := c.Locate(ctx, &dom); err != nil {
		return err
	}
	was := f.Domain
	f.Domain = domain(dom)
	for i := range f.Domain.Disks {
		d := &f.Domain.Disks[i]
		for _, o := range was.Disks {
			if o.Target == d.Target && o.Source == d.Source {
				d.Capacity, d.Allocation = o.Capacity, o.Allocation
			}
		}
	}
	return nil
}

// chain lists an image with all that it lies on, from the bottom up: what is
// under a layer has to be there first.
func chain(ctx context.Context, n *fleet.Node, f *plan.VMFacts, d *plan.Disk) error {
	images, err := store.Chain(ctx, n, d.Source, f.Status.Live())
	if err != nil {
		f.FilesErr = err.Error()
		return ctx.Err()
	}
	d.Chain = nil
	var files []model.FilePlan
	for i, img := range images {
		p := img.Path
		role := model.FileLayer
		if i == 0 {
			p, role = d.Source, model.FileDisk
			d.DataFile, d.Internal = img.DataFile, img.Snapshots
			if d.Capacity == 0 {
				d.Capacity = uint64(img.VirtualSize)
			}
			d.Allocation = max(d.Allocation, uint64(max(img.ActualSize, 0)))
		} else {
			d.Chain = append(d.Chain, virt.Clean(p))
		}
		st, err := store.Look(ctx, n, p)
		if err == nil && virt.Clean(p) != p {
			err = fmt.Errorf("the layer %q has a name that cannot be handled safely", p)
		}
		if err != nil {
			f.FilesErr = err.Error()
			return ctx.Err()
		}
		files = append(files, fileOf(p, role, d.Target, img.Format, st))
	}
	slices.Reverse(files)
	f.Files = append(f.Files, files...)
	return nil
}

func fileOf(p string, role model.FileRole, disk, format string, st store.Stat) model.FilePlan {
	return model.FilePlan{
		Path: p, Role: role, Disk: disk, Format: format, Size: uint64(max(st.Size, 0)), Allocation: uint64(max(st.Allocated, 0)),
	}
}

// side adds one file that may be there or not: firmware that never ran has no
// variables yet.
func side(ctx context.Context, n *fleet.Node, f *plan.VMFacts, p string, role model.FileRole, disk string) error {
	st, err := store.Look(ctx, n, p)
	switch {
	case errors.Is(err, store.ErrNotThere):
		return nil
	case err != nil:
		f.FilesErr = err.Error()
		return ctx.Err()
	}
	f.Files = append(f.Files, fileOf(p, role, disk, "", st))
	return nil
}

// coldTarget looks on the target for the names that the files will have, and
// for the folders that they go into.
func coldTarget(ctx context.Context, n *fleet.Node, files []model.FilePlan, h *plan.HostFacts) {
	h.Dirs = map[string]plan.DirFact{}
	for _, f := range files {
		if _, looked := h.Files[f.Path]; !looked {
			_, err := store.Look(ctx, n, f.Path)
			if err == nil || errors.Is(err, store.ErrNotThere) {
				h.Files[f.Path] = err == nil
			}
		}
		dir := path.Dir(f.Path)
		if _, looked := h.Dirs[dir]; looked {
			continue
		}
		st, err := store.Look(ctx, n, dir)
		switch {
		case errors.Is(err, store.ErrNotThere):
			h.Dirs[dir] = plan.DirFact{}
		case err == nil && st.Kind == store.KindDir:
			fact := plan.DirFact{Exists: true}
			if space, err := store.Free(ctx, n, f.Path); err == nil {
				fact.Free = uint64(space.Free)
			}
			h.Dirs[dir] = fact
		}
	}
	if t, err := store.Probe(ctx, n); err == nil {
		h.CopyTools = t.Findings()
	}
}
