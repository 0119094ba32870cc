package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"horcrux/engine/audit"
	"horcrux/engine/ends"
	"horcrux/engine/model"
)

// mostAlso bounds the nodes that a move looks at besides its own two.
const mostAlso = 8

// boundFor lists the nodes, besides the two of a move, from which other consoles
// have moves to the same target: their marks are to be seen nowhere else.
func boundFor(c model.Cluster, p model.Plan) []model.NodeName {
	var also []model.NodeName
	for _, v := range c.VMs {
		m := v.Mark
		if m == nil || m.Ours || m.To != p.To || !m.Active() {
			continue
		}
		if v.Node != p.From && v.Node != p.To && !slices.Contains(also, v.Node) && len(also) < mostAlso {
			also = append(also, v.Node)
		}
	}
	return also
}

// recoverClaim removes the mark of a move that waited and never began: one of
// ours whose process is gone, or one of a console that is gone for good.
func (e *Engine) recoverClaim(ctx context.Context, o Orphan, gone bool) (*model.Result, error) {
	n, ok := e.fleet.Node(o.Node)
	if !ok {
		return nil, fmt.Errorf("node %s is not in the configuration", o.Node)
	}
	at := ends.New(n, o.VM).ForJob(o.Mark.Job)
	m, err := at.ReadMark(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot read the mark of %s on %s: %w", o.Name, o.Node, err)
	case m.Job != o.Mark.Job || m.Role != model.RoleWaiting:
		return nil, nil // it went on since it was seen
	}
	if !o.ours(e.store.Console()) {
		why := mayLive(m, gone, time.Now())
		if why == "" && e.countsUp(ctx, o.Node, o.VM, m, claimPatience) {
			why = "its mark was counted up just now: that console is alive"
		}
		if why != "" {
			return &model.Result{
				Outcome: model.OutcomePerson, Owner: o.Node, Reason: fmt.Sprintf("%s waits to move it, and %s", m.Whose(), why),
				Next: "have it taken out of the queue there: horcrux abort " + string(m.Job),
			}, nil
		}
	}
	if free, err := e.vmFree(o.VM); err != nil || !free {
		return nil, errors.Join(err, fmt.Errorf("a process of this console is at work on %s: wait for it", o.Name))
	}
	what := audit.Entry{Act: "unmark", Job: string(m.Job), VM: o.Name, Node: string(o.Node), Detail: "the move waited and never began; it was asked for by " + m.By}
	if err := e.Act(what, func() error { return at.RemoveMark(ctx) }); err != nil {
		return nil, fmt.Errorf("cannot remove the mark of %s on %s: %w", o.Name, o.Node, err)
	}
	return &model.Result{
		Outcome: model.OutcomeRefused, Owner: o.Node, Reason: fmt.Sprintf("%s waited in the queue, and its process is gone; its mark is removed", m.Whose()),
		Next: "nothing was changed; the move can be started again at any time",
	}, nil
}
