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
		return "its process is gone; s settles it"
	case st.Ended():
		return "the move is over"
	}
	return ""
}

func (s *Job) cannotSettle() string {
	if st := s.job.State; st != model.JobInterrupted && st != model.JobPerson {
		return "nothing of it is left to settle"
	}
	return ""
}

// askSettle is what `horcrux recover` does without a question: who presses a key
// is told first what may be done.
func (s *Job) askSettle() Intent {
	j := s.job
	q := s.question("settle the move?")
	q.Lines = []string{
		"Both nodes are asked what they have of " + name(j.VMName) + ". What is certain is done: the move is undone, or completed where " +
			name(j.To) + " has taken over. What only a person can decide stays as it is, with what both nodes said.",
	}
	q.Yes, q.No = "settle", "leave it"
	return Ask{
		Question: q,
		Then:     Command{Job: s.id, Command: model.Command{Kind: model.CommandRecover}, Done: name(j.VMName) + ": is being settled"},
		Gone: s.changed("It is being settled already.", func(j model.Job) bool {
			return j.State == model.JobInterrupted || j.State == model.JobPerson
		}),
	}
}

func (s *Job) cannotAbort() string {
	if why := s.over(); why != "" {
		return why
	}
	switch {
	case s.job.State == model.JobUndoing:
		return "it is being undone already"
	case s.job.Comparing():
		return ""
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
	case s.returning:
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
	case s.returning:
		return "it is being sent back already"
	case s.job.State == model.JobUndoing:
		return "it is being undone already"
	case s.job.Comparing():
		return "the disks are being compared; a ends that, then it can be sent back"
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

func (s *Job) cannotPause() string {
	if why := s.cannotTune(); why != "" {
		return why
	}
	switch {
	case !movesMemory(s.job):
		return "in this mode the guest is off at the switch"
	case s.job.Mode == model.ModeOnline:
		return "in this mode the guest stands still while its memory goes over"
	}
	return ""
}

func (s *Job) nextWords() string {
	if s.job.Result != nil {
		return name(s.job.Result.Next)
	}
	return ""
}

// guest is the state of the VM on the target, as its host last said; what the
// move left it in where the host has not said anything for long.
func (s *Job) guest() model.DomainState {
	j := s.job
	v, ok := s.env.VM(j.VM, j.To)
	switch {
	case ok && v.Node == j.To && s.env.Fresh(v.Seen) != Lost && v.State != model.StateNone && v.State != model.StateUnknown:
		switch {
		case v.State == model.StateCrashed || v.State == model.StatePaused || v.State == model.StateShutoff:
			return v.State
		case model.DomainStatus{State: v.State}.Live():
			return model.StateRunning
		}
	case s.lacksIt():
		return model.StateMissing
	}
	if j.Plan != nil && (j.Plan.Was.State == model.StatePaused || wasOff(j)) {
		return map[bool]model.DomainState{true: model.StateShutoff, false: model.StatePaused}[wasOff(j)]
	}
	return model.StateRunning
}

// lacksIt tells that the target has answered, and had time to, since it took
// over, and does not list the VM.
func (s *Job) lacksIt() bool {
	j := s.job
	if v, ok := s.env.VM(j.VM, j.To); ok && v.Node == j.To {
		return false
	}
	n, ok := s.env.Node(j.To)
	p := phaseOf(j, model.PhaseSwitch)
	return ok && n.State == model.NodeUp && s.env.Fresh(n.Seen) == Fresh && p.Status == model.PhaseOK && n.Seen.Sub(p.At) > lostAfter/2
}

// guestWords says what the VM is on the target, as a sentence has it.
func (s *Job) guestWords() string {
	to := name(s.job.To)
	switch s.guest() {
	case model.StatePaused:
		return "is paused on " + to
	case model.StateShutoff:
		return "is off on " + to
	case model.StateCrashed:
		return "has crashed on " + to
	case model.StateMissing:
		return "is not known on " + to + " any more"
	}
	return "runs on " + to
}

// died tells that the guest ran before the move and does not any more.
func (s *Job) died() bool {
	ran := s.job.Plan != nil && s.job.Plan.Was.State == model.StateRunning
	return ran && s.guest() != model.StateRunning && s.guest() != model.StatePaused
}

// rollbackKind is what a rollback would be now, by what the hosts last said. A
// guest that is off has all that it wrote on its disks, and goes home with them.
func (s *Job) rollbackKind() model.RollbackKind {
	if !s.job.Switched {
		return model.RollbackUndo
	}
	switch s.guest() {
	case model.StateCrashed, model.StateMissing:
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

// askStopComparing ends what is left of a move that has been made.
func (s *Job) askStopComparing() Intent {
	j := s.job
	q := s.question("stop comparing the disks?")
	q.Lines = []string{
		name(j.VMName) + " is on " + name(j.To) + " and stays there. Only the reading stops: that its disks are equal to " +
			"those on " + name(j.From) + " is not proved then.",
	}
	q.Yes, q.No = "stop", "go on"
	return Ask{
		Question: q,
		Then:     Command{Job: s.id, Command: model.Command{Kind: model.CommandAbort}, Done: name(j.VMName) + ": the comparison stops"},
		Gone:     s.changed("The comparison is over.", model.Job.Comparing),
	}
}

func (s *Job) askAbort() Intent {
	j := s.job
	if j.Comparing() {
		return s.askStopComparing()
	}
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
	if s.died() {
		q.Lines = append(q.Lines, theme.SignWarn+" it ran before the move: r can still take it back, after this nothing can", "")
		q.Grave = true
	}
	q.Lines = append(
		q.Lines,
		name(j.VMName)+" "+s.guestWords()+". What is left of it on "+name(j.From)+
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
	kind, guest := s.rollbackKind(), s.guest()
	q := s.question("roll back?")
	q.Yes, q.No = "roll back", "leave it"
	switch kind {
	case model.RollbackUndo:
		q.Lines = []string{
			"Undo: what was made on " + name(j.To) + " is removed, and " + name(j.VMName) + " stays on " +
				name(j.From) + ". Nothing is lost.",
		}
	case model.RollbackSendBack:
		q.Lines = s.sendBackLines()
	case model.RollbackRestore:
		q.Grave, q.Type, q.Title = true, name(j.VMName), "restore the source?"
		q.Lines = []string{
			s.deadWords() + " Restoring boots the disks as they were on " + name(j.From) + " at the switch.",
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
			return !j.State.Ended() && s.rollbackKind() == kind && (kind == model.RollbackUndo || s.guest() == guest)
		}),
	}
}

// sendBackLines say in which state the VM goes home, and what it costs.
func (s *Job) sendBackLines() []string {
	j := s.job
	line := "Send back: " + name(j.VMName) + " is moved from " + name(j.To) + " to " + name(j.From) + " as it is now, "
	const lost = "Nothing is lost; it takes about as long as the move did."
	switch s.guest() {
	case model.StatePaused:
		return []string{line + "paused, and stays paused. " + lost}
	case model.StateShutoff:
		lines := []string{line + "off, and stays off. " + lost}
		if s.died() {
			lines = append(lines, "", "It ran before the move; what it has written on "+name(j.To)+" goes back with it. `horcrux rollback "+name(j.ID)+
				" --restore-source` boots the disks as they were on "+name(j.From)+" at the switch instead, and loses what was written since.")
		}
		return lines
	}
	return []string{line + "running. " + lost}
}

// deadWords say why there is nothing on the target that could be sent back.
func (s *Job) deadWords() string {
	vm, to := name(s.job.VMName), name(s.job.To)
	if s.guest() == model.StateMissing {
		return to + " does not know " + vm + " any more."
	}
	return vm + " has crashed on " + to + "."
}
