package engine

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// VMDetails asks for what the page of one VM shows.
func (e *Engine) VMDetails(ctx context.Context, vm model.UUID, node model.NodeName) (model.VMDetails, error) {
	n, err := e.node(node)
	if err != nil {
		return model.VMDetails{}, err
	}
	c, err := n.Act(ctx)
	if err != nil {
		return model.VMDetails{}, err
	}
	d := model.VMDetails{At: time.Now(), Chains: map[string][]model.ChainFile{}}
	if d.XML, err = c.XML(ctx, vm, virt.XMLOptions{}); err != nil {
		return d, err
	}
	dom, err := virt.ParseDomain(d.XML)
	if err != nil {
		return d, fmt.Errorf("cannot read the XML of %s: %w", e.nameOf(vm), err)
	}
	d.Serial = len(dom.Serials)+len(dom.Consoles) > 0
	if d.Snapshots, err = c.Snapshots(ctx, vm); err != nil {
		d.Errs = append(d.Errs, err.Error())
	}
	slices.SortStableFunc(d.Snapshots, func(a, b model.Snapshot) int { return a.Created.Compare(b.Created) })
	for _, disk := range dom.Disks {
		if disk.Source != "" {
			d.Chains[disk.Target] = chain(ctx, c, disk)
		}
	}
	if err := measure(ctx, n, d.Chains); err != nil {
		d.Errs = append(d.Errs, err.Error())
	}
	return d, nil
}

// maxChain bounds how deep a chain is followed.
const maxChain = 64

// chain lists the files of a disk. Of a VM that is off, libvirt's XML does not
// say what lies under a disk; the volumes of the pools may.
func chain(ctx context.Context, c *virt.Conn, d virt.DiskXML) []model.ChainFile {
	out := []model.ChainFile{{Path: d.Source, Format: d.Format}}
	for _, b := range d.Chain {
		out = append(out, model.ChainFile{Path: b.Path, Format: b.Format})
	}
	for len(d.Chain) == 0 && len(out) < maxChain {
		v, found, err := c.VolumeByPath(ctx, out[len(out)-1].Path)
		if err != nil || !found {
			break
		}
		last := &out[len(out)-1]
		last.Format, last.Size, last.Taken = cmp.Or(last.Format, v.Format), v.Capacity, v.Allocation
		if v.Backing == "" {
			break
		}
		out = append(out, model.ChainFile{Path: virt.Clean(v.Backing), Format: v.BackingFormat})
	}
	return out
}

// measure asks the host how much the files take; one command for all of them.
func measure(ctx context.Context, n *fleet.Node, chains map[string][]model.ChainFile) error {
	argv := []string{"stat", "-L", "-c", "%s %b %B %n", "--"}
	for _, files := range chains {
		for _, f := range files {
			if path.IsAbs(f.Path) {
				argv = append(argv, f.Path)
			}
		}
	}
	if argv[len(argv)-1] == "--" {
		return nil
	}
	r, err := n.Exec(ctx, argv, nil)
	if err != nil {
		return fmt.Errorf("cannot measure the disks on %s: %w", n.Name(), err)
	}
	sizes := parseSizes(string(r.Stdout))
	for _, files := range chains {
		for i := range files {
			if s, ok := sizes[files[i].Path]; ok && s[0] > 0 {
				files[i].Size, files[i].Taken = s[0], s[1]
			}
		}
	}
	return nil
}

// parseSizes reads lines of length, blocks, bytes of a block, and name.
func parseSizes(text string) map[string][2]uint64 {
	out := map[string][2]uint64{}
	for line := range strings.SplitSeq(text, "\n") {
		f := strings.SplitN(line, " ", 4)
		if len(f) != 4 {
			continue
		}
		size, err1 := strconv.ParseUint(f[0], 10, 63)
		blocks, err2 := strconv.ParseUint(f[1], 10, 50)
		unit, err3 := strconv.ParseUint(f[2], 10, 12)
		if err1 == nil && err2 == nil && err3 == nil {
			out[virt.Clean(f[3])] = [2]uint64{size, blocks * unit}
		}
	}
	return out
}

// NodeDetails asks for what the page of one node shows.
func (e *Engine) NodeDetails(ctx context.Context, node model.NodeName) (model.NodeDetails, error) {
	n, err := e.node(node)
	if err != nil {
		return model.NodeDetails{}, err
	}
	c, err := n.Act(ctx)
	if err != nil {
		return model.NodeDetails{}, err
	}
	d := model.NodeDetails{At: time.Now()}
	var wg sync.WaitGroup
	var mu sync.Mutex
	part := func(do func() error) {
		wg.Go(func() {
			if err := do(); err != nil {
				mu.Lock()
				d.Errs = append(d.Errs, err.Error())
				mu.Unlock()
			}
		})
	}
	part(func() (err error) { d.Networks, err = c.NetworkDetails(ctx); return err })
	part(func() (err error) { d.Volumes, err = volumes(ctx, c); return err })
	part(func() (err error) { d.Capabilities, err = c.Abilities(ctx); return err })
	wg.Wait()
	slices.SortFunc(d.Networks, func(a, b model.Network) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(d.Errs)
	return d, nil
}

func volumes(ctx context.Context, c *virt.Conn) ([]model.Volume, error) {
	pools, err := c.Pools(ctx)
	if err != nil {
		return nil, err
	}
	var out []model.Volume
	var first error
	for _, p := range pools {
		if !p.Active {
			continue
		}
		vs, err := c.Volumes(ctx, p.Name)
		if err != nil {
			first = cmp.Or(first, err)
			continue
		}
		for _, v := range vs {
			out = append(out, model.Volume{
				Pool: p.Name, Name: virt.Clean(v.Name), Path: virt.Clean(v.Path), Format: v.Format, Capacity: v.Capacity, Allocation: v.Allocation,
			})
		}
	}
	slices.SortFunc(out, func(a, b model.Volume) int {
		return cmp.Or(cmp.Compare(a.Pool, b.Pool), cmp.Compare(a.Name, b.Name))
	})
	return out, first
}
