package screen

import (
	"slices"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/text"
)

// phaseOf finds a phase of a job; one that was never heard of is waiting.
func phaseOf(j model.Job, id model.PhaseID) model.Phase {
	for _, p := range j.Phases {
		if p.ID == id {
			return p
		}
	}
	return model.Phase{ID: id, Status: model.PhaseWaiting}
}

// transfer is how far one kind of data is: its size, what is left, and whether
// a number for it exists.
type transfer struct {
	total, left uint64
	known       bool
	done        bool
}

func (t transfer) fraction() float64 {
	switch {
	case t.done:
		return 1
	case !t.known || t.total == 0:
		return 0
	}
	return 1 - float64(min(t.left, t.total))/float64(t.total)
}

// disks tells how far the disks of a job are. A job that copies none has none.
func disks(j model.Job) (transfer, bool) {
	t := transfer{}
	if j.Plan != nil {
		t.total = j.Plan.CopyBytes
	}
	if p := j.Progress; p != nil && p.DiskTotal > 0 {
		t.total, t.left, t.known = p.DiskTotal, p.DiskRemaining, true
		if p.DiskRemaining == 0 && p.DiskProcessed < p.DiskTotal {
			t.left = p.DiskTotal - p.DiskProcessed
		}
	}
	ph := phaseOf(j, model.PhaseDisks)
	t.done = ph.Status == model.PhaseOK
	return t, t.total > 0 && ph.Status != model.PhaseSkipped
}

// memory tells how far the memory of a job is. Its left part rises again with
// each pass over what the guest has written meanwhile.
func memory(j model.Job) transfer {
	t := transfer{}
	if j.Plan != nil {
		t.total = j.Plan.Memory
	}
	if p := j.Progress; p != nil && p.MemTotal > 0 {
		t.total, t.left, t.known = p.MemTotal, p.MemRemaining, true
		if p.MemProcessed == 0 && p.MemRemaining == 0 {
			t.left = p.MemTotal
		}
	}
	t.done = phaseOf(j, model.PhaseMemory).Status == model.PhaseOK
	return t
}

// movesMemory tells that the guest's memory goes over, not only its disks.
func movesMemory(j model.Job) bool {
	var finish model.Finish
	if j.Plan != nil {
		finish = j.Plan.Options.Finish
	}
	return j.Mode.MovesMemory(finish)
}

// wasOff tells that the VM was off when the move began, so that it stays off.
func wasOff(j model.Job) bool {
	return j.Plan != nil && (j.Plan.Was.State == model.StateShutoff || j.Plan.Was.State == model.StateCrashed)
}

// down tells that the guest is shut down for the move, or was off before it.
func down(j model.Job) bool {
	return !movesMemory(j) && (wasOff(j) || phaseOf(j, model.PhaseStop).Status == model.PhaseOK)
}

// across tells that nothing is to be copied any more.
func across(j model.Job) bool {
	return j.Switched || phaseOf(j, model.PhaseGate).Status != model.PhaseWaiting
}

// overall is how much of all data is across, and false if that is not known.
func overall(j model.Job) (float64, bool) {
	if j.Switched {
		return 1, true
	}
	m := memory(j)
	d, has := disks(j)
	if !movesMemory(j) {
		return d.fraction(), has && (d.known || d.done)
	}
	if !m.known && !m.done && (!has || !d.known && !d.done) {
		return 0, false
	}
	if !has {
		return m.fraction(), true
	}
	total := float64(d.total + m.total)
	if total == 0 {
		return 0, false
	}
	return (d.fraction()*float64(d.total) + m.fraction()*float64(m.total)) / total, true
}

// elapsed is how long a job takes, or took.
func elapsed(j model.Job, now time.Time) time.Duration {
	switch {
	case !j.Ended.IsZero():
		return j.Ended.Sub(j.Started)
	case j.Started.IsZero():
		return 0
	}
	return now.Sub(j.Started)
}

// ticking tells that the clock of a job is worth showing.
func ticking(j model.Job) bool {
	return j.State == model.JobStarting || j.State == model.JobQueued || j.State == model.JobRunning || j.State == model.JobUndoing
}

// moves tells that a job in that state still goes forward.
func moves(s model.JobState) bool {
	return s == model.JobStarting || s == model.JobQueued || s == model.JobRunning || s == model.JobAwaiting || s == model.JobDone
}

// Ticking tells that the page shows a clock of this job that runs.
func Ticking(j model.Job) bool { return ticking(j) }

// phaseTime is how long a phase took, or takes up to now; false if not known.
func phaseTime(p model.Phase, now time.Time) (time.Duration, bool) {
	switch {
	case p.Status == model.PhaseActive && !p.At.IsZero():
		began := p.At
		if !p.Began.IsZero() {
			began = p.Began
		}
		return now.Sub(began), true
	case (p.Status == model.PhaseOK || p.Status == model.PhaseFailed) && !p.Began.IsZero() && !p.At.IsZero():
		return p.At.Sub(p.Began), true
	}
	return 0, false
}

// timeToGo is what can honestly be said of the end, in words.
func timeToGo(j model.Job) string {
	p := j.Progress
	switch {
	case p == nil || j.State != model.JobRunning || across(j):
		return ""
	case p.Diverging != "":
		return "will not converge: " + name(p.Diverging)
	case p.ETA > 0:
		return "about " + text.Clock(max(p.ETA, time.Second)) + " to go"
	}
	return ""
}

// where tells which node has the running guest, as far as the job knows, and
// whether the guest is stopped for the moment.
func where(j model.Job) (owner model.NodeName, stopped bool) {
	if j.State == model.JobInterrupted && j.Interrupted != nil {
		return j.Interrupted.Owner, false
	}
	if j.Result != nil && j.Result.Owner != "" {
		return j.Result.Owner, false
	}
	if j.Switched {
		return j.To, false
	}
	gate, sw := phaseOf(j, model.PhaseGate), phaseOf(j, model.PhaseSwitch)
	if j.State == model.JobRunning && (gate.Status == model.PhaseActive || gate.Status == model.PhaseOK || sw.Status == model.PhaseActive) {
		return j.From, true
	}
	return j.From, false
}

// checkAt finds the result of a check at a stage.
func checkAt(j model.Job, id model.CheckID, stage model.CheckStage) (model.CheckResult, bool) {
	i := slices.IndexFunc(j.Checks, func(c model.CheckResult) bool { return c.Check == id && c.Stage == stage })
	if i < 0 {
		return model.CheckResult{}, false
	}
	return j.Checks[i], true
}

// Caption is a job in a few words, for the title of the window.
func Caption(j model.Job) string {
	s := j.VMName + " to " + string(j.To)
	if f, ok := overall(j); ok {
		s += " " + text.Percent(f)
	}
	return s
}
