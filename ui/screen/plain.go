package screen

import (
	"horcrux/engine/model"
)

// PlainVM is the state of a VM in words alone.
func PlainVM(v *model.VM) string {
	s := domainLook(plainTheme, v.State).word
	switch {
	case v.Tombstone:
		return "what a finished move left behind"
	case v.Arriving:
		return "being built by a move"
	case !ordinary[v.Reason] && v.Reason != s:
		s += " (" + v.Reason + ")"
	}
	if v.Job != "" {
		s += ", held by move " + string(v.Job)
	}
	return s
}

// PlainJob is a move in words alone: its way, its state, its phase or result.
func PlainJob(j model.Job) string {
	s := j.VMName + " from " + string(j.From) + " to " + string(j.To) + ", " + jobLook(plainTheme, j.State).word
	if p := j.Current(); !j.State.Ended() && p.ID != "" {
		s += ", phase " + model.PhaseTitles[p.ID]
	}
	if j.State == model.JobQueued {
		s += ", " + j.Waits
	}
	if j.Result != nil && j.Result.Reason != "" {
		s += ": " + j.Result.Reason
	}
	return s
}
