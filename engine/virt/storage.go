package virt

import (
	"context"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"horcrux/engine/model"
)

// Pools lists all storage pools with their sizes as of their last refresh.
func (c *Conn) Pools(ctx context.Context) ([]model.Pool, error) {
	ctx, cancel := bounded(ctx, slow)
	defer cancel()
	pools, err := call(ctx, c, "list the storage pools", slow, func(l *libvirt.Libvirt) ([]libvirt.StoragePool, error) {
		p, _, err := l.ConnectListAllStoragePools(1, 0)
		return p, err
	})
	if err != nil {
		return nil, err
	}
	out := make([]model.Pool, 0, len(pools))
	for _, p := range pools {
		m, err := c.pool(ctx, p)
		if IsCode(err, CodeNoStoragePool) {
			continue // gone since the list
		}
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}

func (c *Conn) pool(ctx context.Context, p libvirt.StoragePool) (model.Pool, error) {
	m := model.Pool{Name: Clean(p.Name)}
	doing := "look at storage pool " + m.Name
	type info struct {
		state               uint8
		capacity, available uint64
	}
	i, err := call(ctx, c, doing, slow, func(l *libvirt.Libvirt) (info, error) {
		state, capacity, _, available, err := l.StoragePoolGetInfo(p)
		return info{state, capacity, available}, err
	})
	if err != nil {
		return m, err
	}
	m.Active = i.state == uint8(libvirt.StoragePoolRunning) || i.state == uint8(libvirt.StoragePoolDegraded)
	m.Capacity, m.Available = i.capacity, i.available
	text, err := call(ctx, c, doing, slow, func(l *libvirt.Libvirt) (string, error) {
		return l.StoragePoolGetXMLDesc(p, 0)
	})
	if err != nil {
		return m, err
	}
	var x libvirtxml.StoragePool
	if err := parseXML(text, &x); err != nil {
		return m, c.failed(doing, &answerError{err})
	}
	m.Type = Clean(x.Type)
	if x.Target != nil {
		m.Path = Clean(x.Target.Path)
	}
	return m, nil
}

// Volume is one storage volume; sizes are bytes.
type Volume struct {
	Key, Name, Pool, Path, Format  string
	Backing, BackingFormat         string // what lies under it, if anything
	Capacity, Allocation, Physical uint64
}

// VolumeByPath finds a volume among those that the pools know. A file that
// was made since the last refresh of its pool is not found.
func (c *Conn) VolumeByPath(ctx context.Context, path string) (v Volume, found bool, err error) {
	raw, err := c.lookupVolume(ctx, path)
	if IsCode(err, CodeNoStorageVol) {
		return Volume{}, false, nil
	}
	if err != nil {
		return Volume{}, false, err
	}
	v, err = c.volume(ctx, raw)
	if IsCode(err, CodeNoStorageVol) {
		return Volume{}, false, nil
	}
	return v, err == nil, err
}

func (c *Conn) lookupVolume(ctx context.Context, path string) (libvirt.StorageVol, error) {
	return call(ctx, c, "find the volume of "+path, slow, func(l *libvirt.Libvirt) (libvirt.StorageVol, error) {
		return l.StorageVolLookupByPath(path)
	})
}

func (c *Conn) volume(ctx context.Context, raw libvirt.StorageVol) (Volume, error) {
	v := Volume{Key: raw.Key, Name: raw.Name, Pool: raw.Pool}
	doing := "look at volume " + raw.Name
	text, err := call(ctx, c, doing, slow, func(l *libvirt.Libvirt) (string, error) {
		return l.StorageVolGetXMLDesc(raw, 0)
	})
	if err != nil {
		return v, err
	}
	var x libvirtxml.StorageVolume
	if err := parseXML(text, &x); err != nil {
		return v, c.failed(doing, &answerError{err})
	}
	if x.Target != nil {
		v.Path = x.Target.Path
		if x.Target.Format != nil {
			v.Format = Clean(x.Target.Format.Type)
		}
	}
	if b := x.BackingStore; b != nil {
		v.Backing = b.Path
		if b.Format != nil {
			v.BackingFormat = Clean(b.Format.Type)
		}
	}
	for _, s := range []struct {
		from *libvirtxml.StorageVolumeSize
		to   *uint64
	}{{x.Capacity, &v.Capacity}, {x.Allocation, &v.Allocation}, {x.Physical, &v.Physical}} {
		if s.from != nil {
			*s.to = scaled(s.from.Value, s.from.Unit, 1)
		}
	}
	return v, nil
}

func (c *Conn) lookupPool(ctx context.Context, name string) (libvirt.StoragePool, error) {
	return call(ctx, c, "find storage pool "+name, quick, func(l *libvirt.Libvirt) (libvirt.StoragePool, error) {
		return l.StoragePoolLookupByName(name)
	})
}

// Volumes lists the volumes of a pool as of its last refresh.
func (c *Conn) Volumes(ctx context.Context, pool string) ([]Volume, error) {
	ctx, cancel := bounded(ctx, probing)
	defer cancel()
	p, err := c.lookupPool(ctx, pool)
	if err != nil {
		return nil, err
	}
	raws, err := call(ctx, c, "list the volumes of "+pool, slow, func(l *libvirt.Libvirt) ([]libvirt.StorageVol, error) {
		v, _, err := l.StoragePoolListAllVolumes(p, 1, 0)
		return v, err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Volume, 0, len(raws))
	for _, raw := range raws {
		v, err := c.volume(ctx, raw)
		if IsCode(err, CodeNoStorageVol) {
			continue // gone since the list
		}
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// CreateVolume makes a volume. It refuses one that exists.
func (c *Conn) CreateVolume(ctx context.Context, pool, xml string) (Volume, error) {
	ctx, cancel := bounded(ctx, probing)
	defer cancel()
	p, err := c.lookupPool(ctx, pool)
	if err != nil {
		return Volume{}, err
	}
	raw, err := call(ctx, c, "create a volume in "+pool, probing, func(l *libvirt.Libvirt) (libvirt.StorageVol, error) {
		return l.StorageVolCreateXML(p, xml, 0)
	})
	if err != nil {
		return Volume{}, err
	}
	return c.volume(ctx, raw)
}

// DeleteVolume deletes the volume with that path, and what is in it. It is not
// an error that there is none.
func (c *Conn) DeleteVolume(ctx context.Context, path string) error {
	ctx, cancel := bounded(ctx, slow)
	defer cancel()
	raw, err := c.lookupVolume(ctx, path)
	if err == nil {
		err = act(ctx, c, "delete volume "+path, slow, func(l *libvirt.Libvirt) error {
			return l.StorageVolDelete(raw, 0)
		})
	}
	if IsCode(err, CodeNoStorageVol) {
		return nil
	}
	return err
}

// RefreshPool makes libvirt look at what is in the pool.
func (c *Conn) RefreshPool(ctx context.Context, pool string) error {
	ctx, cancel := bounded(ctx, probing)
	defer cancel()
	p, err := c.lookupPool(ctx, pool)
	if err != nil {
		return err
	}
	return act(ctx, c, "refresh storage pool "+pool, probing, func(l *libvirt.Libvirt) error {
		return l.StoragePoolRefresh(p, 0)
	})
}
