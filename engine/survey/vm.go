package survey

import (
	"context"
	"fmt"
	"path"
	"slices"

	"golang.org/x/sync/errgroup"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/plan"
	"horcrux/engine/virt"
)

// vmFacts reads what the source says of the VM.
func vmFacts(ctx context.Context, n *fleet.Node, vm model.UUID) (plan.VMFacts, error) {
	var f plan.VMFacts
	c, err := n.Act(ctx)
	if err != nil {
		return f, err
	}
	if f.Status, err = c.Status(ctx, vm); err != nil {
		return f, err
	}
	if f.Status.State == model.StateMissing {
		return f, fmt.Errorf("%s has no VM with UUID %s", n.Name(), vm)
	}
	var g errgroup.Group
	g.Go(func() (err error) {
		f.ActiveXML, err = c.XML(ctx, vm, virt.XMLOptions{Secure: true})
		return err
	})
	if f.Status.State == model.StatePaused {
		g.Go(func() error {
			stats, err := c.Stats(ctx, vm)
			f.NeverRan = err == nil && neverRan(stats.VCPUs) // without them the plan says less
			return nil
		})
	}
	g.Go(func() (err error) {
		f.Snapshots, err = c.SnapshotCount(ctx, vm)
		return err
	})
	if f.Status.Persistent {
		g.Go(func() (err error) {
			f.InactiveXML, err = c.XML(ctx, vm, virt.XMLOptions{Inactive: true, Secure: true})
			return err
		})
		g.Go(func() (err error) {
			f.TargetXML, err = c.XML(ctx, vm, virt.XMLOptions{Inactive: true, Secure: true, Migratable: true})
			return err
		})
		g.Go(func() (err error) {
			if f.Autostart, err = c.Autostart(ctx, vm); err == nil {
				f.ManagedSave, err = c.HasManagedSave(ctx, vm)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return f, err
	}
	dom, err := virt.ParseDomain(f.ActiveXML)
	if err != nil {
		return f, fmt.Errorf("cannot read the definition on %s: %w", n.Name(), err)
	}
	if err := c.Locate(ctx, &dom); err != nil {
		return f, err
	}
	f.Agent = dom.Agent
	f.Domain = domain(dom)
	f.Altered = virt.Altered(f.ActiveXML)
	if !f.ManagedSave && f.Status.Persistent && !f.Status.Live() {
		if f.ManagedSave, err = savedBesides(ctx, n, dom.Name); err != nil {
			return f, err
		}
	}
	if dom.Type == "qemu" && f.Status.Live() {
		f.BaseRAM, _ = c.BaseRAM(ctx, vm) // without it the plan says less, and is as right
	}
	return f, disks(ctx, c, vm, &f)
}

// savedBesides looks for a saved state that libvirt has not noticed: one that came
// as a file is found when the VM starts, and only then.
func savedBesides(ctx context.Context, n *fleet.Node, name string) (bool, error) {
	res, err := n.Exec(ctx, []string{"test", "-f", path.Join(saveRoot, name+".save")}, nil)
	if err != nil {
		return false, fmt.Errorf("cannot look for a saved state on %s: %w", n.Name(), err)
	}
	return res.Code == 0, nil
}

// neverRan tells that no vCPU has used any time, where each of them is timed.
func neverRan(vcpus []model.VCPUStat) bool {
	return len(vcpus) > 0 && !slices.ContainsFunc(vcpus, func(v model.VCPUStat) bool { return !v.Timed || v.Time > 0 })
}

// domain takes over what the rules of a plan need.
func domain(d virt.Domain) plan.Domain {
	out := plan.Domain{
		UUID: d.UUID, Name: d.Name, Type: d.Type, Arch: d.Arch, Machine: d.Machine, Emulator: d.Emulator, VCPUs: d.VCPUs,
		Memory: d.Memory, MaxMemory: d.MaxMemory, CPUMode: d.CPUMode, CPUModel: d.CPUModel, CPUXML: d.CPUXML,
		NICs: d.NICs, Hostdevs: d.Hostdevs, Loader: d.Loader, NVRAM: d.NVRAM, NVRAMTemplate: d.NVRAMTemplate,
		Kernel: d.Kernel, Initrd: d.Initrd, DTB: d.DTB, TPM: d.TPM, LaunchSecurity: d.LaunchSecurity, Hugepages: d.Hugepages,
		Job: d.Job, JobRole: d.JobRole, Mark: d.Mark,
	}
	for _, f := range d.Filesystems {
		out.Filesystems = append(out.Filesystems, f.Driver+" "+f.Source)
	}
	for _, x := range d.Disks {
		disk := plan.Disk{Disk: x.Disk, Pool: x.Pool, StartupPolicy: x.StartupPolicy, Transient: x.Transient, Encrypted: x.Encrypted, Mirror: x.Mirror}
		for _, b := range x.Chain {
			// libvirt ends each chain with an empty layer.
			if b.Path != "" {
				disk.Chain = append(disk.Chain, b.Path)
			}
		}
		out.Disks = append(out.Disks, disk)
	}
	return out
}

// disks fills in sizes, and which disks have a block job.
func disks(ctx context.Context, c *virt.Conn, vm model.UUID, f *plan.VMFacts) error {
	for i := range f.Domain.Disks {
		d := &f.Domain.Disks[i]
		if d.Source == "" {
			continue
		}
		capacity, allocation, _, err := c.BlockInfo(ctx, vm, d.Target)
		if err != nil {
			return err
		}
		d.Capacity, d.Allocation = capacity, allocation
		if !f.Status.Live() || d.Device != "disk" {
			continue
		}
		found, _, err := c.BlockJob(ctx, vm, d.Target)
		if err != nil {
			return err
		}
		if found {
			f.BlockJobs = append(f.BlockJobs, d.Target)
		}
	}
	return nil
}
