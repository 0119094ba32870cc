package virt

import (
	"context"

	"github.com/beevik/etree"
	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// FreezeDisks puts an empty qcow2 overlay on each of the named disks, all at one
// moment: the guest goes on in the overlays, and what is under them stands
// still. Disks that are not named stay as they are. libvirt keeps no record of
// it as a snapshot, so the domain can be moved afterwards. overlays has the path
// of the new file by the disk's target.
func (c *Conn) FreezeDisks(ctx context.Context, uuid model.UUID, overlays map[string]string, others []string) error {
	xml, err := freezeXML(overlays, others)
	if err != nil {
		return err
	}
	const flags = libvirt.DomainSnapshotCreateDiskOnly | libvirt.DomainSnapshotCreateNoMetadata | libvirt.DomainSnapshotCreateAtomic
	return actOn(ctx, c, uuid, "freeze the disks", probing, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		_, err := l.DomainSnapshotCreateXML(d, xml, uint32(flags))
		return err
	})
}

func freezeXML(overlays map[string]string, others []string) (string, error) {
	doc := etree.NewDocument()
	disks := doc.CreateElement("domainsnapshot").CreateElement("disks")
	for target, file := range overlays {
		d := disks.CreateElement("disk")
		d.CreateAttr("name", target)
		d.CreateAttr("snapshot", "external")
		d.CreateElement("driver").CreateAttr("type", "qcow2")
		d.CreateElement("source").CreateAttr("file", file)
	}
	for _, target := range others {
		d := disks.CreateElement("disk")
		d.CreateAttr("name", target)
		d.CreateAttr("snapshot", "no")
	}
	return doc.WriteToString()
}

// CommitDisk begins to write what the overlays of a running disk hold into
// base, which lies under them. It goes on while the guest writes; once BlockJob
// says that both are the same, PivotDisk ends it.
func (c *Conn) CommitDisk(ctx context.Context, uuid model.UUID, disk, base string) error {
	return actOn(ctx, c, uuid, "join the layers of disk "+disk, slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainBlockCommit(d, disk, optional(base), nil, 0, libvirt.DomainBlockCommitActive)
	})
}

// PivotDisk ends a job that CommitDisk began: the guest goes on in the base.
// libvirt refuses it while the two are not the same.
func (c *Conn) PivotDisk(ctx context.Context, uuid model.UUID, disk string) error {
	return actOn(ctx, c, uuid, "go on in the joined image of disk "+disk, slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainBlockJobAbort(d, disk, libvirt.DomainBlockJobAbortPivot)
	})
}

// ShutdownWay is one way to ask a guest to shut down.
type ShutdownWay string

// Ways to shut down.
const (
	ShutdownAgent ShutdownWay = "agent"
	ShutdownACPI  ShutdownWay = "ACPI"
)

// ShutdownBy asks the guest to shut down in one way. That it returns does not
// mean that the guest obeys.
func (c *Conn) ShutdownBy(ctx context.Context, uuid model.UUID, way ShutdownWay) error {
	flags := libvirt.DomainShutdownAcpiPowerBtn
	if way == ShutdownAgent {
		flags = libvirt.DomainShutdownGuestAgent
	}
	return actOn(ctx, c, uuid, "ask the guest by "+string(way)+" to shut down", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainShutdownFlags(d, flags)
	})
}
