package migrate

import (
	"context"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
	"horcrux/rollback"
)

// Host is one VM on one node, by connections that are shared and come back by
// themselves. Every call has its own deadline besides that of ctx.
type Host interface {
	rollback.Host
	XML(ctx context.Context, o virt.XMLOptions) (string, error)
	JobStats(ctx context.Context) (virt.JobStats, error)
	CompletedJobStats(ctx context.Context) (virt.JobStats, error)
	AbortJob(ctx context.Context) error
	SetMaxSpeed(ctx context.Context, mibps uint64) error
	SetMaxDowntime(ctx context.Context, d time.Duration) error
	SetBlockJobSpeed(ctx context.Context, disk string, bytesPerSecond uint64) error
	Suspend(ctx context.Context) error
	// Mark writes our marker on the domain, Define a definition, both durable
	// on the host.
	Mark(ctx context.Context, m Mark) error
	Define(ctx context.Context, xml string) error
	// VolumeExists looks for a file or volume at path.
	VolumeExists(ctx context.Context, path string) (bool, error)
	CreateVolume(ctx context.Context, d model.DiskPlan) error
	// Rename moves a file on the host; it never replaces one.
	Rename(ctx context.Context, from, to string) error
	// Link opens a connection of its own for the phase calls of one move:
	// libvirt ties what they make to it.
	Link(ctx context.Context) (Link, error)
}

// Link carries the phase calls of one side. Closing it makes libvirt drop what
// is unfinished.
type Link interface {
	MigrateBegin(ctx context.Context, vm model.UUID, p virt.MigrateParams, flags virt.MigrateFlags) (cookie []byte, xml string, err error)
	MigratePrepare(ctx context.Context, p virt.MigrateParams, cookie []byte, flags virt.MigrateFlags) (cookieOut []byte, uri string, err error)
	MigratePerform(ctx context.Context, vm model.UUID, p virt.MigrateParams, cookie []byte, flags virt.MigrateFlags) (cookieOut []byte, err error)
	MigrateFinish(ctx context.Context, p virt.MigrateParams, cookie []byte, flags virt.MigrateFlags, cancelled bool) (cookieOut []byte, err error)
	MigrateConfirm(ctx context.Context, vm model.UUID, p virt.MigrateParams, cookie []byte, flags virt.MigrateFlags, cancelled bool) error
	SupportsFeature(ctx context.Context, feature int32) (bool, error)
	Close() error
}

// Role says what a marker means.
type Role string

// Roles of a marker.
const (
	// RoleMoving: a move has hold of the domain.
	RoleMoving Role = "moving"
	// RoleTombstone: what a move left on its source; it must not be started.
	RoleTombstone Role = "tombstone"
)

// MarkNamespace is the XML namespace of the marker in a domain's metadata.
const MarkNamespace = "https://horcrux.dev/xmlns/job/1"

// Mark is what a move writes on a domain, so that another console on another
// machine sees whose move it is.
type Mark struct {
	Job      model.JobID
	Role     Role
	From, To model.NodeName
}
