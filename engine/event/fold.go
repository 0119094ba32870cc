package event

import (
	"slices"

	"horcrux/engine/model"
)

// maxLog bounds the log that a folded job carries; the file has all of it.
const maxLog = 500

// Fold adds one event to a job and returns the job. The slices of the result
// are never shared with the argument, so an older value stays as it was.
func Fold(j model.Job, e Event) model.Job {
	switch e.Type {
	case TypePhase:
		if e.Phase.ID == model.PhaseQueue {
			return foldQueue(j, *e.Phase)
		}
		j.Phases = foldPhase(j.Phases, *e.Phase)
		switch {
		case e.Phase.ID == model.PhaseSwitch && e.Phase.Status == model.PhaseOK:
			j.Switched = true
		case e.Phase.ID == model.PhaseUndo && e.Phase.Status == model.PhaseActive:
			j.State = model.JobUndoing
		}
		if j.State == model.JobStarting {
			j.State = model.JobRunning
		}
		if e.Phase.ID == model.PhaseConfirm && e.Phase.Status == model.PhaseActive {
			j.State = model.JobAwaiting
		}
	case TypeProgress:
		p := *e.Progress
		j.Progress = &p
	case TypeCheck:
		j.Checks = foldCheck(j.Checks, *e.Check)
	case TypeStep:
		j.Steps = foldStep(j.Steps, *e.Step)
	case TypeLog:
		log := j.Log
		if len(log) >= maxLog {
			log = log[len(log)-maxLog+1:]
		}
		j.Log = append(slices.Clone(log), model.JobLog{At: e.Time, LogLine: *e.Log})
	case TypeResult:
		j.Place, j.Waits = 0, ""
		r := *e.Result
		j.Result = &r
		j.State = stateAfter(j, r)
		if j.State.Ended() {
			j.Ended = e.Time
		}
	}
	return j
}

// foldQueue keeps the waiting off the rail: it is a state, not a part of the way.
func foldQueue(j model.Job, p model.Phase) model.Job {
	if p.Status == model.PhaseActive {
		j.State, j.Place, j.Waits = model.JobQueued, p.Place, p.Detail
		return j
	}
	if j.State == model.JobQueued {
		j.State = model.JobStarting
	}
	j.Place, j.Waits = 0, ""
	return j
}

func stateAfter(j model.Job, r model.Result) model.JobState {
	switch r.Outcome {
	case model.OutcomeRefused:
		return model.JobRefused
	case model.OutcomeUndone, model.OutcomeFailed:
		return model.JobUndone
	case model.OutcomePerson:
		return model.JobPerson
	}
	if r.Confirmed {
		return model.JobDone
	}
	return model.JobAwaiting
}

func foldPhase(ps []model.Phase, p model.Phase) []model.Phase {
	ps = slices.Clone(ps)
	i := slices.IndexFunc(ps, func(q model.Phase) bool { return q.ID == p.ID })
	if i < 0 {
		return append(ps, p)
	}
	if p.Began.IsZero() {
		p.Began = ps[i].Began
		if p.Began.IsZero() {
			p.Began = ps[i].At
		}
	}
	ps[i] = p
	return ps
}

func foldCheck(cs []model.CheckResult, c model.CheckResult) []model.CheckResult {
	cs = slices.Clone(cs)
	i := slices.IndexFunc(cs, func(d model.CheckResult) bool { return d.Check == c.Check && d.Stage == c.Stage })
	if i < 0 {
		return append(cs, c)
	}
	cs[i] = c
	return cs
}

func foldStep(ss []model.StepResult, s model.StepResult) []model.StepResult {
	ss = slices.Clone(ss)
	i := slices.IndexFunc(ss, func(t model.StepResult) bool { return t.Step == s.Step })
	if i < 0 {
		return append(ss, s)
	}
	ss[i] = s
	return ss
}
