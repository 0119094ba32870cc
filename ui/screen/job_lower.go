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
	switch {
	case w >= 180:
		a, b := w*38/100, w*34/100
		c := w - a - b - 6
		return text.Beside(text.Beside(s.checks(a, h), a, 3, s.log(b, h)), a+3+b, 3, s.plan(c, h))
	case w >= 120:
		a := w*11/20 - 2
		if h >= len(model.Checks)+6 { // what was seen is listed under the table
			a = 50
		}
		right := s.log
		if s.focus == panePlan {
			right = s.plan
		}
		return text.Beside(s.checks(a, h), a, 3, right(w-a-3, h))
	}
	return []func(int, int) string{s.checks, s.log, s.plan}[s.focus](w, h)
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
// were made, and what the latest saw.
func (s *Job) checks(w, h int) string {
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
	rows := min(h, len(model.Checks)+1)
	table := t.View(th, w, rows, widget.List{Offset: s.scroll[paneChecks]}, len(model.Checks), func(i int) widget.Row {
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
	lines := strings.Split(table, "\n")
	if s.env.W < 120 {
		lines[0] = text.Justify(ansi.Truncate(lines[0], w-18, ""), th.Faint.Render("tab: log, plan")+" ", w)
	}
	switch room := h - len(lines); {
	case room > len(model.RollbackSteps)+1 && len(j.Steps) > 0 && j.State != model.JobUndoing:
		lines = append(append(lines, ""), s.stepLines(w)...)
	case room > 2:
		lines = append(lines, s.evidence(w, room)...)
	}
	return strings.Join(lines, "\n")
}

// evidence is the whole of what the newest checks saw, where there is room.
func (s *Job) evidence(w, h int) []string {
	th, j := s.env.Theme, s.job
	lines := []string{""}
	for i := len(j.Checks) - 1; i >= 0 && len(lines) < h; i-- {
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
	if len(lines) > h {
		lines = lines[:h]
	}
	return lines
}

// log is the newest lines of the job's log, its end at the bottom.
func (s *Job) log(w, h int) string {
	th := s.env.Theme
	all := s.job.Log
	room := max(0, h-1)
	back := min(s.scroll[paneLog], max(0, len(all)-room))
	note := ""
	if back > 0 {
		note = fmt.Sprintf("%d newer below", back)
	}
	lines := []string{s.tabs(w, paneLog, note)}
	if len(all) == 0 {
		lines = append(lines, "   "+th.Muted.Render("nothing yet"))
	}
	end := len(all) - back
	for _, l := range all[max(0, end-room):end] {
		look, sign := th.Text, ""
		switch l.Level {
		case "warn":
			look, sign = th.Warn, theme.SignWarn+" "
		case "error":
			look, sign = th.Bad, theme.SignFail+" "
		}
		lead := th.Faint.Render(l.At.Format("15:04:05")) + "  "
		if l.Node != "" {
			lead += th.Accent.Render(text.Fit(name(l.Node), 6)) + " "
		}
		lines = append(lines, text.Fit(" "+lead+look.Render(sign+name(l.Text)), w))
	}
	return strings.Join(lines, "\n")
}

// plan is what was to be done, with the disks.
func (s *Job) plan(w, h int) string {
	lines := []string{s.tabs(w, panePlan, "")}
	if s.job.Plan == nil {
		return lines[0] + "\n   " + s.env.Theme.Muted.Render("not known here")
	}
	m := &Migrate{env: s.env}
	body := append(m.steps(*s.job.Plan, w)[1:], "")
	body = append(body, m.diskLines(*s.job.Plan, w)...)
	if len(s.job.Steps) > 0 {
		body = append(append(body, ""), s.stepLines(w)...)
	}
	seen, _ := widget.Window(body, s.scroll[panePlan], h-1)
	return strings.Join(append(lines, seen...), "\n")
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
