package screen

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/x/ansi"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// lower shows checks, log and plan: one of them in a narrow window, two from
// 120 columns, all three from 180.
func (s *Job) lower(w, h int) string {
	a, b, c := s.paneWidths(w, h)
	switch {
	case w >= 180:
		return text.Beside(text.Beside(s.checks(a, h), a, 3, s.log(b, h)), a+3+b, 3, s.plan(c, h))
	case w >= sideBySide:
		right := s.log
		if s.focus == panePlan {
			right = s.plan
		}
		return text.Beside(s.checks(a, h), a, 3, right(b, h))
	}
	return []func(int, int) string{s.checks, s.log, s.plan}[s.focus](w, h)
}

func (s *Job) paneWidths(w, h int) (checks, log, plan int) {
	switch {
	case w >= 180:
		a, b := w*38/100, w*34/100
		return a, b, w - a - b - 6
	case w >= sideBySide:
		a := w*11/20 - 2
		if h >= len(model.Checks)+6 { // what was seen is listed under the table
			a = 50
		}
		return a, w - a - 3, w - a - 3
	}
	return w, w, w
}

// deepest is how far a pane can be scrolled.
func (s *Job) deepest(p jobPane) int {
	w, h := s.env.W, s.env.H
	h -= len(s.upper(w, h))
	a, b, c := s.paneWidths(w, h)
	n := 0
	switch p {
	case paneLog:
		n = len(s.logLines(b))
	case panePlan:
		n = len(s.planLines(c))
	default:
		_, body := s.checkLines(a, h)
		n = len(body)
	}
	return max(0, n-(h-1))
}

// tabs is the heading of a pane; where only one pane is seen it names the
// others too.
func (s *Job) tabs(w int, p jobPane, note string) string {
	th := s.env.Theme
	titles := []string{"checks", "log", "plan"}
	head := widget.Heading(th, len(titles[p])+1, titles[p], "", s.focus == p)
	if note != "" {
		head += "  " + th.Muted.Render(note)
	}
	if s.env.W >= 120 {
		return text.Fit(head, w)
	}
	var others []string
	for i := 1; i < int(jobPanes); i++ {
		others = append(others, titles[(int(p)+i)%int(jobPanes)])
	}
	return text.Justify(head, th.Faint.Render("tab: "+strings.Join(others, ", "))+" ", w)
}

// checks is the table of the eight checks with a column for each time they
// were made, and under it all that they saw.
func (s *Job) checks(w, h int) string {
	head, body := s.checkLines(w, h)
	seen, _ := widget.Window(body, s.scroll[paneChecks], h-1)
	if h-1 > len(model.Checks) { // where they hardly fit, a check matters more than a word on what follows
		seen = widget.Scrolled(s.env.Theme, body, s.scroll[paneChecks], h-1)
	}
	return head + "\n" + strings.Join(seen, "\n")
}

// checkLines are the heading of the checks and what is scrolled under it.
func (s *Job) checkLines(w, h int) (head string, body []string) {
	th, j := s.env.Theme, s.job
	t := widget.Table{Plain: true, Heading: true, Focus: s.focus == paneChecks, Columns: []widget.Column{
		{Title: "CHECKS", Width: 13},
		{Title: "baseline", Width: 8},
		{Title: "gate", Width: 7},
		{Title: "after", Width: 7},
		{Title: "what was seen", Width: 20, Min: 10, Grow: 1, Rank: 1},
	}}
	if h >= len(model.Checks)+6 && w < 90 {
		t.Columns = t.Columns[:4]
	}
	table := t.View(th, w, len(model.Checks)+1, widget.List{}, len(model.Checks), func(i int) widget.Row {
		id := model.Checks[i]
		row := widget.Row{Cells: []widget.Cell{{Text: model.CheckTitles[id], Style: th.Text}}}
		evidence := widget.Cell{Style: th.Muted}
		for _, stage := range []model.CheckStage{model.StageBaseline, model.StageGate, model.StageAfter} {
			c, ok := checkAt(j, id, stage)
			if !ok {
				row.Cells = append(row.Cells, widget.Cell{Text: theme.SignNone, Style: th.Faint})
				continue
			}
			l := verdictLook(th, c.Verdict)
			row.Cells = append(row.Cells, widget.Cell{Text: l.String(), Style: l.style})
			evidence.Text = name(c.Evidence)
			if c.Verdict == model.Fail || c.Verdict == model.Warn {
				evidence.Style = l.style
			}
		}
		row.Cells = append(row.Cells, evidence)
		return row
	})
	head, rows, _ := strings.Cut(table, "\n")
	if s.env.W < sideBySide {
		head = text.Justify(ansi.Truncate(head, w-18, ""), th.Faint.Render("tab: log, plan")+" ", w)
	}
	body = strings.Split(rows, "\n")
	if len(j.Steps) > 0 && j.State != model.JobUndoing {
		body = append(append(body, ""), s.stepLines(w)...)
	}
	if seen := s.evidence(w); len(seen) > 0 {
		body = append(append(body, ""), seen...)
	}
	return head, body
}

// evidence is the whole of what the checks saw, the newest first.
func (s *Job) evidence(w int) []string {
	th, j := s.env.Theme, s.job
	var lines []string
	for i := len(j.Checks) - 1; i >= 0; i-- {
		c := j.Checks[i]
		if c.Evidence == "" {
			continue
		}
		l := verdictLook(th, c.Verdict)
		lead := "   " + l.style.Render(l.sign) + " " + th.Text.Render(checkTitle(c)) + th.Faint.Render(fmt.Sprintf(", %s on %s, %s", name(c.Stage), name(c.Node), text.Duration(c.Duration)))
		lines = append(lines, text.Cut(lead, w))
		for _, p := range text.Wrap(name(c.Evidence), max(10, w-6)) {
			lines = append(lines, "     "+th.Muted.Render(p))
		}
	}
	return lines
}

// log is the newest lines of the job's log, its end at the bottom.
func (s *Job) log(w, h int) string {
	all := s.logLines(w)
	room := max(0, h-1)
	back := min(s.scroll[paneLog], max(0, len(all)-room))
	note := ""
	if back > 0 {
		note = text.Count(back, "newer line") + " below"
	}
	lines := []string{s.tabs(w, paneLog, note)}
	if len(all) == 0 {
		lines = append(lines, "   "+s.env.Theme.Muted.Render("nothing yet"))
	}
	end := len(all) - back
	return strings.Join(append(lines, all[max(0, end-room):end]...), "\n")
}

// logLines are the lines of the log, wrapped.
func (s *Job) logLines(w int) []string {
	th := s.env.Theme
	var lines []string
	for _, l := range s.job.Log {
		look, sign := th.Text, ""
		switch l.Level {
		case "warn":
			look, sign = th.Warn, theme.SignWarn+" "
		case "error":
			look, sign = th.Bad, theme.SignFail+" "
		}
		lead := " " + th.Faint.Render(l.At.Format("15:04:05")) + "  "
		if l.Node != "" {
			lead += th.Accent.Render(text.Fit(name(l.Node), 6)) + " "
		}
		at := text.Width(lead)
		for i, p := range text.Wrap(sign+name(l.Text), max(10, w-at)) {
			if i > 0 {
				lead = text.Spaces(at)
			}
			lines = append(lines, text.Fit(lead+look.Render(p), w))
		}
	}
	return lines
}

// plan is what was to be done, with the disks.
func (s *Job) plan(w, h int) string {
	seen := widget.Scrolled(s.env.Theme, s.planLines(w), s.scroll[panePlan], h-1)
	return strings.Join(append([]string{s.tabs(w, panePlan, "")}, seen...), "\n")
}

func (s *Job) planLines(w int) []string {
	if s.job.Plan == nil {
		return []string{"   " + s.env.Theme.Muted.Render("not known here")}
	}
	m := &Migrate{env: s.env}
	body := append(m.steps(*s.job.Plan, w)[1:], "")
	body = append(body, m.diskLines(*s.job.Plan, w)...)
	if len(s.job.Steps) > 0 {
		body = append(append(body, ""), s.stepLines(w)...)
	}
	return body
}

// report is the job in plain text, for a ticket.
func (s *Job) report() string {
	j := s.job
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s -> %s, %s, %s\n", name(j.VMName), name(j.From), name(j.To), name(j.Mode), jobLook(plainTheme, j.State).word)
	fmt.Fprintf(&b, "job %s, VM %s, begun %s\n", name(j.ID), name(j.VM), stamp(j.Started))
	if r := j.Result; r != nil {
		fmt.Fprintf(&b, "outcome %s, the VM is on %s\n", name(r.Outcome), text.Or(name(r.Owner), "?"))
		if r.Reason != "" {
			fmt.Fprintf(&b, "cause: %s\n", name(r.Reason))
		}
		if r.Next != "" {
			fmt.Fprintf(&b, "next: %s\n", name(r.Next))
		}
	}
	for _, c := range j.Checks {
		fmt.Fprintf(&b, "%-9s %-5s %s: %s\n", name(c.Stage), name(c.Verdict), checkTitle(c), name(c.Evidence))
	}
	for _, l := range j.Log {
		fmt.Fprintf(&b, "%s %-5s %s %s\n", l.At.Format("15:04:05"), name(l.Level), name(l.Node), name(l.Text))
	}
	return b.String()
}
