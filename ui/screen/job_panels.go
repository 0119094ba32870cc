package screen

import (
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// gaugeLines tell how much is across: a line for the disks, one for the
// memory, then rates, and what can be said of the end.
func (s *Job) gaugeLines(w int, roomy bool) []string {
	th, j := s.env.Theme, s.job
	var lines []string
	d, has := disks(j)
	if has {
		lines = append(lines, s.gaugeLine(w, "DISKS", d, phaseOf(j, model.PhaseDisks)))
	} else {
		lines = append(lines, text.Fit(" "+th.Strong.Render("DISKS  ")+"  "+th.Faint.Render("nothing to copy, both nodes see the same"), w))
	}
	if movesMemory(j) {
		lines = append(lines, s.gaugeLine(w, "MEMORY", memory(j), phaseOf(j, model.PhaseMemory)))
	} else {
		lines = append(lines, s.guestLine(w))
	}
	p := j.Progress
	if p == nil {
		return append(lines, text.Fit("          "+th.Muted.Render("no reading yet"), w))
	}
	if roomy {
		lines = append(lines, "")
	}
	return append(append(lines, s.rateLines(w, roomy)...), s.endLine(w))
}

// guestLine is what becomes of a guest whose memory does not go over.
func (s *Job) guestLine(w int) string {
	th, j := s.env.Theme, s.job
	words := "is asked to shut down, and boots on " + name(j.To)
	switch {
	case wasOff(j):
		words = "it is off, and stays so"
	case j.Switched:
		words = "boots on " + name(j.To)
	case down(j):
		words = "is shut down, and boots on " + name(j.To)
	}
	return text.Fit(" "+th.Strong.Render("GUEST  ")+"  "+th.Muted.Render(words), w)
}

func (s *Job) gaugeLine(w int, title string, t transfer, p model.Phase) string {
	th := s.env.Theme
	fresh := Fresh
	if s.job.Progress != nil && p.Status == model.PhaseActive {
		fresh = s.env.FreshReading(s.job.Progress.At)
	}
	label := " " + th.Strong.Render(text.Fit(title, 7)) + "  "
	num := ""
	switch {
	case t.total == 0:
		num = "size not known yet"
	case !t.known && !t.done:
		num = text.Bytes(t.total) + " to go"
	case t.done:
		num = text.Bytes(t.total) + " across"
	case fresh == Lost:
		num = text.Unknown + " of " + text.Bytes(t.total)
	default:
		num = text.Bytes(t.total-min(t.left, t.total)) + " of " + text.Bytes(t.total) + ", " + text.Bytes(t.left) + " left"
	}
	numW := min(34, max(12, w*2/5))
	bar := w - text.Width(label) - numW - 10
	look := th.Accent
	switch {
	case t.done:
		look = th.OK
	case fresh != Fresh:
		look = th.Faint
	}
	gauge := widget.Gauge(th, bar, t.fraction(), look, theme.Style{})
	percent := text.Percent(t.fraction())
	if fresh == Lost && !t.done {
		gauge, percent = widget.NoGauge(th, bar, theme.Style{}), text.Unknown
	}
	style := th.Text
	if fresh != Fresh && !t.done {
		style = th.Stale
	}
	return text.Fit(label+gauge+" "+style.Render(text.FitRight(percent, 6))+"  "+th.Muted.Render(text.Cut(num, numW)), w)
}

// rateLines set what is sent against what the guest dirties: drawn to the same
// height, they show whether the move gains on the guest.
func (s *Job) rateLines(w int, roomy bool) []string {
	th, p := s.env.Theme, s.job.Progress
	fresh := s.env.FreshReading(p.At)
	num := func(n uint64) string {
		if fresh == Lost {
			return text.Unknown
		}
		return text.Rate(float64(n))
	}
	style := th.Text
	if fresh != Fresh {
		style = th.Stale
	}
	var sent, dirty []float64
	top := 0.0
	for _, r := range s.history {
		sent, dirty = append(sent, r.sent), append(dirty, r.dirty)
		top = max(top, r.sent, r.dirty)
	}
	extra := []string{}
	if p.Iteration > 0 {
		extra = append(extra, fmt.Sprintf("pass %d", p.Iteration))
	}
	if p.Throttle > 0 {
		extra = append(extra, fmt.Sprintf("guest slowed by %d %%", p.Throttle))
	}
	switch {
	case p.Bandwidth > 0:
		extra = append(extra, "limit "+bandwidthWord(p.Bandwidth))
	case w >= 100:
		extra = append(extra, "no limit set")
	}
	total := p.MemRate + p.DiskRate
	if !roomy {
		spark := 0
		if len(s.history) > 2 && w >= 100 {
			spark = 24
		}
		l := "          " + th.Muted.Render("sent ") + style.Render(num(total)) + " " + th.Accent.Render(widget.Spark(sent, spark, top))
		if movesMemory(s.job) {
			l += "  " + th.Muted.Render("dirtied ") + style.Render(num(p.DirtyRate)) + " " + th.Warn.Render(widget.Spark(dirty, spark, top))
		}
		return []string{text.Fit(l+"  "+th.Muted.Render(strings.Join(extra, ", ")), w)}
	}
	spark := max(8, min(100, w-65))
	high := 1
	if s.env.H >= 50 {
		high = 4
	}
	lines := func(label string, n uint64, values []float64, look theme.Style, rest string) []string {
		var out []string
		chart := widget.Chart(values, spark, high, top)
		for i, c := range chart {
			lead, after := text.Spaces(9+12), ""
			if i == len(chart)-1 {
				lead = th.Muted.Render(text.Fit(label, 9)) + style.Render(text.FitRight(num(n), 12))
				after = "  " + th.Muted.Render(rest)
			}
			out = append(out, text.Fit("          "+lead+"  "+look.Render(c)+after, w))
		}
		return out
	}
	if !movesMemory(s.job) {
		return append(lines("sent", total, sent, th.Accent, strings.Join(extra, ", ")), "")
	}
	half := (len(extra) + 1) / 2
	out := lines("sent", total, sent, th.Accent, strings.Join(extra[:half], ", "))
	out = append(out, lines("dirtied", p.DirtyRate, dirty, th.Warn, strings.Join(extra[half:], ", "))...)
	return append(out, "")
}

// endLine is what can honestly be said of the end, with the age of it.
func (s *Job) endLine(w int) string {
	th, p := s.env.Theme, s.job.Progress
	to, look := timeToGo(s.job), th.Lead
	switch {
	case across(s.job):
		to, look = "all of it is across", th.Muted
	case s.env.FreshReading(p.At) == Lost:
		to, look = "no forecast: the numbers are too old", th.Warn
	case p.Diverging != "":
		to, look = theme.SignWarn+" "+to, th.Warn
	case to == "":
		to, look = "no forecast yet", th.Muted
	}
	pause := ""
	if p.Downtime > 0 && !across(s.job) && s.job.Mode != model.ModeOnline && s.env.FreshReading(p.At) != Lost {
		pause = ", then a pause of about " + text.Duration(p.Downtime)
	}
	age := model.Age(p.At, s.env.Now)
	sample := "last sample " + text.Clock(age) + " ago"
	if age < s.env.ReadingStaleAfter() {
		sample = "last sample just now"
	}
	right := th.Faint.Render(sample)
	if age >= s.env.ReadingStaleAfter() {
		right = th.Warn.Render(sample)
	}
	left := "          " + look.Render(to) + th.Muted.Render(pause)
	if age < s.env.ReadingStaleAfter() && text.Width(left)+text.Width(sample)+3 > w {
		return text.Fit(left, w) // why there is no forecast matters more than a fresh age
	}
	return text.Justify(left, right+" ", w)
}

// resultLines are the panel of how it ended: outcome, owner, cause, next step.
func (s *Job) resultLines(w int, roomy bool) []string {
	th, j := s.env.Theme, s.job
	r := model.Result{}
	switch {
	case j.State == model.JobInterrupted && j.Interrupted != nil:
		r = *j.Interrupted
	case j.Result != nil:
		r = *j.Result
	}
	title, look := outcomeWords(s.env, j)
	bw := min(w-2, 110)
	var body []string
	add := func(label, value string, style theme.Style) {
		for i, part := range text.Wrap(value, bw-14) {
			if i > 0 {
				label = ""
			}
			body = append(body, th.Muted.Render(text.Fit(label, 9))+style.Render(part))
		}
	}
	if r.Owner != "" {
		add("the VM", name(j.VMName)+" is on "+name(r.Owner), th.Strong)
	} else if j.State == model.JobPerson || j.State == model.JobInterrupted {
		add("the VM", "it is not certain which node has it: start it nowhere by hand", th.Warn)
	}
	add("cause", name(r.Reason), th.Text)
	if n, all, worst := tally(j, model.StageAfter); all > 0 {
		words := text.Count(all, "check") + " after the move, none failed"
		if none := skipped(j, model.StageAfter); none > 0 {
			words = fmt.Sprintf("%s after the move passed; %d skipped, the VM never had them", text.Count(all-none, "check"), none)
		}
		switch {
		case n > 0:
			words = fmt.Sprintf("%d of %d did not pass: %s", n, all, worst)
		case wasOff(j):
			words = "none was made: the VM is off, as before the move"
		}
		add("checks", words, th.Text)
	}
	times := []string{}
	switch {
	case r.Downtime > 0 && !movesMemory(j):
		times = append(times, "the guest was off for "+text.Duration(r.Downtime)+", and then booted")
	case r.Downtime > 0:
		times = append(times, "the guest stood still for "+text.Duration(r.Downtime))
	}
	if r.Duration > 0 {
		times = append(times, "all of it took "+text.Duration(r.Duration))
	}
	add("time", strings.Join(times, "; "), th.Text)
	if roomy {
		add("proof", name(r.Proof), th.Text)
	}
	next := name(r.Next)
	if j.State == model.JobInterrupted {
		next = "s looks at both nodes and settles it; `horcrux recover` does the same"
	}
	if d := s.decision(); d != nil {
		for _, f := range d.Sides {
			add(string(name(f.Node)), sideWords(f), th.Text)
		}
		for _, c := range d.Choices {
			add("keep", "on "+name(c.Keep)+": loses "+name(c.Loses), th.Text)
		}
		next = "o chooses; `horcrux recover " + name(s.id) + " --keep NODE` does the same"
	}
	add("next", next, th.Lead)
	return indent(strings.Split(widget.Box(th, bw, title, look, body), "\n"))
}

func indent(lines []string) []string {
	for i, l := range lines {
		lines[i] = " " + l
	}
	return lines
}

// outcomeWords is the title of the result and its look.
func outcomeWords(e *Env, j model.Job) (string, theme.Style) {
	th := e.Theme
	l := jobLook(th, j.State)
	if j.Result == nil {
		return l.String(), l.style
	}
	switch j.Result.Outcome {
	case model.OutcomeDegraded:
		return theme.SignWarn + " moved, but a check failed", th.Warn
	case model.OutcomeFailed:
		return theme.SignFail + " failed", th.Bad
	case model.OutcomePerson:
		return theme.SignWarn + " a person must decide", th.Bad
	case model.OutcomeRefused:
		return theme.SignFail + " refused, nothing was changed", th.Bad
	case model.OutcomeUndone:
		if j.Switched {
			return theme.SignBack + " rolled back, " + text.Or(name(j.Result.Owner), "the source") + " has the VM", th.OK
		}
		return theme.SignBack + " undone, " + text.Or(name(j.Result.Owner), "the source") + " has the VM", th.Warn
	}
	if j.State == model.JobAwaiting {
		return theme.SignPass + " moved, waits for your word", th.OK
	}
	return theme.SignPass + " moved and confirmed", th.OK
}

// skipped counts the checks of a stage for which the VM has nothing to check.
func skipped(j model.Job, stage model.CheckStage) (n int) {
	for _, c := range j.Checks {
		if c.Stage == stage && c.Verdict == model.Skip {
			n++
		}
	}
	return n
}

// tally counts the checks of a stage that did not pass, out of all, and names
// them.
func tally(j model.Job, stage model.CheckStage) (bad, all int, names string) {
	var list []string
	for _, c := range j.Checks {
		if c.Stage != stage {
			continue
		}
		all++
		if c.Verdict == model.Fail || c.Verdict == model.Warn {
			bad++
			list = append(list, checkTitle(c))
		}
	}
	return bad, all, strings.Join(list, ", ")
}
