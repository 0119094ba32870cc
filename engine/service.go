// Package engine is what the console and the command line talk to: it keeps
// the inventory of the cluster current, makes plans, starts moves in processes
// of their own, and shows what those processes say.
//
// Service is all that a user interface needs. Everything it returns is a value.
package engine

import (
	"context"

	"horcrux/engine/event"
	"horcrux/engine/model"
)

// Update is what changed since the last one. A nil field did not change.
type Update struct {
	Cluster *model.Cluster
	Jobs    []model.Job // newest first
}

// NodeReport is what doctor found about one node.
type NodeReport struct {
	Node     model.NodeName  `json:"node"`
	Findings []model.Finding `json:"findings"`
}

// Service is the engine as a user interface sees it.
type Service interface {
	// Snapshot is the newest inventory, at once, without asking any host.
	Snapshot() model.Cluster
	// Watch sends an update at once and then whenever something changed, until
	// ctx ends. A slow reader gets fewer, newer updates, never a backlog.
	Watch(ctx context.Context) <-chan Update
	// Plan makes the pre-flight for one move; it changes nothing on any host
	// but the mark that proves shared storage, which it removes again.
	Plan(ctx context.Context, r model.Request) (model.Plan, error)
	// Start hands a plan to a process of its own and returns once that process
	// has its journal open. The plan is made again there before anything is done.
	Start(ctx context.Context, p model.Plan) (model.JobID, error)
	// Do passes a wish to a job.
	Do(ctx context.Context, id model.JobID, c model.Command) error
	// Jobs lists all jobs, newest first.
	Jobs(ctx context.Context) ([]model.Job, error)
	// Follow replays what a job said and goes on until it ends or ctx does.
	Follow(ctx context.Context, id model.JobID) (<-chan event.Event, error)
	// Health makes the eight checks of a VM now, reporting each as it is done.
	Health(ctx context.Context, vm model.UUID, node model.NodeName, report func(model.CheckResult)) error
	// Doctor looks at every node, reporting each as it is done.
	Doctor(ctx context.Context, report func(NodeReport)) error
	// Close ends the connections; jobs go on in their own processes.
	Close() error
}
