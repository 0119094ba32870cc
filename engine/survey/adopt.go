package survey

import (
	"context"
	"fmt"
	"slices"
	"time"

	"horcrux/engine/ends"
	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// Sides is what both hosts of a move say of a VM, for a move whose journal is
// not here. A host that does not answer says so in its status.
func Sides(ctx context.Context, f *fleet.Fleet, vm model.UUID, from, to model.NodeName) (src, dst model.SideFacts) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	got := make(chan model.SideFacts, 1)
	go func() { got <- sideOf(ctx, f, vm, to) }()
	src = sideOf(ctx, f, vm, from)
	return src, <-got
}

func sideOf(ctx context.Context, f *fleet.Fleet, vm model.UUID, node model.NodeName) model.SideFacts {
	s := model.SideFacts{Node: node}
	n, ok := f.Node(node)
	if !ok {
		s.Status = model.DomainStatus{State: model.StateUnreachable, Err: fmt.Sprintf("node %q is not in the configuration", node)}
		return s
	}
	waitBoth(ctx, n)
	at := ends.New(n, vm)
	var err error
	if s.Status, err = at.Status(ctx); err != nil || s.Status.State == model.StateMissing {
		return s
	}
	m, err := at.ReadMark(ctx)
	if err != nil {
		s.Status = model.DomainStatus{State: model.StateUnreachable, Err: err.Error()}
		return s
	}
	if m.Job != "" {
		s.Mark = &m
	}
	if text, err := at.XML(ctx, virt.XMLOptions{Inactive: s.Status.Persistent}); err == nil {
		if d, err := at.Parse(ctx, virt.Unbury(text)); err == nil {
			for _, disk := range d.Disks {
				if disk.Device == "disk" && !disk.ReadOnly && disk.Source != "" {
					s.Disks = append(s.Disks, at.File(ctx, disk.Source))
				}
			}
		}
	}
	return s
}

// Adopt makes the plan of a move whose journal is lost, as far as the hosts and
// the mark tell it. Which volumes the move made on its target they do not tell,
// so none is taken for ours.
func Adopt(ctx context.Context, f *fleet.Fleet, vm model.UUID, m model.Mark, src, dst model.SideFacts, now time.Time) (model.Plan, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	p := model.Plan{
		Request: model.Request{VM: vm, From: m.From, To: m.To, Mode: model.ModeLive},
		Made:    now, Was: model.DomainStatus{State: model.StateRunning, At: now}, Autostart: m.Autostart,
	}
	if m.Was == model.StatePaused || m.Was == model.StateShutoff {
		p.Was.State = m.Was
	}
	known := src
	if src.Status.State == model.StateMissing {
		known = dst
	}
	n, ok := f.Node(known.Node)
	if !ok {
		return p, fmt.Errorf("node %q is not in the configuration", known.Node)
	}
	at := ends.New(n, vm)
	text, err := at.XML(ctx, virt.XMLOptions{Inactive: known.Status.Persistent, Secure: true})
	if err != nil {
		return p, fmt.Errorf("cannot read the definition on %s: %w", known.Node, err)
	}
	text = virt.Unbury(text)
	d, err := at.Parse(ctx, text)
	if err != nil {
		return p, fmt.Errorf("cannot read the definition on %s: %w", known.Node, err)
	}
	p.VMName, p.Memory, p.InactiveXML = d.Name, d.Memory, text
	for _, disk := range d.Disks {
		dp := model.DiskPlan{Disk: disk.Disk, Decision: model.DiskShared, Reason: "the mark of the move does not name it as copied", Path: disk.Source}
		switch {
		case disk.Source == "":
			dp.Decision, dp.Reason = model.DiskEmpty, "nothing in it"
		case disk.ReadOnly:
			dp.Decision, dp.Reason = model.DiskPresent, "read-only media"
		case slices.Contains(m.Copies, disk.Target):
			dp.Decision, dp.Reason = model.DiskCopy, "the mark of the move names it as copied"
		}
		p.Disks = append(p.Disks, dp)
	}
	return p, nil
}
