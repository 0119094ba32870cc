package inventory

import (
	"unique"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// said is what is kept of a definition. The whole of it has texts in which the
// XML lives on: with ten thousand VMs that is most of the memory.
type said struct {
	VCPUs     int
	Memory    uint64
	NICs      []model.NIC
	Agent     model.AgentState
	Title     string
	Job       model.JobID
	Tombstone bool
	Mark      *model.Mark
}

func kept(d virt.Domain) said {
	s := said{
		VCPUs: d.VCPUs, Memory: d.Memory, Agent: d.Agent, Title: d.Title,
		Job: d.Job, Tombstone: d.JobRole == virt.RoleTombstone,
	}
	s.NICs = make([]model.NIC, 0, len(d.NICs))
	for _, n := range d.NICs {
		n.Model, n.Type, n.Source = one(n.Model), one(n.Type), one(n.Source)
		s.NICs = append(s.NICs, n)
	}
	if d.Mark.Job != "" {
		mark := d.Mark
		s.Mark = &mark
	}
	return s
}

func shared(d model.Disk) model.Disk {
	d.Target, d.Device, d.Type, d.Format, d.Cache = one(d.Target), one(d.Device), one(d.Type), one(d.Format), one(d.Cache)
	return d
}

// one keeps a word that many definitions have once.
func one(word string) string { return unique.Make(word).Value() }
