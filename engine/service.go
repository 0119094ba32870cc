// Package engine is what the console and the command line talk to: it keeps
// the inventory of the cluster current, makes plans, starts moves in processes
// of their own, and shows what those processes say.
//
// Service is all that a user interface needs. Everything it returns is a value.
package engine

import (
	"context"
	"io"

	"horcrux/engine/event"
	"horcrux/engine/model"
)

// Update is what changed since the last one. A nil field did not change.
type Update struct {
	Cluster *model.Cluster
	Jobs    []model.Job // newest first
	// Questions are all that wait for a person, oldest first; empty, not nil,
	// when the last one is gone.
	Questions []model.Question
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
	// Unsettled lists what a crash has left behind, once every node has answered
	// or is known not to. It changes nothing.
	Unsettled(ctx context.Context) ([]Unsettled, error)
	// Follow replays what a job said and goes on until it ends or ctx does.
	Follow(ctx context.Context, id model.JobID) (<-chan event.Event, error)
	// Health makes the eight checks of a VM now, reporting each as it is done.
	Health(ctx context.Context, vm model.UUID, node model.NodeName, report func(model.CheckResult)) error
	// Doctor looks at every node, reporting each as it is done.
	Doctor(ctx context.Context, report func(NodeReport)) error
	// Power does one act on the life cycle of a VM and returns when the host has
	// answered; a guest that is asked to shut down may take its time after that.
	Power(ctx context.Context, vm model.UUID, node model.NodeName, act model.PowerAct) error
	// SnapshotAct does one act on a snapshot of a VM.
	SnapshotAct(ctx context.Context, vm model.UUID, node model.NodeName, act model.SnapshotAct) error
	// VMDetails and NodeDetails ask for what only a page about one thing shows.
	VMDetails(ctx context.Context, vm model.UUID, node model.NodeName) (model.VMDetails, error)
	NodeDetails(ctx context.Context, node model.NodeName) (model.NodeDetails, error)
	// Console connects to the serial console of a VM on a connection of its own;
	// force takes it from whoever has it.
	Console(ctx context.Context, vm model.UUID, node model.NodeName, force bool) (io.ReadWriteCloser, error)
	// Maintain sets or takes away the mark that no VM is to be sent to a node.
	Maintain(ctx context.Context, node model.NodeName, on bool, why string) error
	// Note keeps a line in the log of this console, Log gives the newest n lines,
	// newest first.
	Note(line model.LogEntry)
	Log(ctx context.Context, n int) ([]model.LogEntry, error)
	// Look says what a person has before the eyes: that is read often, the rest
	// slowly, as libvirt tells of changes by itself.
	Look(s model.Sight)
	// Answer replies to one of Update.Questions; nil answers decline it, and it
	// is not put again until Reconnect.
	Answer(id string, answers []string) error
	// Reconnect tries to reach a node now instead of after the pause.
	Reconnect(node model.NodeName) error
	// Close ends the connections; jobs go on in their own processes.
	Close() error
}
