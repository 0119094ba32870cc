package virt

import (
	"context"
	"encoding/binary"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// DomainRef names a domain of a host. ID is -1 when it does not run.
type DomainRef struct {
	UUID model.UUID
	Name string
	ID   int32
}

// Filter selects domains in one request for all of them.
type Filter libvirt.ConnectListAllDomainsFlags

// Filters. Within one list libvirt joins those of one kind by or, those of
// different kinds by and.
const (
	Everything      Filter = 0
	OnlyPersistent  Filter = 4
	OnlyManagedSave Filter = 256
	OnlyAutostart   Filter = 1024
	OnlySnapshots   Filter = 4096
)

// Domains lists all domains, running or not.
func (c *Conn) Domains(ctx context.Context) ([]DomainRef, error) {
	return c.DomainsThat(ctx, Everything)
}

// DomainsThat lists the domains that a filter selects.
func (c *Conn) DomainsThat(ctx context.Context, f Filter) ([]DomainRef, error) {
	p, err := call(ctx, c, "list the domains", slow, func(*libvirt.Libvirt) ([]byte, error) {
		args := binary.BigEndian.AppendUint32(nil, 1) // with the names
		return c.wire.ask(procListAllDomains, binary.BigEndian.AppendUint32(args, uint32(f)))
	})
	if err != nil {
		return nil, err
	}
	r := reader{p: p}
	n := r.count()
	refs := make([]DomainRef, 0, min(n, len(p)/minDomain))
	for range n {
		name, raw, id := r.text(), r.uuid(), int32(r.u32())
		if r.bad {
			break
		}
		known := c.roster.domain(raw, name)
		refs = append(refs, DomainRef{UUID: known.uuid, Name: known.name, ID: id})
	}
	if r.bad {
		return nil, c.failed("list the domains", c.wire.malformed(procListAllDomains))
	}
	return refs, nil
}

// minDomain is the least that a domain takes in an answer: a name's length, a
// UUID, a number.
const minDomain = 4 + 16 + 4

// XMLOptions choose which XML is wanted.
type XMLOptions struct {
	Inactive   bool // what the next start would use
	Secure     bool // with passwords
	Migratable bool // fit for another, perhaps older libvirt
}

// XML is the domain's XML as libvirt has it: for use, not for show.
func (c *Conn) XML(ctx context.Context, uuid model.UUID, o XMLOptions) (string, error) {
	var flags libvirt.DomainXMLFlags
	if o.Inactive {
		flags |= libvirt.DomainXMLInactive
	}
	if o.Secure {
		flags |= libvirt.DomainXMLSecure
	}
	if o.Migratable {
		flags |= libvirt.DomainXMLMigratable
	}
	return onDomain(ctx, c, uuid, "read the domain's XML", slow, func(l *libvirt.Libvirt, d libvirt.Domain) (string, error) {
		return l.DomainGetXMLDesc(d, flags)
	})
}

// Suspend stops the vCPUs.
func (c *Conn) Suspend(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "pause the domain", slow, (*libvirt.Libvirt).DomainSuspend)
}

// Resume lets the vCPUs go on.
func (c *Conn) Resume(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "resume the domain", slow, (*libvirt.Libvirt).DomainResume)
}

// Destroy ends the domain's process at once, as pulling the plug does. A
// transient domain is gone with it.
func (c *Conn) Destroy(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "force the domain off", slow, (*libvirt.Libvirt).DomainDestroy)
}

// Start boots a defined domain.
func (c *Conn) Start(ctx context.Context, uuid model.UUID) error {
	return c.start(ctx, uuid, "start the domain", 0)
}

// StartPaused makes the process of a defined domain, with its vCPUs stopped.
func (c *Conn) StartPaused(ctx context.Context, uuid model.UUID) error {
	return c.start(ctx, uuid, "start the domain paused", uint32(libvirt.DomainStartPaused))
}

func (c *Conn) start(ctx context.Context, uuid model.UUID, doing string, flags uint32) error {
	return actOn(ctx, c, uuid, doing, probing, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		_, err := l.DomainCreateWithFlags(d, flags)
		return err
	})
}

// Shutdown asks the guest to shut down, by whatever way libvirt has. That it
// returns does not mean that the guest obeys.
func (c *Conn) Shutdown(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "ask the domain to shut down", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainShutdownFlags(d, libvirt.DomainShutdownDefault)
	})
}

// Define stores a definition. libvirt checks it against its schema first.
func (c *Conn) Define(ctx context.Context, xml string) (model.UUID, error) {
	d, err := call(ctx, c, "define the domain", probing, func(l *libvirt.Libvirt) (libvirt.Domain, error) {
		return l.DomainDefineXMLFlags(xml, 0)
	})
	if err != nil {
		return "", err
	}
	uuid := formatUUID(d.UUID)
	c.names.Store(uuid, d.Name)
	return uuid, nil
}

// UndefineOptions say what goes with a definition and what stays. libvirt
// refuses if something is there that no option speaks of.
type UndefineOptions struct {
	KeepNVRAM, NVRAM bool // NVRAM deletes the file
	KeepTPM          bool
	ManagedSave      bool // delete a saved state
	Snapshots        bool // forget the metadata of snapshots and checkpoints
}

// Undefine removes a definition. A running domain goes on as a transient one.
func (c *Conn) Undefine(ctx context.Context, uuid model.UUID, o UndefineOptions) error {
	var flags libvirt.DomainUndefineFlagsValues
	for _, f := range []struct {
		on   bool
		flag libvirt.DomainUndefineFlagsValues
	}{
		{o.KeepNVRAM, libvirt.DomainUndefineKeepNvram},
		{o.NVRAM, libvirt.DomainUndefineNvram},
		{o.KeepTPM, libvirt.DomainUndefineKeepTpm},
		{o.ManagedSave, libvirt.DomainUndefineManagedSave},
		{o.Snapshots, libvirt.DomainUndefineSnapshotsMetadata | libvirt.DomainUndefineCheckpointsMetadata},
	} {
		if f.on {
			flags |= f.flag
		}
	}
	return actOn(ctx, c, uuid, "undefine the domain", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainUndefineFlags(d, flags)
	})
}

// Autostart tells whether the host starts the domain when it boots.
func (c *Conn) Autostart(ctx context.Context, uuid model.UUID) (bool, error) {
	n, err := onDomain(ctx, c, uuid, "read the domain's autostart", quick, (*libvirt.Libvirt).DomainGetAutostart)
	return n > 0, err
}

// SetAutostart sets it.
func (c *Conn) SetAutostart(ctx context.Context, uuid model.UUID, on bool) error {
	var n int32
	if on {
		n = 1
	}
	return actOn(ctx, c, uuid, "set the domain's autostart", quick, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainSetAutostart(d, n)
	})
}

// SnapshotCount is how many snapshots libvirt knows of.
func (c *Conn) SnapshotCount(ctx context.Context, uuid model.UUID) (int, error) {
	n, err := onDomain(ctx, c, uuid, "count the domain's snapshots", quick, func(l *libvirt.Libvirt, d libvirt.Domain) (int32, error) {
		return l.DomainSnapshotNum(d, 0)
	})
	return int(n), err
}

// HasManagedSave tells whether the domain's memory lies saved on the host.
func (c *Conn) HasManagedSave(ctx context.Context, uuid model.UUID) (bool, error) {
	n, err := onDomain(ctx, c, uuid, "look for a saved state of the domain", quick, func(l *libvirt.Libvirt, d libvirt.Domain) (int32, error) {
		return l.DomainHasManagedSaveImage(d, 0)
	})
	return n > 0, err
}

// MetadataOptions say which of the domain's two XMLs a change is for. Asking
// for one that does not exist (Live of a domain that is off) is an error.
type MetadataOptions struct{ Live, Config bool }

// Metadata reads our, or anyone's, element from the domain's metadata, from
// the live XML if the domain runs.
func (c *Conn) Metadata(ctx context.Context, uuid model.UUID, uri string) (xml string, found bool, err error) {
	xml, err = onDomain(ctx, c, uuid, "read the domain's metadata", quick, func(l *libvirt.Libvirt, d libvirt.Domain) (string, error) {
		return l.DomainGetMetadata(d, int32(libvirt.DomainMetadataElement), optional(uri), libvirt.DomainAffectCurrent)
	})
	if IsCode(err, CodeNoMetadata) {
		return "", false, nil
	}
	return xml, err == nil, err
}

// SetMetadata writes the element for uri under the prefix key; an empty xml
// removes it, and it is no error that it is not there.
func (c *Conn) SetMetadata(ctx context.Context, uuid model.UUID, key, uri, xml string, o MetadataOptions) error {
	flags := libvirt.DomainAffectCurrent
	if o.Live {
		flags |= libvirt.DomainAffectLive
	}
	if o.Config {
		flags |= libvirt.DomainAffectConfig
	}
	err := actOn(ctx, c, uuid, "write the domain's metadata", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainSetMetadata(d, int32(libvirt.DomainMetadataElement), optional(xml), optional(key), optional(uri), flags)
	})
	if xml == "" && IsCode(err, CodeNoMetadata) {
		return nil
	}
	return err
}
