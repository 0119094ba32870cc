package migrate

import (
	"context"

	"horcrux/engine/model"
)

// rights are owner and mode of the images that both nodes see, as a host has
// them while a QEMU of its own uses them. The libvirtd that ends the other QEMU
// gives them to root where it remembers no owner (a file system without extended
// attributes, as NFS), and the guest that goes on can then not open them again.
func (j *Job) rights(ctx context.Context, h Host) (all []model.Rights) {
	if j.wasOff() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, d := range j.plan.Disks {
		if d.Decision != model.DiskShared || d.Type != "file" || d.ReadOnly || d.Source == "" {
			continue
		}
		r, err := h.Rights(ctx, d.Source)
		if err != nil {
			j.log("warn", h.Name(), "whose %s is cannot be seen: %v", d.Source, err)
			continue
		}
		all = append(all, r)
	}
	return all
}

// keepRights gives the images that both nodes see back to the target's QEMU, now
// that the source's has ended.
func (j *Job) keepRights(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	for _, r := range j.Journal.View().TargetRights {
		changed, err := j.Target.SetRights(ctx, r)
		switch {
		case err != nil:
			j.log("warn", j.plan.To, "%s may belong to nobody that the guest's QEMU is: %v", r.Path, err)
		case changed:
			j.log("info", j.plan.To, "%s belongs to the guest's QEMU again", r.Path)
		}
	}
}
