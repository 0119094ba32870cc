package virt

import (
	"context"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

// BlockInfo gives the sizes of one disk in bytes: what the guest sees, what is
// taken on the host, and the size of the file or device.
func (c *Conn) BlockInfo(ctx context.Context, uuid model.UUID, disk string) (capacity, allocation, physical uint64, err error) {
	type sizes struct{ capacity, allocation, physical uint64 }
	s, err := onDomain(ctx, c, uuid, "read the size of disk "+disk, slow, func(l *libvirt.Libvirt, d libvirt.Domain) (sizes, error) {
		a, c, p, err := l.DomainGetBlockInfo(d, disk, 0)
		return sizes{c, a, p}, err
	})
	return s.capacity, s.allocation, s.physical, err
}

// BlockJobInfo is a job on one disk. For a mirror Current equals End once both
// sides are the same.
type BlockJobInfo struct {
	Type         int32  // libvirt's: 1 pull, 2 copy, 3 commit, 4 active commit, 5 backup
	Bandwidth    uint64 // bytes per second, 0 for no limit
	Current, End uint64
}

// BlockJob looks for a job on one disk.
func (c *Conn) BlockJob(ctx context.Context, uuid model.UUID, disk string) (found bool, info BlockJobInfo, err error) {
	const inBytes = 1
	type job struct {
		found bool
		info  BlockJobInfo
	}
	j, err := onDomain(ctx, c, uuid, "look for a job of disk "+disk, slow, func(l *libvirt.Libvirt, d libvirt.Domain) (job, error) {
		n, kind, bandwidth, cur, end, err := l.DomainGetBlockJobInfo(d, disk, inBytes)
		return job{n > 0, BlockJobInfo{kind, bandwidth, cur, end}}, err
	})
	return j.found, j.info, err
}

// SetBlockJobSpeed limits the job of one disk while it runs. SetMaxSpeed does
// not touch the disks of a move that has begun; this does.
func (c *Conn) SetBlockJobSpeed(ctx context.Context, uuid model.UUID, disk string, bytesPerSec uint64) error {
	return actOn(ctx, c, uuid, "limit the job of disk "+disk, slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainBlockJobSetSpeed(d, disk, bytesPerSec, libvirt.DomainBlockJobSpeedBandwidthBytes)
	})
}
