package virt

import (
	"context"
	"errors"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// MigrateFlags are libvirt's VIR_MIGRATE_* bits.
type MigrateFlags uint32

// The flags. Which may go together is libvirt's to say; it refuses the rest.
const (
	MigrateLive             MigrateFlags = 1 << 0
	MigratePeer2Peer        MigrateFlags = 1 << 1
	MigrateTunnelled        MigrateFlags = 1 << 2
	MigratePersistDest      MigrateFlags = 1 << 3
	MigrateUndefineSource   MigrateFlags = 1 << 4
	MigratePaused           MigrateFlags = 1 << 5 // the target stays paused after Finish
	MigrateNonSharedDisk    MigrateFlags = 1 << 6 // copy the disks
	MigrateNonSharedInc     MigrateFlags = 1 << 7 // copy the top layers only
	MigrateChangeProtection MigrateFlags = 1 << 8
	MigrateUnsafe           MigrateFlags = 1 << 9
	MigrateOffline          MigrateFlags = 1 << 10
	MigrateCompressed       MigrateFlags = 1 << 11
	MigrateAbortOnError     MigrateFlags = 1 << 12
	MigrateAutoConverge     MigrateFlags = 1 << 13
	MigrateRDMAPinAll       MigrateFlags = 1 << 14
	MigratePostcopy         MigrateFlags = 1 << 15
	MigrateTLS              MigrateFlags = 1 << 16
	MigrateParallel         MigrateFlags = 1 << 17
	MigrateSyncWrites       MigrateFlags = 1 << 18 // a mirror like that must not be cancelled: see docs/migration.md
	MigratePostcopyResume   MigrateFlags = 1 << 19
	MigrateZerocopy         MigrateFlags = 1 << 20

	// sourceOnly never goes to the target: libvirt's own client drops them too.
	sourceOnly = MigrateAbortOnError | MigrateAutoConverge | MigrateChangeProtection
)

// MigrateParams are the parameters of one move. The same value goes through
// all five calls; in between the caller sets DestXML to the XML that Begin gave
// and MigrateURI to the URI that Prepare gave, if it gave one. Empty fields are
// not sent.
type MigrateParams struct {
	DestName, DestXML, PersistentXML string
	MigrateURI, DisksURI             string
	ListenAddress, GraphicsURI       string
	TLSDestination                   string
	Bandwidth                        uint64   // MiB/s
	Disks                            []string // targets to copy; empty lets libvirt choose
	DisksPort                        int      // not together with DisksURI
	AutoConvergeInitial              int
	AutoConvergeIncrement            int
	ParallelConnections              int
	Compression                      []string
}

// typed is what is sent. The two XMLs are megabytes at worst and mean nothing
// after Perform, so Finish and Confirm go without them.
func (p MigrateParams) typed(withXML bool) []libvirt.TypedParam {
	var t []libvirt.TypedParam
	str := func(name, v string) {
		if v != "" {
			t = append(t, text(name, v))
		}
	}
	num := func(name string, v int) {
		if v > 0 {
			t = append(t, integer(name, v))
		}
	}
	str(libvirt.MigrateParamDestName, p.DestName)
	if withXML {
		str(libvirt.MigrateParamDestXML, p.DestXML)
		str(libvirt.MigrateParamPersistXML, p.PersistentXML)
	}
	str(libvirt.MigrateParamURI, p.MigrateURI)
	str(libvirt.MigrateParamDisksURI, p.DisksURI)
	str(libvirt.MigrateParamListenAddress, p.ListenAddress)
	str(libvirt.MigrateParamGraphicsURI, p.GraphicsURI)
	str(libvirt.MigrateParamTLSDestination, p.TLSDestination)
	if p.Bandwidth > 0 {
		t = append(t, unsigned(libvirt.MigrateParamBandwidth, p.Bandwidth))
	}
	for _, d := range p.Disks {
		str(libvirt.MigrateParamMigrateDisks, d)
	}
	for _, c := range p.Compression {
		str(libvirt.MigrateParamCompression, c)
	}
	num(libvirt.MigrateParamDisksPort, p.DisksPort)
	num(libvirt.MigrateParamAutoConvergeInitial, p.AutoConvergeInitial)
	num(libvirt.MigrateParamAutoConvergeIncrement, p.AutoConvergeIncrement)
	num(libvirt.MigrateParamParallelConnections, p.ParallelConnections)
	return t
}

// The five calls of libvirt's protocol 3. Begin, Perform and Confirm belong on
// one connection to the source, Prepare and Finish on one to the target: libvirt
// ties the job and the waiting QEMU to them. Each takes the cookie of the call
// that succeeded before it, and an empty one after a call that failed. None is
// ever repeated by itself; after an error that is Unknown only a look at both
// hosts tells what is.

// MigrateBegin begins the job on the source and gives the XML for the target.
func (c *Conn) MigrateBegin(ctx context.Context, uuid model.UUID, p MigrateParams, flags MigrateFlags) (cookie []byte, xml string, err error) {
	type out struct {
		cookie []byte
		xml    string
	}
	o, err := onDomain(ctx, c, uuid, "begin the move", probing, func(l *libvirt.Libvirt, d libvirt.Domain) (out, error) {
		cookie, xml, err := l.DomainMigrateBegin3Params(d, p.typed(true), uint32(flags))
		return out{cookie, xml}, err
	})
	return o.cookie, o.xml, err
}

// MigratePrepare makes the target wait for the guest. An empty uri means that
// the one in p holds.
func (c *Conn) MigratePrepare(ctx context.Context, p MigrateParams, cookie []byte, flags MigrateFlags) (cookieOut []byte, uri string, err error) {
	type out struct {
		cookie []byte
		uri    libvirt.OptString
	}
	o, err := call(ctx, c, "prepare the target", probing, func(l *libvirt.Libvirt) (out, error) {
		cookie, uri, err := l.DomainMigratePrepare3Params(p.typed(true), cookie, uint32(flags&^sourceOnly))
		return out{cookie, uri}, err
	})
	if len(o.uri) > 0 {
		uri = o.uri[0]
	}
	return o.cookie, uri, err
}

// MigratePerform moves the data and returns when both sides stand still with
// all of it at the target. It has no deadline but ctx's, and the end of ctx does
// not stop the move: AbortJob on another connection does, and then this returns.
// If libvirt answers with an error, the source runs on by itself and must not be
// confirmed.
func (c *Conn) MigratePerform(ctx context.Context, uuid model.UUID, p MigrateParams, cookie []byte, flags MigrateFlags) (cookieOut []byte, err error) {
	return onDomain(ctx, c, uuid, "move the data", endless, func(l *libvirt.Libvirt, d libvirt.Domain) ([]byte, error) {
		return l.DomainMigratePerform3Params(d, nil, p.typed(true), cookie, libvirt.DomainMigrateFlags(flags))
	})
}

// MigrateFinish ends the move on the target: the guest is there, or, with
// cancelled, its process is removed; libvirt's answer to that is the error
// CodeMigrateFinishOK, which is returned as nil. p.DestName must be set.
func (c *Conn) MigrateFinish(ctx context.Context, p MigrateParams, cookie []byte, flags MigrateFlags, cancelled bool) (cookieOut []byte, err error) {
	doing := "finish the move on the target"
	if p.DestName == "" {
		return nil, &Error{Doing: doing, Host: c.name, Err: errors.New("the domain's name is not given")}
	}
	limit := probing
	if flags&MigratePostcopy != 0 && !cancelled {
		limit = endless // it lasts until the last page of memory has come
	}
	cookieOut, err = call(ctx, c, doing, limit, func(l *libvirt.Libvirt) ([]byte, error) {
		_, cookie, err := l.DomainMigrateFinish3Params(p.typed(false), cookie, uint32(flags&^sourceOnly), flagOf(cancelled))
		return cookie, err
	})
	if cancelled && IsCode(err, CodeMigrateFinishOK) {
		return nil, nil
	}
	return cookieOut, err
}

// MigrateConfirm ends the move on the source: the process there is removed,
// or, with cancelled, runs on. It may report success without having resumed it.
func (c *Conn) MigrateConfirm(ctx context.Context, uuid model.UUID, p MigrateParams, cookie []byte, flags MigrateFlags, cancelled bool) error {
	return actOn(ctx, c, uuid, "confirm the move on the source", probing, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainMigrateConfirm3Params(d, p.typed(false), cookie, uint32(flags), flagOf(cancelled))
	})
}

func flagOf(b bool) int32 {
	if b {
		return 1
	}
	return 0
}

// StartPostCopy switches a running move to post-copy: from then on the guest
// runs on the target, and neither side alone has all of its memory.
func (c *Conn) StartPostCopy(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "switch the move to post-copy", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainMigrateStartPostCopy(d, 0)
	})
}

// PausePostCopy breaks a post-copy off whose line carries nothing any more, so
// that it can be started again on a new one. Nothing is lost by it.
func (c *Conn) PausePostCopy(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "break off the post-copy", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainAbortJobFlags(d, uint32(libvirt.DomainAbortJobPostcopy))
	})
}
