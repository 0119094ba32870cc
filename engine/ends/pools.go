package ends

import (
	"context"

	"horcrux/engine/virt"
)

// Parse reads a definition of this host, with the files of disks that it names
// as volumes.
func (e *End) Parse(ctx context.Context, xml string) (virt.Domain, error) {
	d, err := virt.ParseDomain(xml)
	if err != nil {
		return d, err
	}
	return d, e.act(ctx, func(c *virt.Conn) error { return c.Locate(ctx, &d) })
}

// RefreshPools makes libvirt look at what is in the pools. It starts no VM on a
// volume that it has not seen there.
func (e *End) RefreshPools(ctx context.Context, pools ...string) error {
	for _, p := range pools {
		if err := e.act(ctx, func(c *virt.Conn) error { return c.RefreshPool(ctx, p) }); err != nil {
			return err
		}
	}
	return nil
}

// knowVolumes does that for the pools that the domain's definition names. It is
// a courtesy: what is wrong with them, the start will say.
func (e *End) knowVolumes(ctx context.Context) {
	text, err := e.XML(ctx, virt.XMLOptions{Inactive: true})
	if err != nil {
		return
	}
	if d, err := virt.ParseDomain(text); err == nil {
		_ = e.RefreshPools(ctx, d.VolumePools()...)
	}
}
