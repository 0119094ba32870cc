package virt

import (
	"context"
	"time"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// JobType is the state of a domain's job.
type JobType string

// Types of a job, in libvirt's order.
const (
	JobNone      JobType = "none"
	JobBounded   JobType = "bounded"
	JobUnbounded JobType = "unbounded"
	JobCompleted JobType = "completed"
	JobFailed    JobType = "failed"
	JobCancelled JobType = "cancelled"
)

var (
	jobTypes      = []JobType{JobNone, JobBounded, JobUnbounded, JobCompleted, JobFailed, JobCancelled}
	jobOperations = []string{
		"unknown", "start", "save", "restore", "migration in", "migration out", "snapshot", "snapshot revert",
		"dump", "backup", "snapshot delete",
	}
)

// JobStats is one reading of a domain's job. Sizes are bytes, rates bytes per
// second; a zero means that libvirt did not say, or zero.
type JobStats struct {
	At        time.Time
	Type      JobType
	Operation string // "migration out"

	Elapsed, TimeRemaining time.Duration

	DataTotal, DataProcessed, DataRemaining          uint64
	MemTotal, MemProcessed, MemRemaining, MemBps     uint64
	DiskTotal, DiskProcessed, DiskRemaining, DiskBps uint64

	DirtyRate        uint64 // pages per second
	PageSize         uint64 // bytes
	MemIteration     uint64
	PostcopyRequests uint64

	Downtime, DowntimeNet, SetupTime time.Duration

	AutoConvergeThrottle int // percent

	CompressionCache, CompressionBytes, CompressionPages uint64
	CompressionCacheMisses, CompressionOverflow          uint64

	// Success and ErrorMessage are there for completed jobs of newer libvirts.
	Success      bool
	ErrorMessage string
}

// Active tells that the job is under way.
func (s JobStats) Active() bool { return s.Type == JobBounded || s.Type == JobUnbounded }

// JobStats reads the job that runs on the domain now.
func (c *Conn) JobStats(ctx context.Context, uuid model.UUID) (JobStats, error) {
	return c.jobStats(ctx, uuid, 0)
}

// CompletedJobStats reads the last job that ended, on this host, and leaves
// the figures there for the next who asks.
func (c *Conn) CompletedJobStats(ctx context.Context, uuid model.UUID) (JobStats, error) {
	return c.jobStats(ctx, uuid, libvirt.DomainJobStatsCompleted|libvirt.DomainJobStatsKeepCompleted)
}

func (c *Conn) jobStats(ctx context.Context, uuid model.UUID, flags libvirt.DomainGetJobStatsFlags) (JobStats, error) {
	type reply struct {
		kind   int32
		params []libvirt.TypedParam
	}
	r, err := onDomain(ctx, c, uuid, "read the domain's job", slow, func(l *libvirt.Libvirt, d libvirt.Domain) (reply, error) {
		kind, params, err := l.DomainGetJobStats(d, flags)
		return reply{kind, params}, err
	})
	if err != nil {
		return JobStats{}, err
	}
	return decodeJob(r.kind, r.params, time.Now()), nil
}

func decodeJob(kind int32, params []libvirt.TypedParam, now time.Time) JobStats {
	s := JobStats{At: now, Type: JobNone}
	if kind >= 0 && int(kind) < len(jobTypes) {
		s.Type = jobTypes[kind]
	}
	sizes := map[string]*uint64{
		"data_total": &s.DataTotal, "data_processed": &s.DataProcessed, "data_remaining": &s.DataRemaining,
		"memory_total": &s.MemTotal, "memory_processed": &s.MemProcessed, "memory_remaining": &s.MemRemaining,
		"memory_bps": &s.MemBps, "memory_dirty_rate": &s.DirtyRate, "memory_page_size": &s.PageSize,
		"memory_iteration": &s.MemIteration, "memory_postcopy_requests": &s.PostcopyRequests,
		"disk_total": &s.DiskTotal, "disk_processed": &s.DiskProcessed, "disk_remaining": &s.DiskRemaining,
		"disk_bps":          &s.DiskBps,
		"compression_cache": &s.CompressionCache, "compression_bytes": &s.CompressionBytes,
		"compression_pages": &s.CompressionPages, "compression_cache_misses": &s.CompressionCacheMisses,
		"compression_overflow": &s.CompressionOverflow,
	}
	times := map[string]*time.Duration{
		"time_elapsed": &s.Elapsed, "time_remaining": &s.TimeRemaining, "downtime": &s.Downtime,
		"downtime_net": &s.DowntimeNet, "setup_time": &s.SetupTime,
	}
	for _, p := range params {
		switch {
		case sizes[p.Field] != nil:
			*sizes[p.Field] = number(p)
		case times[p.Field] != nil:
			*times[p.Field] = milliseconds(p)
		case p.Field == "auto_converge_throttle":
			s.AutoConvergeThrottle = int(min(number(p), 100))
		case p.Field == "operation":
			s.Operation = "unknown"
			if n := number(p); n < uint64(len(jobOperations)) {
				s.Operation = jobOperations[n]
			}
		case p.Field == "success":
			s.Success = number(p) > 0
		case p.Field == "errmsg":
			s.ErrorMessage = words(p)
		}
	}
	return s
}

// AbortJob asks libvirt to cancel the domain's job. It may return without
// error and without effect when the job is past the point: look at the outcome
// of the job itself.
func (c *Conn) AbortJob(ctx context.Context, uuid model.UUID) error {
	return actOn(ctx, c, uuid, "abort the domain's job", slow, (*libvirt.Libvirt).DomainAbortJob)
}

// SetMaxSpeed limits the memory stream of a move; 0 lifts the limit.
func (c *Conn) SetMaxSpeed(ctx context.Context, uuid model.UUID, mibps uint64) error {
	if mibps == 0 {
		// libvirt has no word for "no limit"; this is the most it accepts.
		mibps = 1<<63>>20 - 1
	}
	return actOn(ctx, c, uuid, "limit the speed of the move", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainMigrateSetMaxSpeed(d, mibps, 0)
	})
}

// SetMaxDowntime sets the longest pause that QEMU may aim at.
func (c *Conn) SetMaxDowntime(ctx context.Context, uuid model.UUID, d time.Duration) error {
	ms := uint64(max(d.Milliseconds(), 1))
	return actOn(ctx, c, uuid, "set the longest pause of the move", slow, func(l *libvirt.Libvirt, dom libvirt.Domain) error {
		return l.DomainMigrateSetMaxDowntime(dom, ms, 0)
	})
}
