// Package journal is the memory of a move: one append-only file per job, each
// record on disk before the act that it announces.
//
// Append returns only once the record is durable; if it cannot be made so, it
// fails and the act must not be done. Commit and Rollback exclude each other:
// whichever is written first forbids the other for ever, but for the one change
// that is safe (a resume that was refused while the target was seen to be
// paused still).
//
// A View is what the records say together. It is a value, made by Replay, and
// the only thing that decisions are taken from.
package journal

import (
	"time"

	"horcrux/engine/model"
)

// Version is the version of the record format that this program writes.
const Version = 1

// Kind says what a record announces or states.
type Kind string

// Kinds of records. Those marked "intent" are written before the act, those
// marked "fact" after it was seen to be done.
const (
	Planned        Kind = "planned"         // fact: the plan, with everything that undo needs
	Replanned      Kind = "replanned"       // fact: the plan made again by the job's own process; nothing is done yet
	Marking        Kind = "marking"         // intent: marker on the domain, autostart off
	Creating       Kind = "creating"        // intent: one volume that does not exist on the target
	NotCreated     Kind = "not-created"     // fact: the volume announced last is somebody else's
	Beginning      Kind = "begin"           // intent: Begin on the source
	Preparing      Kind = "prepare"         // intent: Prepare on the target
	Performing     Kind = "perform"         // intent: Perform on the source
	Performed      Kind = "performed"       // fact: everything is on the target; Finish comes next
	Gated          Kind = "gated"           // fact: both are paused, the target is registered
	CommitIntent   Kind = "commit-intent"   // intent: the target is resumed
	Committed      Kind = "committed"       // fact: the target has the VM
	Fencing        Kind = "fencing"         // intent: the source becomes a tombstone
	Fenced         Kind = "fenced"          // fact
	ConfirmIntent  Kind = "confirm-intent"  // intent: the source's leftovers are deleted
	Confirmed      Kind = "confirmed"       // fact
	RollbackIntent Kind = "rollback-intent" // intent: undo; the target is never resumed after this
	RolledBack     Kind = "rolled-back"     // fact
	Owed           Kind = "owed"            // fact: something on a node that could not be reached
	Paid           Kind = "paid"            // fact: it was done after all
	SentBack       Kind = "sent-back"       // fact: another job moved the VM back
	Ended          Kind = "ended"           // fact: the job's result
)

// Volume is a volume on the target that did not exist before this job.
type Volume struct {
	Node model.NodeName `json:"node"`
	Pool string         `json:"pool"`
	Path string         `json:"path"`
}

// Rename is a file on the source that the fence moved out of the way.
type Rename struct {
	Node model.NodeName `json:"node"`
	From string         `json:"from"`
	To   string         `json:"to"`
}

// Debt is something that must still be done on a node that did not answer.
type Debt struct {
	Node model.NodeName `json:"node"`
	What string         `json:"what"`
}

// Record is one line of a journal.
type Record struct {
	V    int         `json:"v"`
	Seq  uint64      `json:"seq"`
	Time time.Time   `json:"time"`
	Job  model.JobID `json:"job"`
	Kind Kind        `json:"kind"`

	Plan      *model.Plan         `json:"plan,omitempty"`
	By        string              `json:"by,omitempty"`
	SendsBack model.JobID         `json:"sends_back,omitempty"`
	Volume    *Volume             `json:"volume,omitempty"`
	Renames   []Rename            `json:"renames,omitempty"`
	Debt      *Debt               `json:"debt,omitempty"`
	Result    *model.Result       `json:"result,omitempty"`
	Baseline  []model.CheckResult `json:"baseline,omitempty"`
	Note      string              `json:"note,omitempty"`
}
