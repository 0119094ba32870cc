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
	// Marked: the source may carry our marker and have its autostart off.
	Marked bool
	// Begun and Prepared: the call may have reached the host.
	Begun, Prepared, Performing, Performed, Gated bool
	// Rollback is set once undo was decided; then the target is never resumed.
	Rollback   bool
	RolledBack bool
	Fencing    bool
	Fenced     bool
	Confirming bool
	Confirmed  bool
	SentBack   model.JobID
	Volumes    []Volume
	Renames    []Rename
	Debts      []Debt
	Baseline   []model.CheckResult
	Result     *model.Result
	Over       bool
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
	return v.Epoch == AfterCommit && v.Fenced && !v.Confirmed && v.SentBack == ""
}

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
	case Marking:
		v.Marked = true
		v.Baseline = r.Baseline
	case Creating:
		v.Volumes = append(slices.Clip(v.Volumes), *r.Volume)
	case NotCreated:
		v.Volumes = slices.DeleteFunc(slices.Clone(v.Volumes), func(w Volume) bool { return r.Volume != nil && w == *r.Volume })
	case Beginning:
		v.Begun = true
	case Preparing:
		v.Prepared = true
	case Performing:
		v.Performing = true
	case Performed:
		v.Performed = true
	case Gated:
		v.Gated = true
	case CommitIntent:
		v.Epoch = CommitUnknown
	case Committed:
		v.Epoch = AfterCommit
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
