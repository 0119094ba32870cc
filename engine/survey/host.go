package survey

import (
	"context"
	"encoding/xml"
	"path"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"horcrux/engine/fleet"
	"horcrux/engine/plan"
	"horcrux/engine/virt"
)

// hostFacts asks one node what a plan for this VM needs, all at once. What
// cannot be found out stays unknown, which is never read as good news.
func hostFacts(ctx context.Context, n *fleet.Node, vm plan.VMFacts) plan.HostFacts {
	h := plan.HostFacts{Name: n.Name(), MigrateAddr: n.MigrateAddress()}
	var g errgroup.Group
	g.Go(func() error {
		h.Files, h.Bridges = files(ctx, n, vm.Domain)
		return nil
	})
	g.Go(func() error {
		h.TLS = tlsFact(ctx, n)
		return nil
	})
	g.Go(func() error {
		h.User, h.Unwritable = n.User(), unwritable(ctx, n, vm.Domain)
		return nil
	})
	g.Go(func() error {
		c, err := n.Act(ctx)
		if err != nil {
			return err
		}
		return ask(ctx, c, vm, &h)
	})
	if err := g.Wait(); err != nil {
		return plan.HostFacts{Name: h.Name, MigrateAddr: h.MigrateAddr, Reason: err.Error()}
	}
	h.Reachable = true
	// libvirt's list may still have a file that was removed beside it.
	for p, v := range h.Volumes {
		if there, looked := h.Files[p]; looked {
			v.Exists = there
			h.Volumes[p] = v
		}
	}
	return h
}

// ask puts libvirt's questions, each with its own part of the facts to fill.
func ask(ctx context.Context, c *virt.Conn, vm plan.VMFacts, h *plan.HostFacts) error {
	var (
		g         errgroup.Group
		nodeTotal uint64
		load      virt.HostLoad
	)
	g.Go(func() error {
		info, err := c.Host(ctx)
		h.Hostname, h.HostUUID, h.Libvirt, h.QEMU, h.Arch = info.Hostname, info.HostUUID, info.Libvirt, info.QEMU, info.Arch
		h.CPUs, nodeTotal = info.CPUs, info.MemTotal
		if u := info.QEMUUser; u != nil {
			h.QEMUUser = &plan.User{UID: u.UID, GID: u.GID}
		}
		return err
	})
	g.Go(func() (err error) {
		load, err = c.Load(ctx)
		return err
	})
	g.Go(func() (err error) {
		if h.MigrationV3, err = c.SupportsFeature(ctx, featureMigrationV3); err == nil {
			h.MigrationParams, err = c.SupportsFeature(ctx, featureMigrationParams)
		}
		return err
	})
	g.Go(func() (err error) {
		h.Pools, err = c.Pools(ctx)
		return err
	})
	g.Go(func() error {
		nets, err := c.Networks(ctx)
		if err != nil {
			return err
		}
		h.Networks = map[string]bool{}
		for _, n := range nets {
			h.Networks[n.Name] = n.Active
		}
		return nil
	})
	g.Go(func() error { return domains(ctx, c, vm, h) })
	g.Go(func() error { machines(ctx, c, vm.Domain, h); return nil })
	g.Go(func() error { compareCPU(ctx, c, vm.Domain, h); return nil })
	g.Go(func() error { return volumes(ctx, c, vm.Domain, h) })
	if err := g.Wait(); err != nil {
		return err
	}
	h.MemFree, h.MemTotal = load.MemFree, nodeTotal
	if load.MemTotal > 0 {
		// What is free is of this total; the other figure may leave out memory
		// that was plugged in later.
		h.MemTotal = load.MemTotal
	}
	// What a host keeps for itself: 5 % of its memory, 256 MiB at least.
	h.MemReserved = max(h.MemTotal/20, 256<<20)
	return nil
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
		h.Volumes[disk.Source] = plan.VolumeFact{Exists: found, Capacity: v.Capacity, Allocation: v.Allocation, Format: v.Format}
	}
	return nil
}

// lookScript says of each path whether something is there, or that the user may
// not look, which is not "no"; then it names what shows that an interface is a
// bridge. Its data are its arguments.
const lookScript = `for p; do
  if test -e "$p" || test -L "$p"; then echo yes; continue; fi
  d=$(dirname -- "$p")
  while ! test -d "$d"; do d=$(dirname -- "$d"); done
  if test -x "$d"; then echo no; else echo unseen; fi
done
find -L /sys/class/net -mindepth 2 -maxdepth 2 -name bridge -type d && echo bridges`

// files looks for every path that the VM names, and lists the node's bridges,
// nil if they cannot be read.
func files(ctx context.Context, n *fleet.Node, d plan.Domain) (there map[string]bool, bridges []string) {
	paths := pathsOf(d)
	res, err := n.Exec(ctx, append([]string{"sh", "-c", lookScript, "sh"}, paths...), nil)
	if err != nil {
		return nil, nil
	}
	return readLook(paths, string(res.Stdout))
}

// readLook reads what lookScript said. Answers that are missing stay unknown.
func readLook(paths []string, text string) (there map[string]bool, bridges []string) {
	lines := strings.Split(text, "\n")
	there = map[string]bool{}
	for i, p := range paths {
		switch {
		case i < len(lines) && (lines[i] == "yes" || lines[i] == "no"):
			there[p] = lines[i] == "yes"
		case i >= len(lines) || lines[i] != "unseen":
			return there, nil
		}
	}
	found := []string{}
	whole := false
	for _, line := range lines[len(paths):] {
		switch line = strings.TrimSpace(line); {
		case line == "bridges":
			whole = true
		case line != "":
			found = append(found, virt.Clean(path.Base(path.Dir(line))))
		}
	}
	// Interfaces come and go while they are listed; some bridges are an answer.
	if len(found) == 0 && !whole {
		return there, nil
	}
	return there, found
}

// unwritable lists the folders of the VM's images in which the user may not
// rename a file. What could not be asked is not in the list.
func unwritable(ctx context.Context, n *fleet.Node, d plan.Domain) []string {
	if n.Privileged() {
		return nil
	}
	var dirs []string
	for _, disk := range d.Disks {
		dir := path.Dir(disk.Source)
		if disk.Type != "file" || !path.IsAbs(dir) || slices.Contains(dirs, dir) {
			continue
		}
		if may, err := n.MayWrite(ctx, dir); err == nil && !may {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// pathsOf are the files that the VM names.
func pathsOf(d plan.Domain) []string {
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
	for _, p := range []string{d.Loader, d.NVRAM, d.NVRAMTemplate, d.Kernel, d.Initrd, d.DTB, plan.TPMState(d)} {
		add(p)
	}
	return paths
}
