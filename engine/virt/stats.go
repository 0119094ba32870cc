package virt

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

const (
	wantedStats = uint32(libvirt.DomainStatsState | libvirt.DomainStatsCPUTotal | libvirt.DomainStatsBalloon |
		libvirt.DomainStatsVCPU | libvirt.DomainStatsInterface | libvirt.DomainStatsBlock)

	// maxDevices bounds what one answer can make us allocate.
	maxDevices = 4096
)

// Stats reads the counters of one domain.
func (c *Conn) Stats(ctx context.Context, uuid model.UUID) (model.DomainStats, error) {
	recs, err := onDomain(ctx, c, uuid, "read the domain's counters", slow, func(l *libvirt.Libvirt, d libvirt.Domain) ([]libvirt.DomainStatsRecord, error) {
		return l.ConnectGetAllDomainStats([]libvirt.Domain{d}, wantedStats, 0)
	})
	if err != nil {
		return model.DomainStats{}, err
	}
	if len(recs) == 0 {
		return model.DomainStats{}, c.failed("read the domain's counters",
			libvirt.Error{Code: CodeNoDomain, Message: "the host gave no counters for it"})
	}
	return decodeStats(recs[0], time.Now()), nil
}

// AllStats reads the counters of all domains in one request. A domain that is
// busy gives only what it can give without waiting.
func (c *Conn) AllStats(ctx context.Context) ([]model.DomainStats, error) {
	recs, err := call(ctx, c, "read the counters of all domains", slow, func(l *libvirt.Libvirt) ([]libvirt.DomainStatsRecord, error) {
		return l.ConnectGetAllDomainStats(nil, wantedStats, uint32(libvirt.ConnectGetAllDomainsStatsNowait))
	})
	now := time.Now()
	out := make([]model.DomainStats, 0, len(recs))
	for _, r := range recs {
		out = append(out, decodeStats(r, now))
	}
	return out, err
}

func decodeStats(r libvirt.DomainStatsRecord, now time.Time) model.DomainStats {
	s := model.DomainStats{At: now, UUID: formatUUID(r.Dom.UUID), State: model.DomainStatus{At: now}}
	var reason int32
	for _, p := range r.Params {
		group, rest, ok := strings.Cut(p.Field, ".")
		if !ok {
			continue
		}
		switch group {
		case "state":
			if rest == "state" {
				s.State.State = stateWord(int32(min(number(p), 1<<31-1)))
			} else if rest == "reason" {
				reason = int32(min(number(p), 1<<31-1))
			}
		case "cpu":
			if rest == "time" {
				s.CPUTime = nanoseconds(p)
			}
		case "balloon":
			decodeBalloon(&s, rest, p)
		case "vcpu":
			if v, field := indexed(&s.VCPUs, rest); v != nil {
				decodeVCPU(v, field, p)
			}
		case "block":
			if b, field := indexed(&s.Blocks, rest); b != nil {
				decodeBlock(b, field, p)
			}
		case "net":
			if n, field := indexed(&s.Nets, rest); n != nil {
				decodeNet(n, field, p)
			}
		}
	}
	if s.State.State == "" {
		s.State.State = model.StateNone
	}
	s.State.Reason = reasonWord(s.State.State, reason)
	return s
}

// indexed finds the element that "3.rd.bytes" speaks of, and gives "rd.bytes".
// A name without an index ("count") has no element.
func indexed[T any](list *[]T, name string) (*T, string) {
	index, field, ok := strings.Cut(name, ".")
	i, err := strconv.Atoi(index)
	if !ok || err != nil || i < 0 || i >= maxDevices {
		return nil, ""
	}
	if n := i + 1 - len(*list); n > 0 {
		*list = append(*list, make([]T, n)...)
	}
	return &(*list)[i], field
}

func decodeBalloon(s *model.DomainStats, field string, p libvirt.TypedParam) {
	switch field {
	case "current":
		s.BalloonCurrent = number(p) << 10
	case "maximum":
		s.BalloonMaximum = number(p) << 10
	case "rss":
		s.RSS = number(p) << 10
	}
}

func decodeVCPU(v *model.VCPUStat, field string, p libvirt.TypedParam) {
	switch field {
	case "time":
		v.Time, v.Timed = nanoseconds(p), true
	case "state":
		switch number(p) {
		case 0:
			v.State = "offline"
		case 1:
			v.State = "running"
		case 2:
			v.State = "blocked"
		}
	}
}

func decodeBlock(b *model.BlockStat, field string, p libvirt.TypedParam) {
	switch field {
	case "name":
		b.Target = words(p)
	case "path":
		b.Path = words(p)
	case "rd.reqs":
		b.ReadRequests = number(p)
	case "rd.bytes":
		b.ReadBytes = number(p)
	case "wr.reqs":
		b.WriteRequests = number(p)
	case "wr.bytes":
		b.WriteBytes = number(p)
	case "fl.reqs":
		b.FlushRequests = number(p)
	case "errors":
		b.Errors = number(p)
	case "capacity":
		b.Capacity = number(p)
	case "allocation":
		b.Allocation = number(p)
	case "physical":
		b.Physical = number(p)
	}
}

func decodeNet(n *model.NetStat, field string, p libvirt.TypedParam) {
	switch field {
	case "name":
		n.Target = words(p)
	case "rx.bytes":
		n.RxBytes = number(p)
	case "rx.pkts":
		n.RxPackets = number(p)
	case "rx.errs":
		n.RxErrors = number(p)
	case "rx.drop":
		n.RxDropped = number(p)
	case "tx.bytes":
		n.TxBytes = number(p)
	case "tx.pkts":
		n.TxPackets = number(p)
	case "tx.errs":
		n.TxErrors = number(p)
	case "tx.drop":
		n.TxDropped = number(p)
	}
}
