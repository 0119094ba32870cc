package virt

import (
	"context"
	"path"
	"slices"

	"horcrux/engine/model"
)

// Locate finds the files of disks that a definition names as volumes of a pool:
// from then on such a disk has the type and the source of a file, and its Pool
// and Volume. It goes by the directory of the pool, as its list of volumes
// knows nothing of a file that was moved. What it cannot find stays as it is.
func (c *Conn) Locate(ctx context.Context, d *Domain) error {
	dirs := map[string]string{}
	for i := range d.Disks {
		x := &d.Disks[i]
		if x.Type != "volume" || x.Pool == "" || !plainName(x.Volume) {
			continue
		}
		dir, known := dirs[x.Pool]
		if !known {
			p, err := c.poolByName(ctx, x.Pool)
			if err != nil && !IsCode(err, CodeNoStoragePool) {
				return err
			}
			if err == nil && p.HoldsFiles() && path.IsAbs(p.Path) {
				dir = path.Clean(p.Path)
			}
			dirs[x.Pool] = dir
		}
		if dir != "" {
			x.Type, x.Source = "file", path.Join(dir, x.Volume)
		}
	}
	return nil
}

func plainName(s string) bool { return s != "" && s != "." && s != ".." && path.Base(s) == s }

func (c *Conn) poolByName(ctx context.Context, name string) (model.Pool, error) {
	p, err := c.lookupPool(ctx, name)
	if err != nil {
		return model.Pool{}, err
	}
	return c.pool(ctx, p)
}

// VolumePools are the pools that a definition names disks by.
func (d Domain) VolumePools() []string {
	var names []string
	for _, x := range d.Disks {
		if x.Pool != "" && !slices.Contains(names, x.Pool) {
			names = append(names, x.Pool)
		}
	}
	return names
}
