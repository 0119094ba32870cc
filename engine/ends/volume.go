package ends

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/beevik/etree"

	"horcrux/engine/migrate"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// CreateVolume makes an empty volume with the exact size that the guest sees.
// A mirror refuses any other.
func (e *End) CreateVolume(ctx context.Context, d model.DiskPlan) error {
	if err := absolute(d.Path); err != nil {
		return err
	}
	xml, err := volumeXML(d)
	if err != nil {
		return err
	}
	create := func(c *virt.Conn) (virt.Volume, error) { return c.CreateVolume(ctx, d.Pool, xml) }
	v, err := ask(ctx, e, create)
	if virt.IsCode(err, virt.CodeStorageVolExists) {
		// libvirt goes by its own list, which knows nothing of a file that was
		// moved or removed beside it.
		if there, lookErr := e.VolumeExists(ctx, d.Path); lookErr == nil && !there {
			if err := e.act(ctx, func(c *virt.Conn) error { return c.RefreshPool(ctx, d.Pool) }); err != nil {
				return err
			}
			v, err = ask(ctx, e, create)
		}
	}
	if err != nil {
		return err
	}
	if v.Path != "" && v.Path != d.Path {
		return fmt.Errorf("%s made %s instead of %s", e.Name(), v.Path, d.Path)
	}
	return nil
}

func volumeXML(d model.DiskPlan) (string, error) {
	doc := etree.NewDocument()
	vol := doc.CreateElement("volume")
	vol.CreateElement("name").SetText(path.Base(d.Path))
	vol.CreateElement("capacity").SetText(strconv.FormatUint(d.Capacity, 10))
	vol.CreateElement("allocation").SetText("0")
	target := vol.CreateElement("target")
	target.CreateElement("format").CreateAttr("type", d.Format)
	if d.Format == "qcow2" {
		target.CreateElement("compat").SetText("1.1")
	}
	return doc.WriteToString()
}

// Mark writes our marker on the domain, on what runs and on what is defined.
func (e *End) Mark(ctx context.Context, m migrate.Mark) error {
	doc := etree.NewDocument()
	el := doc.CreateElement("job")
	el.CreateAttr("id", string(m.Job))
	el.CreateAttr("role", string(m.Role))
	el.CreateAttr("from", string(m.From))
	el.CreateAttr("to", string(m.To))
	xml, err := doc.WriteToString()
	if err != nil {
		return err
	}
	return e.setMark(ctx, xml)
}

// RemoveMark takes our marker off; one that is not there is no error.
func (e *End) RemoveMark(ctx context.Context) error { return e.setMark(ctx, "") }

func (e *End) setMark(ctx context.Context, xml string) error {
	return e.act(ctx, func(c *virt.Conn) error {
		st, err := c.Status(ctx, e.vm)
		if err != nil {
			return err
		}
		o := virt.MetadataOptions{Live: st.Live(), Config: st.Persistent}
		if err := c.SetMetadata(ctx, e.vm, "horcrux", migrate.MarkNamespace, xml, o); err != nil && !(xml == "" && virt.IsCode(err, virt.CodeNoMetadata)) {
			return err
		}
		return nil
	})
}
