package virt

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

const (
	// tableStats are what a table of VMs shows; the rest is for health checks.
	tableStats = uint32(libvirt.DomainStatsState | libvirt.DomainStatsCPUTotal | libvirt.DomainStatsBalloon |
		libvirt.DomainStatsInterface | libvirt.DomainStatsBlock)
	everyStat = tableStats | uint32(libvirt.DomainStatsVCPU)

	// maxDevices bounds what one answer can make us allocate.
	maxDevices = 4096
)

// Stats reads the counters of one domain, those of its vCPUs included.
func (c *Conn) Stats(ctx context.Context, uuid model.UUID) (model.DomainStats, error) {
	const doing = "read the domain's counters"
	var out model.DomainStats
	found := false
	if _, err := c.domain(ctx, uuid); err != nil { // says so if there is none
		return out, err
	}
	err := c.stats(ctx, doing, []model.UUID{uuid}, everyStat, 0, func(s *model.DomainStats) {
		out, found = *s, true
	})
	if err == nil && !found {
		err = c.failed(doing, libvirt.Error{Code: CodeNoDomain, Message: "the host gave no counters for it"})
	}
	return out, err
}

// EachStats reads the counters of some domains in one request, of all if ids is
// nil, and gives them to take one by one. What take gets is used again for the
// next. A domain that is busy gives only what it can give without waiting, one
// that is gone nothing.
func (c *Conn) EachStats(ctx context.Context, ids []model.UUID, take func(*model.DomainStats)) error {
	return c.stats(ctx, "read the counters of the domains", ids, tableStats, uint32(libvirt.ConnectGetAllDomainsStatsNowait), take)
}

func (c *Conn) stats(ctx context.Context, doing string, ids []model.UUID, which, flags uint32, take func(*model.DomainStats)) error {
	args := binary.BigEndian.AppendUint32(nil, uint32(len(ids)))
	for _, id := range ids {
		raw, err := parseUUID(id)
		if err != nil {
			return &Error{Doing: doing, Host: c.name, Err: err}
		}
		name, ok := c.roster.named(raw)
		if !ok {
			name = string(id) // libvirt goes by the UUID
		}
		args = append(appendText(args, name), raw[:]...)
		args = binary.BigEndian.AppendUint32(args, 1<<32-1) // no number
	}
	args = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(args, which), flags)
	p, err := call(ctx, c, doing, slow, func(*libvirt.Libvirt) ([]byte, error) { return c.wire.ask(procAllStats, args) })
	if err != nil {
		return err
	}
	now := time.Now()
	r := reader{p: p}
	var s model.DomainStats
	for range r.count() {
		r.text()
		raw := r.uuid()
		r.u32()
		if r.bad {
			break
		}
		s.UUID, s.At = c.roster.domain(raw, nil).uuid, now
		if readStats(&r, &s, c.roster, which == everyStat); r.bad {
			break
		}
		take(&s)
	}
	if r.bad {
		return c.failed(doing, c.wire.malformed(procAllStats))
	}
	return nil
}

// readStats reads the parameters of one domain into s, whose lists are used again.
func readStats(r *reader, s *model.DomainStats, words *roster, paths bool) {
	*s = model.DomainStats{At: s.At, UUID: s.UUID, State: model.DomainStatus{At: s.At}, VCPUs: s.VCPUs[:0], Blocks: s.Blocks[:0], Nets: s.Nets[:0]}
	var reason int32
	for range r.count() {
		field := r.text()
		v := r.value()
		if r.bad {
			return
		}
		group, rest, ok := bytes.Cut(field, dot)
		if !ok {
			continue
		}
		switch string(group) {
		case "state":
			if string(rest) == "state" {
				s.State.State = stateWord(int32(min(v.n, 1<<31-1)))
			} else if string(rest) == "reason" {
				reason = int32(min(v.n, 1<<31-1))
			}
		case "cpu":
			if string(rest) == "time" {
				s.CPUTime = time.Duration(v.capped())
			}
		case "balloon":
			readBalloon(s, rest, v)
		case "vcpu":
			if e, field := indexed(&s.VCPUs, rest); e != nil {
				readVCPU(e, field, v)
			}
		case "block":
			if e, field := indexed(&s.Blocks, rest); e != nil {
				readBlock(e, field, v, words, paths)
			}
		case "net":
			if e, field := indexed(&s.Nets, rest); e != nil {
				readNet(e, field, v, words)
			}
		}
	}
	if s.State.State == "" {
		s.State.State = model.StateNone
	}
	s.State.Reason = reasonWord(s.State.State, reason)
}

var dot = []byte{'.'}

// indexed finds the element that "3.rd.bytes" speaks of, and gives "rd.bytes".
// A name without an index ("count") has no element.
func indexed[T any](list *[]T, name []byte) (*T, []byte) {
	index, field, ok := bytes.Cut(name, dot)
	if !ok || len(index) == 0 || len(index) > 4 {
		return nil, nil
	}
	i := 0
	for _, d := range index {
		if d < '0' || d > '9' {
			return nil, nil
		}
		i = 10*i + int(d-'0')
	}
	if i >= maxDevices {
		return nil, nil
	}
	var none T
	for len(*list) <= i {
		*list = append(*list, none)
	}
	return &(*list)[i], field
}

func readBalloon(s *model.DomainStats, field []byte, v value) {
	switch string(field) {
	case "current":
		s.BalloonCurrent = v.n << 10
	case "maximum":
		s.BalloonMaximum = v.n << 10
	case "rss":
		s.RSS = v.n << 10
	}
}

func readVCPU(c *model.VCPUStat, field []byte, v value) {
	switch string(field) {
	case "time":
		c.Time, c.Timed = time.Duration(v.capped()), true
	case "state":
		switch v.n {
		case 0:
			c.State = "offline"
		case 1:
			c.State = "running"
		case 2:
			c.State = "blocked"
		}
	}
}

func readBlock(b *model.BlockStat, field []byte, v value, known *roster, paths bool) {
	switch string(field) {
	case "name":
		b.Target = known.word(v.text)
	case "path":
		if paths { // hardly two are the same, and no table shows them
			b.Path = Clean(string(v.text))
		}
	case "rd.reqs":
		b.ReadRequests = v.n
	case "rd.bytes":
		b.ReadBytes = v.n
	case "wr.reqs":
		b.WriteRequests = v.n
	case "wr.bytes":
		b.WriteBytes = v.n
	case "fl.reqs":
		b.FlushRequests = v.n
	case "errors":
		b.Errors = v.n
	case "capacity":
		b.Capacity = v.n
	case "allocation":
		b.Allocation = v.n
	case "physical":
		b.Physical = v.n
	}
}

func readNet(n *model.NetStat, field []byte, v value, known *roster) {
	switch string(field) {
	case "name":
		n.Target = known.word(v.text)
	case "rx.bytes":
		n.RxBytes = v.n
	case "rx.pkts":
		n.RxPackets = v.n
	case "rx.errs":
		n.RxErrors = v.n
	case "rx.drop":
		n.RxDropped = v.n
	case "tx.bytes":
		n.TxBytes = v.n
	case "tx.pkts":
		n.TxPackets = v.n
	case "tx.errs":
		n.TxErrors = v.n
	case "tx.drop":
		n.TxDropped = v.n
	}
}
