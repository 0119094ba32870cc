package screen

import (
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// View implements Screen.
func (s *Job) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	lines := s.upper(w, h)
	if room := h - len(lines); room > 1 {
		lines = append(lines, s.lower(w, room))
	}
	return text.Block(strings.Join(lines, "\n"), w, h)
}

// upper is all that stands over checks, log and plan.
func (s *Job) upper(w, h int) []string {
	blanks := 0 // lines of air, as many as the height allows
	switch {
	case h >= 34:
		blanks = 5
	case h >= 22:
		blanks = 2
	case h >= 20:
		blanks = 1
	}
	air := func(n int) []string {
		if blanks >= n {
			return []string{""}
		}
		return nil
	}
	lines := append([]string{s.head(w)}, air(4)...)
	lines = append(append(lines, s.crossing(w)...), s.assurance(w))
	lines = append(lines, air(1)...)
	lines = append(lines, strings.Split(widget.Rail(s.env.Theme, w-2, s.stops()), "\n")...)
	for i := len(lines) - 3; i < len(lines); i++ {
		lines[i] = " " + lines[i]
	}
	lines = append(lines, air(3)...)
	lines = append(lines, s.middle(w, h >= 34)...)
	return append(lines, air(2)...)
}

// head says what moves, how, and how it stands.
func (s *Job) head(w int) string {
	th, j := s.env.Theme, s.job
	l := jobLook(th, j.State)
	left := " " + th.Strong.Render(text.Or(name(j.VMName), "…"))
	if j.Mode != "" {
		left += "  " + th.Muted.Render(name(j.Mode))
	}
	if j.SendsBack != "" {
		left += "  " + th.Accent.Render(theme.SignBack+" sends back "+name(j.SendsBack))
	}
	if j.By != "" {
		left += "  " + th.Faint.Render("by "+name(j.By))
	}
	if w >= 110 {
		left += "  " + th.Faint.Render("job "+name(j.ID))
	}
	right := l.render()
	if cur := j.Current(); j.State == model.JobRunning && cur.ID != "" {
		right = l.style.Render(l.sign + " " + model.PhaseTitles[cur.ID])
	}
	if t := elapsed(j, s.env.Now); t > 0 {
		right += "  " + th.Text.Render(text.Clock(t))
	}
	return text.Justify(left, right+" ", w)
}

// side is one end of the crossing.
type side struct {
	sign, word string
	style      theme.Style
}

// sides tells what is at the two ends, by the job's own words, and by what the
// host says of the domain where that is fresh.
func (s *Job) sides() (from, to side) {
	th, j := s.env.Theme, s.job
	state := model.StateRunning
	if j.Plan != nil && j.Plan.Was.State != "" {
		state = j.Plan.Was.State
	}
	owner, stopped := where(j)
	v, ok := s.env.VM(j.VM, owner)
	seen := ok && v.Node == owner && s.env.Fresh(v.Seen) == Fresh
	if seen && (j.State.Ended() || j.State == model.JobInterrupted || j.State == model.JobUndoing) {
		state = v.State
	}
	if j.State == model.JobAwaiting && owner == j.To {
		state = s.guest()
	}
	if owner == j.From && moves(j.State) {
		switch {
		case down(j):
			state = model.StateShutoff
		case j.Mode == model.ModeOnline && phaseOf(j, model.PhaseMemory).Status == model.PhaseActive:
			state = model.StatePaused // for as long as its memory goes over
		}
	}
	l := domainLook(th, state)
	here := side{l.sign, l.word + " here", l.style}
	if j.State == model.JobInterrupted && !seen { // nobody has looked since its process ended
		here = side{theme.SignUnknown, "has it, by the journal", th.Warn}
	}
	empty := side{theme.SignOff, "", th.Faint}
	switch {
	case j.State == model.JobPerson && (j.Result == nil || j.Result.Owner == ""), j.State == model.JobInterrupted && owner == "":
		unknown := side{theme.SignUnknown, "not certain", th.Warn}
		return unknown, unknown
	case owner == j.To && owner != "":
		left := side{theme.SignTomb, "kept until confirmed", th.Muted}
		if j.State == model.JobDone {
			left = side{theme.SignOff, "let go", th.Faint}
		}
		return left, here
	case stopped && !movesMemory(j):
		return here, side{theme.SignHalf, "complete", th.Accent}
	case stopped:
		return side{theme.SignHalf, "paused here", th.Warn}, side{theme.SignHalf, "complete, paused", th.Warn}
	}
	switch j.State {
	case model.JobUndoing:
		empty.word = "being cleaned up"
	case model.JobUndone:
		empty.word = "cleaned up"
	case model.JobRefused:
		empty.word = "untouched"
	case model.JobRunning:
		if st := phaseOf(j, model.PhasePrepare).Status; st == model.PhaseOK || st == model.PhaseActive {
			empty = side{theme.SignHalf, "receiving", th.Accent}
		}
	}
	return here, empty
}

// crossing draws the two nodes with the way between them, as far as it is
// done; under them, where the guest is.
func (s *Job) crossing(w int) []string {
	th, j := s.env.Theme, s.job
	from, to := s.sides()
	left := " " + from.style.Render(from.sign) + " " + th.Strong.Render(name(j.From)) + " "
	right := " " + th.Strong.Render(name(j.To)) + " " + to.style.Render(to.sign) + " "
	room := w - text.Width(left) - text.Width(right)
	f, known := overall(j)
	moving := j.State == model.JobRunning || j.State == model.JobStarting
	bar, middle := "", ""
	if room > 2 {
		n := int(f * float64(room-1))
		back := j.State == model.JobUndoing || j.State == model.JobUndone || j.State == model.JobRefused
		switch {
		case back:
			bar = th.Faint.Render(strings.Repeat(theme.BarGap, room))
		case j.Switched:
			bar = th.OK.Render(strings.Repeat(theme.BarFull, room-1) + "▶")
		default:
			bar = th.Accent.Render(strings.Repeat(theme.BarFull, n)) + th.Lead.Render(theme.SignMark) +
				th.Faint.Render(strings.Repeat(theme.BarGap, room-1-n))
		}
		if known && moving && !j.Switched {
			middle = text.Percent(f)
			switch t := timeToGo(j); {
			case strings.HasPrefix(t, "will not"):
				middle += ", will not converge"
			case t != "":
				middle += ", " + t
			}
		}
	}
	under := "   " + from.style.Render(from.word)
	end := to.style.Render(to.word) + "   "
	gap := w - text.Width(under) - text.Width(end)
	return []string{text.Fit(left+bar+right, w), text.Fit(under+th.Text.Render(text.Center(middle, max(0, gap)))+end, w)}
}

// assurance is the line that says what can still be done, and at what cost.
func (s *Job) assurance(w int) string {
	th, j := s.env.Theme, s.job
	line, look := "", th.Muted
	vm, from, to := name(j.VMName), name(j.From), name(j.To)
	_, stopped := where(j)
	switch {
	case j.State == model.JobUndoing && j.Switched:
		line = vm + " is being brought back to " + from
	case j.State == model.JobUndoing:
		line = vm + " stays on " + from + "; what was made on " + to + " is being removed"
	case j.State == model.JobPerson:
		line, look = "start "+vm+" nowhere by hand before this is settled", th.Warn
	case j.State == model.JobInterrupted:
		line, look = "its process is gone: start "+vm+" nowhere by hand; s settles it", th.Warn
	case s.returning:
		line, look = "job "+name(s.back)+" brings it back to "+from+"; enter opens it", th.Accent
	case s.back != "" && j.State == model.JobUndone:
		line = "job " + name(s.back) + " has brought it back; enter opens it"
	case j.State == model.JobAwaiting:
		line = "c lets go of what is left on " + from + "; r sends it back, nothing is lost"
	case j.State == model.JobRunning && j.Comparing():
		line = vm + " runs on " + to + "; " + name(phaseOf(j, model.PhaseVerify).Detail) + "; a ends that"
	case j.State == model.JobRunning && j.Switched:
		line = to + " has taken over; " + from + " keeps its copy, which cannot start, until this is confirmed"
	case j.State == model.JobRunning && stopped && !movesMemory(j):
		line = from + " cannot start it any more; " + to + " is looked at before it takes over"
	case j.State == model.JobRunning && stopped:
		line = "both sides stand still for a moment: the target is looked at before it takes over"
	case j.State == model.JobQueued:
		line = fmt.Sprintf("place %d in the queue: %s", j.Place, name(j.Waits))
	case j.State == model.JobRunning || j.State == model.JobStarting:
		stays := " stays on "
		if down(j) && !wasOff(j) {
			stays = " is started again on "
		}
		line = "an abort now loses nothing: " + vm + stays + from + wayWords(j.Plan)
	}
	if s.err != nil {
		line, look = "the job is not heard any more: "+name(s.err.Error()), th.Warn
	}
	return text.Fit("   "+look.Render(text.Cut(line, w-4)), w)
}

// wayWords says how the memory travels, and whether others could read it, in few
// words: they follow others on a line of 80 columns.
func wayWords(p *model.Plan) string {
	switch {
	case p == nil || p.Way == "":
		return ""
	case p.Way == model.PathRelay:
		return "; data go by SSH through here"
	case p.Way == model.PathSSH:
		return "; data go by SSH"
	case p.Encrypted:
		return "; data go with TLS"
	}
	return "; data go unencrypted"
}

// shortTitles are the words for phases where the rail has little room.
var shortTitles = map[model.PhaseID]string{model.PhasePasses: "passes", model.PhaseFlatten: "image", model.PhaseStop: "stop"}

// stops are the phases as stops of the rail.
func (s *Job) stops() []widget.Stop {
	finish := model.FinishLive
	if s.job.Plan != nil {
		finish = s.job.Plan.Options.Finish
	}
	order := model.Rail(s.job.Mode, finish)
	out := make([]widget.Stop, 0, len(order))
	for _, id := range order {
		p := phaseOf(s.job, id)
		st := widget.Stop{Title: model.PhaseTitles[id], Short: shortTitles[id], State: stopState(p.Status), Commit: id == model.PhaseSwitch || id == model.PhaseConfirm}
		if d, ok := phaseTime(p, s.env.Now); ok {
			st.Note = text.Duration(d)
			if st.State == widget.StopActive {
				st.Note = text.Clock(d)
			}
		}
		stopped := st.State == widget.StopActive && !moves(s.job.State) && id != model.PhaseConfirm
		if stopped {
			st.State = widget.StopFailed
		}
		switch st.State {
		case widget.StopFailed:
			st.Note = "failed"
			switch {
			case strings.Contains(p.Detail, model.AbortedByUser):
				st.Note = "aborted"
			case stopped:
				st.Note = "stopped"
			}
		case widget.StopSkipped:
			st.Note = "skipped"
		case widget.StopActive:
			if id == model.PhaseConfirm {
				st.Note = "waits"
			}
			if id == model.PhaseConfirm && !moves(s.job.State) && s.job.State != model.JobAwaiting {
				st.State, st.Note = widget.StopSkipped, "not any more"
			}
		}
		out = append(out, st)
	}
	return out
}

// middle is what matters most just now: how much is across, the steps of a
// rollback, or how it ended.
func (s *Job) middle(w int, roomy bool) []string {
	j := s.job
	switch {
	case j.State == model.JobUndoing:
		return s.stepLines(w)
	case j.Result != nil || j.State == model.JobInterrupted:
		return s.resultLines(w, roomy)
	}
	return s.gaugeLines(w, roomy)
}

// stepLines are the six steps of a rollback.
func (s *Job) stepLines(w int) []string {
	th := s.env.Theme
	kind := model.RollbackUndo
	stops := make([]widget.Stop, 0, len(model.RollbackSteps))
	for _, id := range model.RollbackSteps {
		st := widget.Stop{Title: model.StepTitles[id]}
		for _, r := range s.job.Steps {
			if r.Step == id {
				kind = r.Kind
				st.State, st.Note = stopState(r.Status), name(r.Detail)
			}
		}
		stops = append(stops, st)
	}
	title := map[model.RollbackKind]string{
		model.RollbackUndo: "undo", model.RollbackSendBack: "send back", model.RollbackRestore: "restore source",
	}[kind]
	note := name(phaseOf(s.job, model.PhaseUndo).Detail)
	return append([]string{widget.Heading(th, w, title, note, false)}, widget.Steps(th, w, stops)...)
}

func checkTitle(c model.CheckResult) string {
	if t := name(c.Title); t != "" {
		return t
	}
	return model.CheckTitles[c.Check]
}
