package virt

import (
	"context"
	"encoding/xml"
	"strconv"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"horcrux/engine/model"
)

// Reboot asks the guest to reboot, by whatever way libvirt has.
func (c *Conn) Reboot(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "ask the domain to reboot", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainReboot(d, libvirt.DomainRebootDefault)
	})
}

// maxSnapshots bounds how many are looked at one by one.
const maxSnapshots = 500

// Snapshots lists the snapshots of a domain, as libvirt orders them.
func (c *Conn) Snapshots(ctx context.Context, uuid model.UUID) ([]model.Snapshot, error) {
	ctx, cancel := bounded(ctx, slow)
	defer cancel()
	raws, err := onDomain(ctx, c, uuid, "list the domain's snapshots", slow, func(l *libvirt.Libvirt, d libvirt.Domain) ([]libvirt.DomainSnapshot, error) {
		s, _, err := l.DomainListAllSnapshots(d, 1, 0)
		return s, err
	})
	if err != nil {
		return nil, err
	}
	if len(raws) > maxSnapshots {
		raws = raws[:maxSnapshots]
	}
	out := make([]model.Snapshot, 0, len(raws))
	for _, r := range raws {
		text, err := call(ctx, c, "look at a snapshot", quick, func(l *libvirt.Libvirt) (string, error) {
			return l.DomainSnapshotGetXMLDesc(r, 0)
		})
		if IsCode(err, CodeNoDomainSnapshot) {
			continue // gone since the list
		}
		if err != nil {
			return nil, err
		}
		s, err := readSnapshot(text)
		if err != nil {
			return nil, c.failed("look at a snapshot", &answerError{err})
		}
		out = append(out, s)
	}
	return out, nil
}

func readSnapshot(text string) (model.Snapshot, error) {
	var x libvirtxml.DomainSnapshot
	if err := parseXML(text, &x); err != nil {
		return model.Snapshot{}, err
	}
	s := model.Snapshot{Name: Clean(x.Name), Description: Clean(x.Description), State: model.DomainState(Clean(x.State))}
	if x.Parent != nil {
		s.Parent = Clean(x.Parent.Name)
	}
	if n, err := strconv.ParseInt(x.CreationTime, 10, 64); err == nil {
		s.Created = time.Unix(n, 0)
	}
	s.Current = x.Active != nil && *x.Active == 1
	if x.Disks != nil {
		for _, d := range x.Disks.Disks {
			s.External = s.External || d.Snapshot == "external"
		}
	}
	return s, nil
}

// CreateSnapshot takes a snapshot inside the disks' own files, with the memory
// if the domain runs. Libvirt refuses where a disk cannot do that.
func (c *Conn) CreateSnapshot(ctx context.Context, uuid model.UUID, name, description string) error {
	text, err := xml.Marshal(struct {
		XMLName     xml.Name `xml:"domainsnapshot"`
		Name        string   `xml:"name"`
		Description string   `xml:"description,omitempty"`
	}{Name: name, Description: description})
	if err != nil {
		return err
	}
	return actOn(ctx, c, uuid, "take a snapshot", probing, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		_, err := l.DomainSnapshotCreateXML(d, string(text), 0)
		return err
	})
}

// RevertToSnapshot puts the domain back to a snapshot; what was written since is
// lost.
func (c *Conn) RevertToSnapshot(ctx context.Context, uuid model.UUID, name string) error {
	return actOn(ctx, c, uuid, "revert to the snapshot", probing, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainRevertToSnapshot(libvirt.DomainSnapshot{Name: name, Dom: d}, 0)
	})
}

// DeleteSnapshot deletes one snapshot and keeps those made after it.
func (c *Conn) DeleteSnapshot(ctx context.Context, uuid model.UUID, name string) error {
	return actOn(ctx, c, uuid, "delete the snapshot", probing, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainSnapshotDelete(libvirt.DomainSnapshot{Name: name, Dom: d}, 0)
	})
}

// NetworkDetails lists the libvirt networks of the host.
func (c *Conn) NetworkDetails(ctx context.Context) ([]model.Network, error) {
	ctx, cancel := bounded(ctx, slow)
	defer cancel()
	raws, err := call(ctx, c, "list the networks", slow, func(l *libvirt.Libvirt) ([]libvirt.Network, error) {
		n, _, err := l.ConnectListAllNetworks(1, 0)
		return n, err
	})
	if err != nil {
		return nil, err
	}
	out := make([]model.Network, 0, len(raws))
	for _, r := range raws {
		n, err := c.network(ctx, r)
		if IsCode(err, CodeNoNetwork) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, nil
}

func (c *Conn) network(ctx context.Context, r libvirt.Network) (model.Network, error) {
	n := model.Network{Name: Clean(r.Name), Forward: "isolated"}
	doing := "look at network " + n.Name
	active, err := call(ctx, c, doing, quick, func(l *libvirt.Libvirt) (int32, error) { return l.NetworkIsActive(r) })
	if err != nil {
		return n, err
	}
	n.Active = active == 1
	if auto, err := call(ctx, c, doing, quick, func(l *libvirt.Libvirt) (int32, error) { return l.NetworkGetAutostart(r) }); err == nil {
		n.Autostart = auto == 1
	}
	text, err := call(ctx, c, doing, quick, func(l *libvirt.Libvirt) (string, error) { return l.NetworkGetXMLDesc(r, 0) })
	if err != nil {
		return n, err
	}
	var x libvirtxml.Network
	if err := parseXML(text, &x); err != nil {
		return n, c.failed(doing, &answerError{err})
	}
	if x.Forward != nil {
		n.Forward = Clean(x.Forward.Mode)
		if n.Forward == "" {
			n.Forward = "nat"
		}
	}
	if x.Bridge != nil {
		n.Bridge = Clean(x.Bridge.Name)
	}
	if len(x.IPs) > 0 {
		n.Address = Clean(x.IPs[0].Address)
		switch {
		case x.IPs[0].Prefix > 0:
			n.Address += "/" + strconv.Itoa(int(x.IPs[0].Prefix))
		case x.IPs[0].Netmask != "":
			n.Address += "/" + Clean(x.IPs[0].Netmask)
		}
	}
	return n, nil
}
