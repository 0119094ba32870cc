// Package health makes the eight checks of a VM: before a move as a baseline,
// on the paused target as a gate, on the running target as a comparison, and
// whenever somebody asks.
//
// Each check has its own deadline, and a broken one never keeps another from
// its verdict. skip says that the VM never had what is checked; an error is
// never a skip. Evidence is what was seen, with numbers, so that a person can
// check it. The package knows neither libvirt nor moves: it sees a VM through
// Target, and whatever a host or a guest answers, it does not panic.
package health

import (
	"context"
	"encoding/json"
	"time"

	"horcrux/engine/model"
)

// Target is one VM on one node. All methods may be called from several
// goroutines and must return when ctx ends.
type Target interface {
	Node() model.NodeName
	// Status asks the host for the domain's state.
	Status(ctx context.Context) (model.DomainStatus, error)
	// Stats reads the counters, all in one request.
	Stats(ctx context.Context) (model.DomainStats, error)
	// XML is that of the running domain.
	XML(ctx context.Context) (string, error)
	// QMP asks QEMU's monitor through libvirt and returns the value under
	// "return"; what QEMU refuses is an error.
	QMP(ctx context.Context, command string, args any) (json.RawMessage, error)
	// Agent asks the guest agent in the same way.
	Agent(ctx context.Context, command string, args any, timeout time.Duration) (json.RawMessage, error)
	// Addresses are the guest's own IP addresses, best first.
	Addresses(ctx context.Context) ([]string, error)
}
