package survey

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/queue"
	"horcrux/engine/virt"
)

// Claim is the mark of a move that waits or is under way, as a node tells of it.
type Claim struct {
	Node model.NodeName
	VM   model.UUID
	Name string
	Mark model.Mark
}

// mostClaims bounds how many domains of a node are asked for their mark.
const mostClaims = 4096

// askedAtOnce is how many questions are on the way to a node at a time, so that
// a far one costs few round trips. libvirtd works on five of a client's at a
// time; the others wait for a moment only, as no question takes long.
const askedAtOnce = 64

// Claims asks a node for the marks of all moves that wait or are under way.
func Claims(ctx context.Context, n *fleet.Node) ([]Claim, error) {
	c, err := n.Act(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := c.Domains(ctx)
	if err != nil {
		return nil, err
	}
	if len(refs) > mostClaims {
		return nil, fmt.Errorf("%s has %d domains, more than the %d whose marks are read", n.Name(), len(refs), mostClaims)
	}
	var (
		mu  sync.Mutex
		all []Claim
	)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(askedAtOnce)
	for _, r := range refs {
		g.Go(func() error {
			element, found, err := c.Metadata(ctx, r.UUID, virt.JobNamespace)
			switch {
			case virt.IsNoDomain(err):
				return nil // gone since it was listed
			case err != nil || !found:
				return err
			}
			m := virt.ParseMark(element)
			if !m.Active() {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, Claim{Node: n.Name(), VM: r.UUID, Name: r.Name, Mark: m})
			return nil
		})
	}
	return all, g.Wait()
}

// Entry is a claim as the queue counts it. The node that told of it goes by the
// name that this console knows it by, whatever the other one calls it.
func (c Claim) Entry() queue.Entry {
	m := c.Mark
	e := queue.Entry{
		Job: m.Job, VM: c.VM, Name: c.Name, From: m.From, To: m.To, Memory: m.Memory, Enqueued: m.Since, By: m.By,
	}
	if c.Node != m.To {
		e.From = c.Node
	}
	if e.By == "" {
		e.By = "somebody"
	}
	if m.Role == model.RoleMoving {
		e.Admitted = m.Since
	}
	return e
}
