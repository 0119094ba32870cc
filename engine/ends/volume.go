package ends

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

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
	xml, err := markXML(m)
	if err != nil {
		return err
	}
	return e.setMark(ctx, xml)
}

func markXML(m migrate.Mark) (string, error) {
	doc := etree.NewDocument()
	el := doc.CreateElement("job")
	for _, a := range [][2]string{
		{"id", string(m.Job)},
		{"role", string(m.Role)},
		{"from", string(m.From)},
		{"to", string(m.To)},
		{"by", virt.Clean(m.By)},
		{"console", m.Console},
		{"was", string(m.Was)},
		{"copies", strings.Join(m.Copies, " ")},
	} {
		if a[1] != "" {
			el.CreateAttr(a[0], a[1])
		}
	}
	if !m.Since.IsZero() {
		el.CreateAttr("since", m.Since.UTC().Format(time.RFC3339Nano))
	}
	if m.Beat > 0 {
		el.CreateAttr("beat", strconv.FormatUint(m.Beat, 10))
	}
	if m.Memory > 0 {
		el.CreateAttr("memory", strconv.FormatUint(m.Memory, 10))
	}
	if m.Autostart {
		el.CreateAttr("autostart", "on")
	}
	return doc.WriteToString()
}

// ReadMark reads the mark on the domain, without a job if there is none.
func (e *End) ReadMark(ctx context.Context) (migrate.Mark, error) {
	text, err := e.XML(ctx, virt.XMLOptions{})
	if virt.IsNoDomain(err) {
		return migrate.Mark{}, nil
	}
	if err != nil {
		return migrate.Mark{}, err
	}
	d, err := virt.ParseDomain(text)
	if err == nil && d.Mark.Job == "" {
		// One that was written before the domain was started anew is on its
		// definition only.
		if st, stErr := e.Status(ctx); stErr == nil && st.Persistent && st.Live() {
			if text, err = e.XML(ctx, virt.XMLOptions{Inactive: true}); err == nil {
				d, err = virt.ParseDomain(text)
			}
		}
	}
	return d.Mark, err
}

// RemoveMark takes our marker off; one that is not there is no error, and one
// of another job stays.
func (e *End) RemoveMark(ctx context.Context) error {
	if e.job != "" {
		m, err := e.ReadMark(ctx)
		if err != nil {
			return err
		}
		if m.Job == "" || m.Job != e.job {
			return nil
		}
	}
	return e.setMark(ctx, "")
}

func (e *End) setMark(ctx context.Context, xml string) error {
	return e.act(ctx, func(c *virt.Conn) error {
		st, err := c.Status(ctx, e.vm)
		if err != nil {
			return err
		}
		o := virt.MetadataOptions{Live: st.Live(), Config: st.Persistent}
		if err := c.SetMetadata(ctx, e.vm, "horcrux", virt.JobNamespace, xml, o); err != nil && !(xml == "" && virt.IsCode(err, virt.CodeNoMetadata)) {
			return err
		}
		return nil
	})
}
