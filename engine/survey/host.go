package survey

import (
	"context"
	"encoding/xml"
	"path"
	"slices"
	"strings"

	"horcrux/engine/fleet"
	"horcrux/engine/plan"
	"horcrux/engine/virt"
)

// hostFacts asks one node what a plan for this VM needs. What cannot be found
// out stays unknown, which is never read as good news.
func hostFacts(ctx context.Context, n *fleet.Node, vm plan.VMFacts) plan.HostFacts {
	h := plan.HostFacts{Name: n.Name(), MigrateAddr: n.MigrateAddress()}
	c, err := n.Act(ctx)
	if err == nil {
		h.Files = files(ctx, n, vm.Domain)
		err = ask(ctx, c, vm, &h)
	}
	if err != nil {
		h.Reason = err.Error()
		return h
	}
	h.Reachable = true
	h.Bridges = bridges(ctx, n)
	return h
}

func ask(ctx context.Context, c *virt.Conn, vm plan.VMFacts, h *plan.HostFacts) error {
	info, err := c.Host(ctx)
	if err != nil {
		return err
	}
	h.Hostname, h.HostUUID, h.Libvirt, h.QEMU, h.Arch = info.Hostname, info.HostUUID, info.Libvirt, info.QEMU, info.Arch
	h.CPUs, h.MemTotal = info.CPUs, info.MemTotal
	load, err := c.Load(ctx)
	if err != nil {
		return err
	}
	h.MemFree = load.MemFree
	if load.MemTotal > 0 {
		// What is free is of this total; the other figure may leave out memory
		// that was plugged in later.
		h.MemTotal = load.MemTotal
	}
	// What a host keeps for itself: 5 % of its memory, 256 MiB at least.
	h.MemReserved = max(h.MemTotal/20, 256<<20)
	if h.MigrationV3, err = c.SupportsFeature(ctx, featureMigrationV3); err != nil {
		return err
	}
	if h.MigrationParams, err = c.SupportsFeature(ctx, featureMigrationParams); err != nil {
		return err
	}
	if h.Pools, err = c.Pools(ctx); err != nil {
		return err
	}
	nets, err := c.Networks(ctx)
	if err != nil {
		return err
	}
	h.Networks = map[string]bool{}
	for _, n := range nets {
		h.Networks[n.Name] = n.Active
	}
	if err := domains(ctx, c, vm, h); err != nil {
		return err
	}
	machines(ctx, c, vm.Domain, h)
	return volumes(ctx, c, vm.Domain, h)
}

// libvirt's numbers for what a daemon can do (VIR_DRV_FEATURE_*).
const (
	featureMigrationV3     = 6
	featureMigrationParams = 13
)

// domains lists what the node has, and reads the marks of those that could
// stand in the way: same name or same UUID.
func domains(ctx context.Context, c *virt.Conn, vm plan.VMFacts, h *plan.HostFacts) error {
	refs, err := c.Domains(ctx)
	if err != nil {
		return err
	}
	h.Domains = []plan.DomainFact{}
	for _, r := range refs {
		d := plan.DomainFact{UUID: r.UUID, Name: r.Name}
		if r.UUID == vm.Domain.UUID || r.Name == vm.Domain.Name {
			st, err := c.Status(ctx, r.UUID)
			if err != nil {
				return err
			}
			d.State = st.State
			if text, err := c.XML(ctx, r.UUID, virt.XMLOptions{Inactive: st.Persistent}); err == nil {
				if dom, err := virt.ParseDomain(text); err == nil {
					d.Job, d.Tombstone = dom.Job, dom.JobRole == "tombstone"
				}
			}
		}
		h.Domains = append(h.Domains, d)
	}
	return nil
}

// guestCaps are the parts of libvirt's capabilities that name machine types.
type guestCaps struct {
	Guests []struct {
		Arch struct {
			Name     string    `xml:"name,attr"`
			Emulator string    `xml:"emulator"`
			Machines []machine `xml:"machine"`
			Domains  []struct {
				Type     string    `xml:"type,attr"`
				Emulator string    `xml:"emulator"`
				Machines []machine `xml:"machine"`
			} `xml:"domain"`
		} `xml:"arch"`
	} `xml:"guest"`
}

type machine struct {
	Canonical string `xml:"canonical,attr"`
	Name      string `xml:",chardata"`
}

// machines reads what the node can emulate for the VM's architecture.
func machines(ctx context.Context, c *virt.Conn, d plan.Domain, h *plan.HostFacts) {
	text, err := c.Capabilities(ctx)
	var caps guestCaps
	if err != nil || xml.Unmarshal([]byte(text), &caps) != nil {
		return
	}
	add := func(list *[]string, s string) {
		if s = virt.Clean(strings.TrimSpace(s)); s != "" && !slices.Contains(*list, s) {
			*list = append(*list, s)
		}
	}
	h.Emulators, h.VirtTypes, h.Machines = []string{}, []string{}, []string{}
	for _, g := range caps.Guests {
		if g.Arch.Name != d.Arch {
			continue
		}
		add(&h.Emulators, g.Arch.Emulator)
		all := g.Arch.Machines
		for _, dom := range g.Arch.Domains {
			add(&h.VirtTypes, dom.Type)
			add(&h.Emulators, dom.Emulator)
			all = append(all, dom.Machines...)
		}
		for _, m := range all {
			add(&h.Machines, m.Name)
			add(&h.Machines, m.Canonical)
		}
	}
	compareCPU(ctx, c, d, h)
}

// compareCPU asks the node whether it can give the VM its CPU.
func compareCPU(ctx context.Context, c *virt.Conn, d plan.Domain, h *plan.HostFacts) {
	if d.CPUXML == "" {
		return
	}
	got, err := c.CompareCPU(ctx, d.Emulator, d.Arch, d.Machine, d.Type, d.CPUXML)
	switch {
	case err != nil:
		h.CPU.Detail = err.Error()
	case got == virt.CPUIdentical:
		h.CPU.Match = plan.CPUIdentical
	case got == virt.CPUSuperset:
		h.CPU.Match = plan.CPUSuperset
	case got == virt.CPUIncompatible:
		h.CPU.Match = plan.CPUIncompatible
	}
}

// volumes looks at what is at the paths of the VM's disks.
func volumes(ctx context.Context, c *virt.Conn, d plan.Domain, h *plan.HostFacts) error {
	h.Volumes = map[string]plan.VolumeFact{}
	for _, disk := range d.Disks {
		if disk.Source == "" || disk.Type != "file" {
			continue
		}
		v, found, err := c.VolumeByPath(ctx, disk.Source)
		if err != nil {
			return err
		}
		// libvirt's list may still have a file that was removed beside it.
		if there, looked := h.Files[disk.Source]; looked {
			found = there
		}
		h.Volumes[disk.Source] = plan.VolumeFact{Exists: found, Capacity: v.Capacity, Allocation: v.Allocation, Format: v.Format}
	}
	return nil
}

// bridges lists the node's bridges, nil if they cannot be read.
func bridges(ctx context.Context, n *fleet.Node) []string {
	res, err := n.Exec(ctx, []string{"find", "-L", "/sys/class/net", "-mindepth", "2", "-maxdepth", "2", "-name", "bridge", "-type", "d"}, nil)
	if err != nil {
		return nil
	}
	found := []string{}
	for _, line := range strings.Split(string(res.Stdout), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			found = append(found, virt.Clean(path.Base(path.Dir(line))))
		}
	}
	if len(found) == 0 && res.Code != 0 {
		return nil
	}
	return found
}

// files looks for every path that the VM names.
func files(ctx context.Context, n *fleet.Node, d plan.Domain) map[string]bool {
	var paths []string
	add := func(p string) {
		if path.IsAbs(p) && path.Clean(p) == p && !strings.ContainsAny(p, "\x00\n") && !slices.Contains(paths, p) {
			paths = append(paths, p)
		}
	}
	for _, disk := range d.Disks {
		if disk.Type == "file" || disk.Type == "block" {
			add(disk.Source)
		}
		for _, b := range disk.Chain {
			add(b)
		}
	}
	for _, p := range []string{d.Loader, d.NVRAM, d.NVRAMTemplate, d.Kernel, d.Initrd, d.DTB} {
		add(p)
	}
	if len(paths) == 0 {
		return map[string]bool{}
	}
	out := map[string]bool{}
	for _, p := range paths {
		res, err := n.Exec(ctx, []string{"test", "-e", p}, nil)
		if err == nil && res.Code <= 1 {
			out[p] = res.Code == 0
		}
	}
	return out
}
