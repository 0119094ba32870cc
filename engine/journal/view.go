package journal

import (
	"fmt"
	"slices"
	"time"

	"horcrux/engine/model"
)

// Epoch says what may have happened to the guest, from the records alone.
type Epoch int

// The epochs. They only grow.
const (
	// BeforeCommit: the target has never run one instruction of the guest.
	BeforeCommit Epoch = 1
	// CommitUnknown: the target was told to run; whether it does is unknown.
	CommitUnknown Epoch = 2
	// AfterCommit: the target has the VM, and the source's copy is stale.
	AfterCommit Epoch = 3
)

// View is what the records of one job say together.
type View struct {
	Job       model.JobID
	By        string
	Started   time.Time
	Plan      *model.Plan
	SendsBack model.JobID
	Last      Kind
	Seq       uint64
	Epoch     Epoch
	// Waiting: the move waits for its turn in the queue; nothing was done.
	Waiting bool
	// Queued: it waited, so its mark may say that it does.
	Queued bool
	// Marked: the source may carry our marker and have its autostart off.
	Marked bool
	// Rights and TargetRights are owner and mode of the images that both nodes
	// see, while the source's QEMU and the target's had them.
	Rights, TargetRights []model.Rights
	// Begun and Prepared: the call may have reached the host.
	Begun, Prepared, Performing, Performed, Gated bool
	// Suspended: the guest may have been paused on the source by us.
	Suspended bool
	// Passes are the overlays of each pass, in their order; the last one is what
	// the guest writes to, if Frozen says that it was made.
	Passes []Pass
	// Relay is the folder of sockets that may be on both nodes.
	Relay string
	// Flattening and Flattened: the overlays are being joined, are one image.
	Flattening, Flattened bool
	// Copying: files may be on the target under names that are not final.
	Copying bool
	// Copied is how many passes are on the target whole, Proof what was compared.
	Copied int
	Proof  string
	// Snapped: the snapshots among the Volumes show the disks as they were at the
	// gate. Compared is the proof that was made with the disks, Differs where they
	// are not equal.
	Snapped           bool
	Compared, Differs string
	// Stopping and Stopped: this move shuts the guest down, has done so.
	Stopping, Stopped bool
	// Registering: what is defined on the target is ours.
	Registering bool
	// PostCopy: the switch to post-copy may have been made. Only together with
	// a commit intent does that mean anything.
	PostCopy bool
	// Rollback is set once undo was decided; then the target is never resumed.
	Rollback   bool
	RolledBack bool
	// Adopted: the records before this one were lost, and nothing is known of
	// what was made on the target.
	Adopted bool
	// SourceRan and TargetRan: that copy was seen running when it should not, so
	// it may hold what the other one lacks, whatever it is now.
	SourceRan, TargetRan bool
	// Keep is the node that a person chose; the other one is fenced first.
	Keep model.NodeName
	// TargetFenced: the target's copy cannot start, whatever becomes of its host.
	TargetFenced bool
	Restored     bool
	// Abandoned are the target's files that were moved aside for a restore.
	Abandoned []Rename
	// CommittedAt is when the target took over; zero if it did not.
	CommittedAt time.Time
	Fencing     bool
	Fenced      bool
	Confirming  bool
	Confirmed   bool
	SentBack    model.JobID
	Volumes     []Volume
	Renames     []Rename
	Debts       []Debt
	Baseline    []model.CheckResult
	Result      *model.Result
	Over        bool
}

// Pass is one freeze of the disks that are copied while the guest runs.
type Pass struct {
	Overlays []Overlay
	Frozen   bool
}

// Layered is a disk with the overlays that a move put on it, the lowest first.
type Layered struct {
	Disk, Base string
	Paths      []string
}

// Overlays lists what lies on each disk. A freeze that was announced and not
// seen may or may not have been made; who joins layers looks.
func (v View) Overlays() []Layered {
	var out []Layered
	for _, p := range v.Passes {
		for _, o := range p.Overlays {
			i := slices.IndexFunc(out, func(l Layered) bool { return l.Disk == o.Disk })
			if i < 0 {
				out = append(out, Layered{Disk: o.Disk, Base: o.Base})
				i = len(out) - 1
			}
			out[i].Paths = append(out[i].Paths, o.Path)
		}
	}
	return out
}

// Settled tells that nothing is left to be done for the job but what a person
// may still ask for (confirm, rollback).
func (v View) Settled() bool {
	if len(v.Debts) > 0 {
		return false
	}
	return v.Over || v.Confirmed || v.SentBack != "" || (v.Fenced && v.Result != nil)
}

// AwaitsConfirm tells that the VM has moved and the source's leftovers exist.
func (v View) AwaitsConfirm() bool {
	return v.Epoch == AfterCommit && v.Fenced && !v.Confirmed && v.SentBack == "" && !v.KeepsSource()
}

// KeepsSource tells that a person chose the source.
func (v View) KeepsSource() bool { return v.Keep != "" && v.Plan != nil && v.Keep == v.Plan.From }

// Abandons tells that the source has the VM again and the target still has what
// a restore moved aside there.
func (v View) Abandons() bool { return v.Restored && !v.Confirmed }

// apply folds one record into the view. It is total: a record that makes no
// sense after what came before is an error, never ignored.
func (v View) apply(r Record) (View, error) {
	if r.V > Version {
		return v, fmt.Errorf("cannot read journal of job %s: record %d has version %d, this program knows %d: use the newer program", r.Job, r.Seq, r.V, Version)
	}
	if r.Seq != v.Seq+1 {
		return v, fmt.Errorf("cannot read journal of job %s: record %d follows %d", r.Job, r.Seq, v.Seq)
	}
	if (r.Kind == Planned) != (v.Plan == nil) {
		return v, fmt.Errorf("cannot read journal of job %s: record %d is %q, and a journal begins with its one plan", r.Job, r.Seq, r.Kind)
	}
	v.Seq, v.Last = r.Seq, r.Kind
	switch r.Kind {
	case Planned:
		if r.Plan == nil {
			return v, fmt.Errorf("cannot read journal of job %s: record %d has no plan", r.Job, r.Seq)
		}
		v.Job, v.By, v.Started, v.Plan, v.SendsBack, v.Epoch = r.Job, r.By, r.Time, r.Plan, r.SendsBack, BeforeCommit
	case Replanned:
		if r.Plan == nil || v.Marked {
			return v, fmt.Errorf("cannot read journal of job %s: record %d plans again too late or without a plan", r.Job, r.Seq)
		}
		v.Plan = r.Plan
	case Queued:
		v.Waiting, v.Queued = true, true
	case Admitted:
		v.Waiting = false
	case Marking:
		v.Marked = true
		v.Baseline, v.Rights = r.Baseline, r.Rights
	case Baselined:
		v.Baseline = r.Baseline
	case Creating:
		v.Volumes = append(slices.Clip(v.Volumes), *r.Volume)
	case NotCreated:
		v.Volumes = slices.DeleteFunc(slices.Clone(v.Volumes), func(w Volume) bool { return r.Volume != nil && w == *r.Volume })
	case Freezing:
		v.Passes = append(slices.Clip(v.Passes), Pass{Overlays: r.Overlays})
	case Frozen:
		if len(v.Passes) == 0 {
			return v, fmt.Errorf("cannot read journal of job %s: record %d tells of a freeze that was not announced", r.Job, r.Seq)
		}
		v.Passes = slices.Clone(v.Passes)
		v.Passes[len(v.Passes)-1].Frozen = true
	case Copying:
		v.Copying = true
	case Copied:
		v.Copied = r.Pass
		if v.Proof != "" {
			v.Proof += "; then "
		}
		v.Proof += r.Note
	case Stopping:
		v.Stopping = true
	case Stopped:
		v.Stopped = true
	case Registering:
		v.Registering = true
	case Flattening:
		v.Flattening = true
	case Flattened:
		v.Flattened = true
	case Relaying:
		v.Relay = r.Note
	case Relayed:
		v.Relay = ""
	case Beginning:
		v.Begun = true
	case Preparing:
		v.Prepared = true
	case Performing:
		v.Performing, v.TargetRights = true, r.Rights
	case Suspending:
		v.Suspended = true
	case PostCopying:
		v.PostCopy = true
	case Performed:
		v.Performed = true
	case Gated:
		v.Gated = true
	case Snapped:
		v.Snapped = true
	case Compared:
		v.Compared = r.Note
	case Differed:
		v.Differs = r.Note
	case CommitIntent:
		v.Epoch = CommitUnknown
	case Committed:
		v.Epoch = AfterCommit
		if v.CommittedAt.IsZero() {
			v.CommittedAt = r.Time
		}
	case Adopted:
		v.Adopted, v.Marked, v.Prepared, v.Performing, v.Performed = true, true, true, true, r.Ours
		v.Relay = model.RelayDir(v.Job)
	case Ran:
		v.SourceRan = v.SourceRan || r.Keep == v.Plan.From
		v.TargetRan = v.TargetRan || r.Keep == v.Plan.To
	case Decided:
		if v.Keep != "" && v.Keep != r.Keep || r.Keep != v.Plan.From && r.Keep != v.Plan.To {
			return v, fmt.Errorf("cannot read journal of job %s: record %d keeps the VM on %q", r.Job, r.Seq, r.Keep)
		}
		v.Keep = r.Keep
		if v.KeepsSource() {
			v.Abandoned = r.Renames
		} else {
			v.Epoch, v.Rollback = AfterCommit, false
		}
	case TargetFenced:
		v.TargetFenced = true
	case Restored:
		v.Restored = true
	case Fencing:
		v.Fencing, v.Renames = true, r.Renames
	case Fenced:
		v.Fenced = true
	case ConfirmIntent:
		v.Confirming = true
	case Confirmed:
		v.Confirmed = true
	case RollbackIntent:
		v.Rollback, v.Epoch = true, BeforeCommit
		if len(v.Rights) == 0 {
			v.Rights = r.Rights
		}
	case RolledBack:
		v.RolledBack = true
	case Owed:
		v.Debts = append(slices.Clip(v.Debts), *r.Debt)
	case Paid:
		v.Debts = slices.DeleteFunc(slices.Clone(v.Debts), func(d Debt) bool { return r.Debt != nil && d == *r.Debt })
	case SentBack:
		v.SentBack = model.JobID(r.Note)
	case Ended:
		v.Result, v.Over = r.Result, true
	default:
		return v, fmt.Errorf("cannot read journal of job %s: record %d is of unknown kind %q", r.Job, r.Seq, r.Kind)
	}
	return v, nil
}
