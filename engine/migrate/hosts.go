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
	StartPostCopy(ctx context.Context) error
	// PausePostCopy breaks off a post-copy on its source, PauseIncoming on its
	// target; nothing is lost by it.
	PausePostCopy(ctx context.Context) error
	PauseIncoming(ctx context.Context) error
	SetMaxSpeed(ctx context.Context, mibps uint64) error
	SetMaxDowntime(ctx context.Context, d time.Duration) error
	SetBlockJobSpeed(ctx context.Context, disk string, bytesPerSecond uint64) error
	Suspend(ctx context.Context) error
	// BreakStreams cuts the connections by which QEMU sends a migration, and says
	// how many there were.
	BreakStreams(ctx context.Context) (int, error)
	// EmptyDevice clears both ends of a block device.
	EmptyDevice(ctx context.Context, path string) error
	// File looks at one file without reading it; what cannot be found out is in
	// its Err.
	File(ctx context.Context, path string) model.FileFact
	// Rights tells owner and mode of a file.
	Rights(ctx context.Context, path string) (model.Rights, error)
	// ReadMark reads the mark of whatever move has hold of the domain; one
	// without a job if there is none.
	ReadMark(ctx context.Context) (Mark, error)
	// StartPaused makes the domain's process with the guest not running yet;
	// ShutdownBy asks the guest to shut down.
	StartPaused(ctx context.Context) error
	ShutdownBy(ctx context.Context, way virt.ShutdownWay) error
	// Mark writes our marker on the domain, durable on the host.
	Mark(ctx context.Context, m Mark) error
	// RefreshPools makes libvirt look at what is in the pools.
	RefreshPools(ctx context.Context, pools ...string) error
	CreateVolume(ctx context.Context, d model.DiskPlan) error
	// Snapshot makes a copy of a file that shares its blocks, at once, or fails.
	Snapshot(ctx context.Context, file, to string) error
	// FreezeDisks puts overlays, by the disks' targets, on disks at one moment;
	// others names the disks that stay as they are.
	FreezeDisks(ctx context.Context, overlays map[string]string, others []string) error
	// DiskSource is the file that a disk of the running domain is on, Allocation
	// what that takes on the host in bytes.
	DiskSource(ctx context.Context, disk string) (string, error)
	Allocation(ctx context.Context, disk string) (uint64, error)
	// CreateOverlay makes an empty overlay on base.
	CreateOverlay(ctx context.Context, file, base, baseFormat string, capacity uint64) error
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
	LibVersion(ctx context.Context) (string, error)
	Close() error
}

// Mark is what a move writes on a domain.
type Mark = model.Mark

// Roles of a mark.
const (
	RoleWaiting   = model.RoleWaiting
	RoleMoving    = model.RoleMoving
	RoleTombstone = model.RoleTombstone
)
