package ends

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/beevik/etree"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

const (
	// joinEvery is how often a running join is asked how far it is.
	joinEvery = 300 * time.Millisecond
	// joinStill is how long a join may stand still before it is given up.
	joinStill = 60 * time.Second
)

// Flatten writes what the overlays of a disk hold into base, and lets the
// domain go on in it, whether it runs or is off. Overlays that were never made,
// or are joined already, are passed over. The files stay: who calls deletes them.
func (e *End) Flatten(ctx context.Context, disk, base string, overlays []string) error {
	st, err := e.Status(ctx)
	if err != nil {
		return err
	}
	if st.State == model.StateMissing {
		return fmt.Errorf("%s does not know the VM", e.Name())
	}
	if st.Live() {
		if err := e.flattenLive(ctx, disk, base, overlays); err != nil || !st.Persistent {
			return err
		}
	}
	return e.flattenOff(ctx, disk, base, overlays, st.Live())
}

// source is what a disk of the domain is on; known tells that it is base or one
// of the overlays.
func (e *End) source(ctx context.Context, inactive bool, disk, base string, overlays []string) (string, error) {
	text, err := e.XML(ctx, virt.XMLOptions{Inactive: inactive, Secure: true})
	if err != nil {
		return "", err
	}
	d, err := e.Parse(ctx, text)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(d.Disks, func(x virt.DiskXML) bool { return x.Target == disk })
	if i < 0 {
		return "", fmt.Errorf("the VM on %s has no disk %s any more", e.Name(), disk)
	}
	src := d.Disks[i].Source
	if src != base && !slices.Contains(overlays, src) {
		return "", fmt.Errorf("disk %s on %s is on %s, which this move did not make", disk, e.Name(), src)
	}
	return src, nil
}

func (e *End) flattenLive(ctx context.Context, disk, base string, overlays []string) error {
	src, err := e.source(ctx, false, disk, base, overlays)
	if err != nil || src == base {
		return err
	}
	c, err := e.node.Act(ctx)
	if err != nil {
		return err
	}
	found, _, err := c.BlockJob(ctx, e.vm, disk)
	if err != nil {
		return err
	}
	if !found {
		if err := c.CommitDisk(ctx, e.vm, disk, base); err != nil {
			return err
		}
	}
	if err := e.pivot(ctx, disk); err != nil {
		return err
	}
	if src, err = e.source(ctx, false, disk, base, overlays); err == nil && src != base {
		err = fmt.Errorf("disk %s on %s is still on %s", disk, e.Name(), src)
	}
	return err
}

// pivot waits until both layers are the same and ends the join, as long as
// bytes move.
func (e *End) pivot(ctx context.Context, disk string) error {
	tick := time.NewTicker(joinEvery)
	defer tick.Stop()
	last, moved := virt.BlockJobInfo{}, time.Now()
	for {
		c, err := e.node.Act(ctx)
		if err != nil {
			return err
		}
		found, info, err := c.BlockJob(ctx, e.vm, disk)
		if err != nil {
			return err
		}
		if !found {
			return nil // ended by itself or by an earlier call: the caller looks
		}
		if info.Current == info.End {
			if err = c.PivotDisk(ctx, e.vm, disk); err == nil {
				return nil
			}
		}
		if info != last {
			last, moved = info, time.Now()
		}
		if time.Since(moved) > joinStill {
			return fmt.Errorf("joining the layers of disk %s on %s stands still at %d of %d bytes: %w", disk, e.Name(), info.Current, info.End, err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// flattenOff joins the layers of a domain that is off and corrects its
// definition; with live, only the definition.
func (e *End) flattenOff(ctx context.Context, disk, base string, overlays []string, live bool) error {
	src, err := e.source(ctx, true, disk, base, overlays)
	if err != nil || src == base {
		return err
	}
	for _, p := range []string{src, base} {
		if err := absolute(p); err != nil {
			return err
		}
	}
	format, err := e.formatUnder(ctx, overlays[0])
	if err != nil {
		return err
	}
	if !live {
		// -d leaves the overlay as it is, so that this can be repeated.
		if err := e.run(ctx, "qemu-img", "commit", "-q", "-d", "-f", "qcow2", "-b", base, src); err != nil {
			return err
		}
	}
	text, err := e.XML(ctx, virt.XMLOptions{Inactive: true, Secure: true})
	if err != nil {
		return err
	}
	text, err = pointAt(text, disk, base, format)
	if err != nil {
		return err
	}
	return e.Define(ctx, text)
}

// formatUnder is the format of what an overlay lies on, as the overlay says.
func (e *End) formatUnder(ctx context.Context, overlay string) (string, error) {
	res, err := e.node.Exec(ctx, []string{"qemu-img", "info", "-U", "--output=json", "-f", "qcow2", overlay}, nil)
	if err != nil {
		return "", err
	}
	var info struct {
		Format string `json:"backing-filename-format"`
	}
	if res.Code != 0 || json.Unmarshal(res.Stdout, &info) != nil || (info.Format != "raw" && info.Format != "qcow2") {
		return "", fmt.Errorf("what %s on %s lies on cannot be told: %s", overlay, e.Name(), virt.Clean(string(res.Stderr)))
	}
	return info.Format, nil
}

// pointAt lets a disk of a definition be on a file.
func pointAt(xml, disk, file, format string) (string, error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xml); err != nil {
		return "", err
	}
	for _, d := range doc.FindElements("./domain/devices/disk") {
		t, src, drv := d.SelectElement("target"), d.SelectElement("source"), d.SelectElement("driver")
		if t == nil || src == nil || t.SelectAttrValue("dev", "") != disk {
			continue
		}
		src.CreateAttr("file", file)
		if drv != nil {
			drv.CreateAttr("type", format)
		}
		if b := d.SelectElement("backingStore"); b != nil {
			d.RemoveChild(b)
		}
		return doc.WriteToString()
	}
	return "", fmt.Errorf("the definition has no disk %s on a file", disk)
}

// FreezeDisks puts overlays on disks, all at one moment.
func (e *End) FreezeDisks(ctx context.Context, overlays map[string]string, others []string) error {
	return e.act(ctx, func(c *virt.Conn) error { return c.FreezeDisks(ctx, e.vm, overlays, others) })
}

// DiskSource is the file that a disk of the running domain is on.
func (e *End) DiskSource(ctx context.Context, disk string) (string, error) {
	text, err := e.XML(ctx, virt.XMLOptions{})
	if err != nil {
		return "", err
	}
	d, err := e.Parse(ctx, text)
	if err != nil {
		return "", err
	}
	for _, x := range d.Disks {
		if x.Target == disk {
			return x.Source, nil
		}
	}
	return "", fmt.Errorf("the VM on %s has no disk %s", e.Name(), disk)
}

// Allocation is what a disk takes on the host, in bytes.
func (e *End) Allocation(ctx context.Context, disk string) (uint64, error) {
	return ask(ctx, e, func(c *virt.Conn) (uint64, error) {
		_, n, _, err := c.BlockInfo(ctx, e.vm, disk)
		return n, err
	})
}

// CreateOverlay makes an empty overlay on base, as an external snapshot makes
// one, for a move that brings only what is in it.
func (e *End) CreateOverlay(ctx context.Context, file, base, baseFormat string, capacity uint64) error {
	for _, p := range []string{file, base} {
		if err := absolute(p); err != nil {
			return err
		}
	}
	if baseFormat != "raw" && baseFormat != "qcow2" {
		return fmt.Errorf("cannot lay an overlay on %s: its format %q is neither raw nor qcow2", base, baseFormat)
	}
	return e.run(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-b", base, "-F", baseFormat, file, fmt.Sprint(capacity))
}

// Join writes what overlays hold into their base while nobody uses them.
func (e *End) Join(ctx context.Context, base, top string) error {
	for _, p := range []string{base, top} {
		if err := absolute(p); err != nil {
			return err
		}
	}
	return e.run(ctx, "qemu-img", "commit", "-q", "-d", "-f", "qcow2", "-b", base, top)
}
