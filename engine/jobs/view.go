package jobs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// Viewer reads jobs and remembers how far, so that looking again costs only
// what is new. One goroutine at a time may use it.
type Viewer struct {
	store *Store
	known map[model.JobID]*known
}

type known struct {
	job     model.Job
	offset  int64
	size    int64
	journal time.Time
	settled bool
}

// Viewer makes a reader of this store.
func (s *Store) Viewer() *Viewer { return &Viewer{store: s, known: map[model.JobID]*known{}} }

// Jobs returns all jobs, newest first, and whether anything changed since the
// last call.
func (v *Viewer) Jobs() ([]model.Job, bool, error) {
	ids, err := v.store.IDs()
	if err != nil {
		return nil, false, err
	}
	changed := false
	var all []model.Job
	for _, id := range ids {
		k, ch, err := v.look(id)
		if errors.Is(err, os.ErrNotExist) {
			continue // a folder whose journal is not there yet
		}
		if err != nil {
			k = &known{job: model.Job{ID: id, State: model.JobPerson, Result: &model.Result{Outcome: model.OutcomePerson, Reason: err.Error()}}}
		}
		changed = changed || ch
		all = append(all, k.job)
	}
	slices.SortFunc(all, func(a, b model.Job) int {
		if c := b.Started.Compare(a.Started); c != 0 {
			return c
		}
		return compare(string(a.ID), string(b.ID))
	})
	return all, changed, nil
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// Job returns one job as it is now.
func (v *Viewer) Job(id model.JobID) (model.Job, error) {
	k, _, err := v.look(id)
	if err != nil {
		return model.Job{}, err
	}
	return k.job, nil
}

func (v *Viewer) look(id model.JobID) (*known, bool, error) {
	k, changed := v.known[id], false
	jst, err := os.Stat(filepath.Join(v.store.Dir(id), journal.FileName))
	if err != nil {
		return nil, false, err
	}
	if k == nil {
		k = &known{}
	}
	est, err := os.Stat(filepath.Join(v.store.Dir(id), eventsFile))
	size := int64(0)
	if err == nil {
		size = est.Size()
	}
	if k.settled && size == k.size && jst.ModTime().Equal(k.journal) {
		return k, false, nil
	}
	alive := v.store.Alive(id)
	jv, err := journal.Read(v.store.Dir(id))
	if err != nil {
		return nil, false, err
	}
	if jv.Plan == nil {
		return nil, false, os.ErrNotExist
	}
	if k.job.ID == "" {
		k.job = Begin(jv)
		changed = true
	}
	state := k.job.State
	if size != k.size {
		_ = v.store.replay(id, k.offset, func(e event.Event, end int64) { k.job, k.offset = event.Fold(k.job, e), end })
		changed = true
	}
	k.size, k.journal = size, jst.ModTime()
	k.job.State = stateOf(k.job, jv, alive)
	k.settled = !alive && k.job.State != model.JobInterrupted
	k.job.Interrupted = nil
	if k.job.State == model.JobInterrupted {
		k.job.Interrupted = interruption(jv)
	}
	v.known[id] = k
	return k, changed || state != k.job.State, nil
}

// Begin is a job before it has said anything.
func Begin(v journal.View) model.Job {
	p := *v.Plan
	p.ActiveXML, p.InactiveXML, p.TargetXML = "", "", ""
	return model.Job{
		ID: v.Job, VM: p.VM, VMName: p.VMName, From: p.From, To: p.To, Mode: p.Mode, State: model.JobStarting,
		Started: v.Started, By: v.By, Plan: &p, SendsBack: v.SendsBack,
	}
}

// stateOf corrects what the stream says by what the journal and the lock say.
func stateOf(j model.Job, v journal.View, alive bool) model.JobState {
	if alive {
		if j.State == model.JobInterrupted {
			return model.JobRunning
		}
		return j.State
	}
	switch {
	case v.SentBack != "":
		return model.JobUndone
	case v.Over && j.Result != nil:
		return j.State
	case j.Result != nil && j.Result.Outcome == model.OutcomePerson:
		return model.JobPerson
	case v.AwaitsConfirm() && !v.Confirming && j.Result != nil:
		return j.State
	}
	return model.JobInterrupted
}
