package rollback

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// Host is one node, as far as an undo touches it. Every method may be called
// again after it succeeded.
type Host interface {
	Name() model.NodeName
	// Status answers StateMissing for a domain that the host does not know, and
	// an error together with StateUnreachable when the host did not answer.
	Status(ctx context.Context) (model.DomainStatus, error)
	Destroy(ctx context.Context) error
	Undefine(ctx context.Context) error
	Resume(ctx context.Context) error
	// Start boots a defined domain that is off.
	Start(ctx context.Context) error
	// DeleteVolume removes a volume by path; one that is not there is no error.
	DeleteVolume(ctx context.Context, path string) error
	// DeleteTree removes a folder of ours with what is in it.
	DeleteTree(ctx context.Context, path string) error
	// DropSockets removes the folder of a move's sockets, and all that let data in
	// there: processes, a key, and its line in authorized_keys.
	DropSockets(ctx context.Context, dir string) error
	// VolumeExists looks for a file or volume at path.
	VolumeExists(ctx context.Context, path string) (bool, error)
	// Rename moves a file on the host; it never replaces one.
	Rename(ctx context.Context, from, to string) error
	// SetRights gives a file the owner and mode that it had, and tells whether it
	// had lost them.
	SetRights(ctx context.Context, want model.Rights) (changed bool, err error)
	// Define writes a definition, durable on the host.
	Define(ctx context.Context, xml string) error
	// Flatten writes what the overlays of a disk hold into base and lets the
	// domain, running or off, go on in it. Overlays are in the order in which
	// they lie on base; those that are joined already are passed over.
	Flatten(ctx context.Context, disk, base string, overlays []string) error
	// Join writes what lies between base and top into base, while nobody uses
	// them. It may be repeated, as long as top is there.
	Join(ctx context.Context, base, top string) error
	SetAutostart(ctx context.Context, on bool) error
	// RemoveMark removes our marker from the domain.
	RemoveMark(ctx context.Context) error
	// Announce makes QEMU tell the switches where the guest's addresses are.
	Announce(ctx context.Context) error
}

// Env is what an undo works with.
type Env struct {
	View           journal.View
	Source, Target Host
	// Cancel gives back what the move itself still holds: it tells the target
	// to drop what came in, and the source that the move is off. Nil when the
	// process that held it is gone, since libvirt has dropped it then.
	EndTarget, EndSource func(context.Context) error
	// Empty clears both ends of a device on the target, which this process saw
	// empty before it copied onto it. Nil when that was another process: then
	// nobody knows whose the bytes are by now.
	Empty func(ctx context.Context, path string) error
	// Report is told of every step as it begins and ends.
	Report func(model.StepResult)
	// Patience bounds the waiting for a host to show what it was told.
	Patience time.Duration

	started bool // the source's guest was
}

// Outcome is how an undo ended.
type Outcome struct {
	// Debts could not be done because a node did not answer.
	Debts []journal.Debt
	// Started: the guest, which this move had shut down, was started again.
	Started bool
	// Err is set when the source could not be brought back as it was.
	Err error
}

// Debts that recover knows how to pay.
const (
	DebtTarget = "destroy and unregister what this move left of the VM there, and delete the volumes it made"
)

type step struct {
	id  model.StepID
	run func(context.Context, *Env) (string, error)
	// onTarget steps are owed when the target does not answer.
	onTarget bool
}

var steps = []step{
	{model.StepDisks, cleanDisks, true},
	{model.StepUnregister, unregister, true},
	{model.StepRelease, release, true},
	{model.StepConfig, restoreConfig, false},
	{model.StepNetwork, restoreNetwork, false},
	{model.StepRun, runOnSource, false},
}

// ErrUnreachable marks a step's error as "the host did not answer".
var ErrUnreachable = errors.New("host does not answer")

// ErrTargetRuns stops an undo: the target runs the VM, which this move never
// told it to, and the source must not run beside it.
var ErrTargetRuns = errors.New("the target runs the VM although this move never told it to")

// Undo gives the VM back to its source. The journal must hold the decision to
// roll back. A target that does not answer is owed its steps and does not keep
// the source from running: it has never run the guest.
func Undo(ctx context.Context, e Env) Outcome {
	var out Outcome
	if !e.View.Rollback {
		out.Err = errors.New("cannot undo: the journal does not hold that decision")
		return out
	}
	if e.Patience == 0 {
		e.Patience = 20 * time.Second
	}
	owed := false
	for _, s := range steps {
		res := model.StepResult{Step: s.id, Title: model.StepTitles[s.id], Kind: model.RollbackUndo, Status: model.PhaseActive}
		if s.onTarget && owed {
			res.Status, res.Detail = model.PhaseSkipped, "owed: "+string(e.Target.Name())+" does not answer"
			e.Report(res)
			continue
		}
		e.Report(res)
		detail, err := s.run(ctx, &e)
		res.Status, res.Detail = model.PhaseOK, detail
		if err != nil {
			res.Status, res.Detail = model.PhaseFailed, err.Error()
		}
		if err != nil && s.onTarget && !errors.Is(err, ErrTargetRuns) {
			if errors.Is(err, ErrUnreachable) {
				res.Status = model.PhaseSkipped
				res.Detail = "owed: " + err.Error()
				owed = true
			}
			if len(out.Debts) == 0 {
				out.Debts = append(out.Debts, journal.Debt{Node: e.Target.Name(), What: DebtTarget})
			}
			err = nil
		}
		e.Report(res)
		if err != nil {
			out.Err = fmt.Errorf("cannot %s: %w", model.StepTitles[s.id], err)
			return out
		}
	}
	out.Started = e.started
	return out
}

// PayTarget does the three steps that a target was owed.
func PayTarget(ctx context.Context, e Env) error {
	if e.Patience == 0 {
		e.Patience = 20 * time.Second
	}
	for _, s := range steps {
		if !s.onTarget {
			continue
		}
		detail, err := s.run(ctx, &e)
		if err != nil {
			return fmt.Errorf("cannot %s on %s: %w", model.StepTitles[s.id], e.Target.Name(), err)
		}
		e.Report(model.StepResult{Step: s.id, Title: model.StepTitles[s.id], Kind: model.RollbackUndo, Status: model.PhaseOK, Detail: detail})
	}
	if given := giveBack(ctx, &e); len(given) > 0 {
		e.Report(model.StepResult{
			Step: model.StepConfig, Title: model.StepTitles[model.StepConfig], Kind: model.RollbackUndo, Status: model.PhaseOK,
			Detail: strings.Join(given, ", "),
		})
	}
	return nil
}

// look asks a host for the domain's state and marks silence as such.
func look(ctx context.Context, h Host) (model.DomainStatus, error) {
	st, err := h.Status(ctx)
	if err != nil || st.State == model.StateUnreachable {
		return st, fmt.Errorf("%s: %w: %w", h.Name(), ErrUnreachable, err)
	}
	return st, nil
}

// await looks until good says so or patience ends.
func await(ctx context.Context, h Host, patience time.Duration, good func(model.DomainStatus) bool) (model.DomainStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		st, err := look(ctx, h)
		if err == nil && good(st) {
			return st, nil
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = fmt.Errorf("%s: the VM is still %s after %s", h.Name(), st, patience)
			}
			return st, err
		case <-tick.C:
		}
	}
}
