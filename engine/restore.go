package engine

import (
	"context"
	"fmt"
	"time"

	"horcrux/engine/ends"
	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/worker"
	"horcrux/rollback"
)

// lossWithin bounds the look at both nodes before a restore.
const lossWithin = 15 * time.Second

// Loss says what a restore of a job's source would lose, or why it cannot be
// done. It changes nothing.
func (e *Engine) Loss(ctx context.Context, id model.JobID) (model.Loss, error) {
	if e.store.Alive(id) {
		return model.Loss{}, fmt.Errorf("cannot restore the source of job %s: its process is still at work: wait, or abort it", id)
	}
	v, err := journal.Read(e.store.Dir(id))
	if err != nil {
		return model.Loss{}, err
	}
	loss := model.Loss{Since: v.CommittedAt}
	ctx, cancel := context.WithTimeout(ctx, lossWithin)
	defer cancel()
	src := e.statusOn(ctx, v.Plan.From, v.Plan.VM)
	loss.Target = e.statusOn(ctx, v.Plan.To, v.Plan.VM)
	if err := rollback.CanRestore(v, src, loss.Target); err != nil {
		return loss, fmt.Errorf("cannot restore the source of job %s: %w", id, err)
	}
	if n, ok := e.fleet.Node(v.Plan.To); ok && loss.Target.Live() {
		if st, err := ends.New(n, v.Plan.VM).Stats(ctx); err == nil {
			loss.Known = true
			for _, b := range st.Blocks {
				loss.Written += b.WriteBytes
			}
		}
	}
	return loss, nil
}

// statusOn looks at a VM on one node; silence is StateUnreachable.
func (e *Engine) statusOn(ctx context.Context, node model.NodeName, vm model.UUID) model.DomainStatus {
	n, ok := e.fleet.Node(node)
	if !ok {
		return model.DomainStatus{State: model.StateUnreachable, Err: fmt.Sprintf("node %s is not in the configuration", node)}
	}
	if err := n.Wait(ctx); err != nil {
		return model.DomainStatus{State: model.StateUnreachable, Err: err.Error()}
	}
	st, _ := ends.New(n, vm).Status(ctx)
	return st
}

// Restore boots the frozen disks of a job's source, after its guest died on the
// target. Whoever calls it has had the VM's name typed.
func (e *Engine) Restore(ctx context.Context, id model.JobID) error {
	what := e.onJob("restore-source", id)
	what.Outcome = "begun"
	return e.Act(what, func() error { return e.decided(ctx, id, e.order(worker.Restore, id)) })
}

// Keep carries out a person's choice of the node that has the VM of a job.
// Whoever calls it has had the VM's name typed.
func (e *Engine) Keep(ctx context.Context, id model.JobID, node model.NodeName) error {
	v, err := journal.Read(e.store.Dir(id))
	if err != nil {
		return err
	}
	if node != v.Plan.From && node != v.Plan.To {
		return fmt.Errorf("cannot keep %s on %s: job %s is between %s and %s", v.Plan.VMName, node, id, v.Plan.From, v.Plan.To)
	}
	what := e.onJob("keep", id)
	what.Outcome, what.Detail = "begun", "keep it on "+string(node)
	return e.Act(what, func() error {
		o := e.order(worker.Keep, id)
		o.Keep = node
		return e.decided(ctx, id, o)
	})
}

func (e *Engine) decided(ctx context.Context, id model.JobID, o worker.Order) error {
	if e.store.Alive(id) {
		return fmt.Errorf("cannot decide about job %s: its process is still at work", id)
	}
	return worker.Spawn(ctx, e.opt.Worker, e.store, o)
}
