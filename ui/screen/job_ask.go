package screen

import (
	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// over says why nothing can be asked of a job that is over or has no process.
func (s *Job) over() string {
	switch st := s.job.State; {
	case st == model.JobInterrupted:
		return "its process is gone; `horcrux recover` settles it"
	case st.Ended():
		return "the move is over"
	}
	return ""
}

func (s *Job) cannotAbort() string {
	if why := s.over(); why != "" {
		return why
	}
	switch {
	case s.job.State == model.JobUndoing:
		return "it is being undone already"
	case s.job.Switched:
		return "the target has taken over; r sends it back"
	case s.job.State == model.JobPerson:
		return "it waits for a decision: " + s.nextWords()
	}
	return ""
}

func (s *Job) cannotConfirm() string {
	if why := s.over(); why != "" {
		return why
	}
	switch {
	case s.back != "":
		return "it is being sent back"
	case s.job.State != model.JobAwaiting:
		return "the VM has not moved yet"
	}
	return ""
}

func (s *Job) cannotRollback() string {
	if why := s.over(); why != "" {
		return why
	}
	switch {
	case s.back != "":
		return "it is being sent back already"
	case s.job.State == model.JobUndoing:
		return "it is being undone already"
	case s.job.Switched && s.job.State == model.JobRunning:
		return "the checks are being made; it can be sent back after them"
	}
	return ""
}

func (s *Job) cannotTune() string {
	if why := s.over(); why != "" {
		return why
	}
	if s.job.Switched || s.job.State != model.JobRunning && s.job.State != model.JobStarting {
		return "nothing is being copied"
	}
	return ""
}

func (s *Job) nextWords() string {
	if s.job.Result != nil {
		return name(s.job.Result.Next)
	}
	return ""
}

// rollbackKind is what a rollback would be now, by what the hosts last said.
func (s *Job) rollbackKind() model.RollbackKind {
	if !s.job.Switched {
		return model.RollbackUndo
	}
	v, ok := s.env.VM(s.job.VM, s.job.To)
	live := model.DomainStatus{State: v.State}.Live() && v.State != model.StateCrashed
	if ok && v.Node == s.job.To && !live && s.env.Fresh(v.Seen) != Lost {
		return model.RollbackRestore
	}
	return model.RollbackSendBack
}

func (s *Job) rollbackClass() bind.Class {
	if s.rollbackKind() == model.RollbackRestore {
		return bind.Typed
	}
	return bind.Asked
}

// question is the head that all questions about this job share.
func (s *Job) question(title string) widget.Confirm {
	th, j := s.env.Theme, s.job
	return widget.Confirm{Title: title, Facts: []widget.Fact{
		{Label: "VM", Value: name(j.VMName), Style: th.Strong},
		{Label: "UUID", Value: name(j.VM), Style: th.Muted},
		{Label: "move", Value: name(j.From) + " " + theme.SignMove + " " + name(j.To) + ", " + name(j.ID), Style: th.Text},
	}}
}

// changed makes the test that takes the yes away when the job has gone on. The
// list of jobs is behind the job's own events, but for its end.
func (s *Job) changed(was string, still func(model.Job) bool) func(*Env) string {
	return func(e *Env) string {
		if j, ok := e.Job(s.id); !still(s.job) || ok && j.State.Ended() && !still(j) {
			return was
		}
		return ""
	}
}

func (s *Job) askAbort() Intent {
	j := s.job
	q := s.question("abort the move?")
	q.Lines = []string{
		"The copying stops and is undone: what was made on " + name(j.To) + " is removed, and " +
			name(j.VMName) + " stays on " + name(j.From) + ". Nothing is lost.",
	}
	q.Yes, q.No = "abort", "keep moving"
	return Ask{
		Question: q,
		Then:     Command{Job: s.id, Command: model.Command{Kind: model.CommandAbort}, Done: name(j.VMName) + ": abort asked for"},
		Gone: s.changed("The target has taken over meanwhile, or the move is over: there is nothing to abort.", func(j model.Job) bool {
			return !j.Switched && !j.State.Ended()
		}),
	}
}

func (s *Job) askConfirm() Intent {
	j := s.job
	q := s.question("confirm the move?")
	if bad := worstAfter(j); bad != "" {
		q.Lines = append(q.Lines, theme.SignWarn+" "+bad, "")
		q.Grave = true
	}
	q.Lines = append(
		q.Lines,
		name(j.VMName)+" runs on "+name(j.To)+". What is left of it on "+name(j.From)+
			", "+leftovers(j)+", is let go.",
		"After this the move cannot be rolled back; the way back is a new move.",
	)
	q.Yes, q.No = "confirm", "not yet"
	return Ask{
		Question: q,
		Then:     Command{Job: s.id, Command: model.Command{Kind: model.CommandConfirm}, Done: name(j.VMName) + ": confirmed"},
		Gone: s.changed("The move is not waiting for this any more.", func(j model.Job) bool {
			return j.State == model.JobAwaiting
		}),
	}
}

// leftovers names what a move has left on its source.
func leftovers(j model.Job) string {
	if j.Plan != nil && len(j.Plan.Copies()) == 0 {
		return "its definition"
	}
	return "its definition and the disks that were copied"
}

// worstAfter is a sentence about the first check that failed after the move.
func worstAfter(j model.Job) string {
	for _, c := range j.Checks {
		if c.Stage == model.StageAfter && c.Verdict == model.Fail {
			return "the check \"" + checkTitle(c) + "\" failed on " + name(c.Node) + ": " + name(c.Evidence)
		}
	}
	return ""
}

// sinceSwitch says how long ago the target took over, if that is known.
func (s *Job) sinceSwitch() string {
	for _, p := range s.job.Phases {
		if p.ID == model.PhaseSwitch && p.Status == model.PhaseOK {
			return ": what it wrote in " + text.Clock(s.env.Now.Sub(p.At))
		}
	}
	return ""
}

func (s *Job) askRollback() Intent {
	j := s.job
	kind := s.rollbackKind()
	q := s.question("roll back?")
	q.Yes, q.No = "roll back", "leave it"
	switch kind {
	case model.RollbackUndo:
		q.Lines = []string{
			"Undo: what was made on " + name(j.To) + " is removed, and " + name(j.VMName) + " stays on " +
				name(j.From) + ". Nothing is lost.",
		}
	case model.RollbackSendBack:
		q.Lines = []string{
			"Send back: " + name(j.VMName) + " is moved from " + name(j.To) + " to " + name(j.From) +
				" as it is now, running. Nothing is lost; it takes about as long as the move did.",
		}
	case model.RollbackRestore:
		q.Grave, q.Type, q.Title = true, name(j.VMName), "restore the source?"
		q.Lines = []string{
			"The guest does not run on " + name(j.To) + " any more. Restoring boots the disks as they were on " +
				name(j.From) + " at the switch.",
			"Whatever the guest has written since the switch is lost" + s.sinceSwitch() + ".",
			"Its copy on " + name(j.To) + " is fenced first: ended, moved aside, and unable to start.",
		}
	}
	command := model.CommandRollback
	if kind == model.RollbackRestore {
		command = model.CommandRestore
	}
	return Ask{
		Question: q,
		Then:     Command{Job: s.id, Command: model.Command{Kind: command}, Done: name(j.VMName) + ": rollback asked for"},
		Gone: s.changed("Things have changed since the question was put: look again before you roll back.", func(j model.Job) bool {
			return !j.State.Ended() && s.rollbackKind() == kind
		}),
	}
}
