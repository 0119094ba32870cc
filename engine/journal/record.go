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
	Queued         Kind = "queued"          // fact: the move waits for its turn; nothing is done yet
	Admitted       Kind = "admitted"        // fact: it is its turn
	Marking        Kind = "marking"         // intent: marker on the domain, autostart off
	Baselined      Kind = "baselined"       // fact: the checks of the guest before its move
	Creating       Kind = "creating"        // intent: one volume that does not exist on the target
	NotCreated     Kind = "not-created"     // fact: the volume announced last is somebody else's
	Freezing       Kind = "freezing"        // intent: an overlay on each disk that is copied in passes; what is under it stands still
	Frozen         Kind = "frozen"          // fact: the guest writes to the overlays
	Copying        Kind = "copying"         // intent: files go over while nobody writes to them
	Copied         Kind = "copied"          // fact: they are on the target's disk and equal; the note is the proof
	Stopping       Kind = "stopping"        // intent: the guest is shut down
	Stopped        Kind = "stopped"         // fact
	Registering    Kind = "registering"     // intent: the VM is defined on the target, and made ready there without running
	Flattening     Kind = "flattening"      // intent: overlays become one image again, on the node that has the VM
	Flattened      Kind = "flattened"       // fact
	Relaying       Kind = "relaying"        // intent: a folder for sockets on both nodes; the note is its path
	Relayed        Kind = "relayed"         // fact: it is gone from both
	Beginning      Kind = "begin"           // intent: Begin on the source
	Preparing      Kind = "prepare"         // intent: Prepare on the target
	Performing     Kind = "perform"         // intent: Perform on the source
	Suspending     Kind = "suspending"      // intent: we pause the guest on the source, for the rest of the copy
	PostCopying    Kind = "post-copying"    // intent: the guest goes on on the target before its memory is there
	Performed      Kind = "performed"       // fact: everything is on the target; Finish comes next
	Gated          Kind = "gated"           // fact: both are paused, the target is registered
	Snapped        Kind = "snapped"         // fact: the snapshots of the target's disks, made at the gate, are whole
	CommitIntent   Kind = "commit-intent"   // intent: the target is resumed
	Committed      Kind = "committed"       // fact: the target has the VM
	Compared       Kind = "compared"        // fact: the disks were read on both nodes and are equal; the note is the proof
	Differed       Kind = "differed"        // fact: they are not; the note says where
	Fencing        Kind = "fencing"         // intent: the source becomes a tombstone
	Fenced         Kind = "fenced"          // fact
	ConfirmIntent  Kind = "confirm-intent"  // intent: the source's leftovers are deleted
	Confirmed      Kind = "confirmed"       // fact
	RollbackIntent Kind = "rollback-intent" // intent: undo; the target is never resumed after this
	RolledBack     Kind = "rolled-back"     // fact
	Adopted        Kind = "adopted"         // fact: the journal was lost; this one was made from what both hosts say
	Ran            Kind = "ran"             // fact: a copy was seen running that this move never told to
	Decided        Kind = "decided"         // intent: a person chose which node keeps the VM; the other side is fenced first
	TargetFenced   Kind = "target-fenced"   // fact: the target's copy was seen off and cannot start
	Restored       Kind = "restored"        // fact: the source has the VM again
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
	// Tree tells that Path is a folder of ours with all that is in it.
	Tree bool `json:"tree,omitempty"`
	// Of is the volume that it is a snapshot of, to compare the disks by.
	Of string `json:"of,omitempty"`
}

// Overlay is what the guest writes to while what is under it is copied.
type Overlay struct {
	Disk string `json:"disk"` // vda
	// Base is the image under it, Path the overlay; both nodes use the same.
	Base string `json:"base"`
	Path string `json:"path"`
}

// Rename is a file on the source that the fence moved out of the way.
type Rename struct {
	Node model.NodeName `json:"node"`
	From string         `json:"from"`
	To   string         `json:"to"`
	// Tree tells that it is a folder with all that is in it.
	Tree bool `json:"tree,omitempty"`
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
	Overlays  []Overlay           `json:"overlays,omitempty"`
	Pass      int                 `json:"pass,omitempty"`
	Debt      *Debt               `json:"debt,omitempty"`
	Result    *model.Result       `json:"result,omitempty"`
	Baseline  []model.CheckResult `json:"baseline,omitempty"`
	Note      string              `json:"note,omitempty"`
	// Rights are those of images that both nodes see, on the source with the
	// intent to mark or to undo, on the target with the intent to perform.
	Rights []model.Rights `json:"rights,omitempty"`
	// Ours tells of an adopted move that what the target has carries its mark.
	Ours bool `json:"ours,omitempty"`
	// Keep is the node that a person chose, or whose copy was seen running.
	Keep model.NodeName `json:"keep,omitempty"`
}
