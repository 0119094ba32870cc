package virt

import (
	"context"
	"encoding/json"
	"math"

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

// SetBlockJobSpeed limits the job of one disk while it runs; 0 lifts the limit.
// SetMaxSpeed does not touch the disks of a move that has begun; this does. It
// asks QEMU itself: while a move has the domain, libvirt 9 lets its own call for
// this wait for 30 seconds and then refuses it.
func (c *Conn) SetBlockJobSpeed(ctx context.Context, uuid model.UUID, disk string, bytesPerSec uint64) error {
	ctx, cancel := bounded(ctx, slow)
	defer cancel()
	job, err := c.blockJobName(ctx, uuid, disk)
	if err != nil {
		return err
	}
	if job != "" {
		_, err = c.QMP(ctx, uuid, "block-job-set-speed", map[string]any{
			"device": job, "speed": min(bytesPerSec, math.MaxInt64),
		})
		return err
	}
	return actOn(ctx, c, uuid, "limit the job of disk "+disk, slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainBlockJobSetSpeed(d, disk, bytesPerSec, libvirt.DomainBlockJobSpeedBandwidthBytes)
	})
}

// blockJobName finds the name that libvirt gave QEMU for the copy of a disk in
// a move; empty if there is no such job.
func (c *Conn) blockJobName(ctx context.Context, uuid model.UUID, disk string) (string, error) {
	answer, err := c.QMP(ctx, uuid, "query-block-jobs", nil)
	if err != nil {
		return "", err
	}
	var jobs []struct {
		Device string `json:"device"`
	}
	doing := "find the job of disk " + disk
	if err := json.Unmarshal(answer, &jobs); err != nil {
		return "", c.failed(doing, &answerError{err})
	}
	text, err := c.XML(ctx, uuid, XMLOptions{})
	if err != nil {
		return "", err
	}
	d, err := ParseDomain(text)
	if err != nil {
		return "", c.failed(doing, &answerError{err})
	}
	for _, x := range d.Disks {
		for _, j := range jobs {
			if x.Target == disk && x.Alias != "" && j.Device == "drive-"+x.Alias {
				return j.Device, nil
			}
		}
	}
	return "", nil
}
