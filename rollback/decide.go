// Package rollback decides who has a VM after something went wrong, and undoes
// a move in six visible steps.
//
// Decide is a pure function over the journal and what both hosts say: the
// decision tables of docs/migration.md, one row per case. Undo carries out the
// one decision that gives the VM back to its source; every step of it is
// idempotent, touches only what the journal proves to be ours, and is believed
// only after looking.
//
// Unreachable is never read as dead. The source is never resumed once the
// target may have run.
package rollback

import (
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// Action is what is to be done about a move.
type Action string

// Actions, one of which Decide returns.
const (
	// ActUndo gives the VM back to the source and removes what we made.
	ActUndo Action = "undo"
	// ActForward resumes the target, which has all of the VM, then completes.
	ActForward Action = "forward"
	// ActComplete lets the target have the VM and fences the source.
	ActComplete Action = "complete"
	// ActResume starts a broken post-copy again: neither side has all of the
	// memory, and the network must carry the rest of it.
	ActResume Action = "resume"
	// ActWait looks again: a host did not answer, or something is still moving.
	ActWait Action = "wait"
	// ActPerson leaves everything as it is, but for what Suspend names.
	ActPerson Action = "person"
)

// Side is one end of a move.
type Side string

// The two ends.
const (
	Source  Side = "source"
	Target  Side = "target"
	Nowhere Side = ""
)

// Decision is what follows from a journal and two hosts.
type Decision struct {
	Action Action
	// Owner is the side that has the VM; Nowhere if that cannot be said.
	Owner Side
	Why   string
	// Suspend lists copies that must be paused at once, before anyone is asked.
	Suspend []Side
	// Proof is what was seen that lets an undo follow a commit intent.
	Proof string
	// Owing tells that the other side cannot be reached now and is owed its part.
	Owing bool
}

// condition is a domain's state on one side, as far as decisions care.
type condition int

const (
	running condition = iota
	pausedMigration
	paused // by the user, or for a reason that is none of ours
	pausedIOError
	postcopy       // memory goes over while the target runs
	postcopyFailed // it broke; the side holds memory that the other lacks
	off
	missing
	unreachable
)

func classify(s model.DomainStatus) condition {
	switch s.State {
	case model.StateMissing:
		return missing
	case model.StateShutoff, model.StateCrashed:
		return off
	case model.StatePaused:
		switch s.Reason {
		case "migration":
			return pausedMigration
		case "ioerror":
			return pausedIOError
		case "postcopy":
			return postcopy
		case "postcopy failed":
			return postcopyFailed
		}
		return paused
	case model.StateRunning, model.StateBlocked, model.StateShutdown, model.StateSuspended:
		switch s.Reason {
		case "postcopy":
			return postcopy
		case "postcopy failed":
			return postcopyFailed
		}
		return running
	}
	// No answer, and every word that this program does not know.
	return unreachable
}

// Decide says what to do about a move, from its journal and what its two hosts
// say now. It is total and changes nothing.
func Decide(v journal.View, src, dst model.DomainStatus) Decision {
	s, d := classify(src), classify(dst)
	if v.PostCopy && !v.Performed && v.Epoch == journal.CommitUnknown && s == running && d != running && !inPostCopy(d) {
		return Decision{
			Action: ActUndo, Owner: Source, Owing: d == unreachable, Why: "the copy failed before the switch to post-copy; the source runs the VM",
			Proof: "the target was never told to run the VM, which is seen running on the source",
		}
	}
	if inPostCopy(s) || inPostCopy(d) {
		return duringPostCopy(v, s, d, src)
	}
	if dec, ok := ranBeside(v); ok {
		return dec
	}
	var dec Decision
	switch v.Epoch {
	case journal.AfterCommit:
		dec = afterCommit(v, s, d)
	case journal.CommitUnknown:
		dec = commitUnknown(s, d)
	default:
		dec = beforeCommit(v, s, d)
	}
	return dec
}

// ranBeside leaves to a person what a copy that ran beside the move has written:
// that it was suspended meanwhile does not undo it.
func ranBeside(v journal.View) (Decision, bool) {
	dec := Decision{Action: ActPerson, Owner: Nowhere}
	switch {
	case v.Keep != "":
		return dec, false
	case v.TargetRan && v.Epoch == journal.BeforeCommit:
		dec.Why = "the target was seen running the VM although this move never told it to: somebody else started it"
	case v.SourceRan && v.Epoch == journal.CommitUnknown:
		dec.Why = "the source was seen running although the target was told to: two copies may have run"
	case v.SourceRan && v.Epoch == journal.AfterCommit:
		dec.Owner, dec.Why = Target, "the source was seen running a stale copy of a VM that has moved"
	default:
		return dec, false
	}
	return dec, true
}

func wasPaused(v journal.View) bool {
	return v.Plan != nil && v.Plan.Was.State == model.StatePaused
}
