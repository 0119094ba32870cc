package screen

import (
	"slices"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// healthView is the checks of a VM as they come.
type healthView struct {
	running bool
	began   time.Time
	ended   time.Time
	checks  []model.CheckResult
	err     error
}

func (v healthView) news(m HealthNews, now time.Time) healthView {
	switch {
	case m.Done:
		v.running, v.err, v.ended = false, m.Err, now
	case m.Check != nil:
		v.checks = slices.DeleteFunc(slices.Clone(v.checks), func(c model.CheckResult) bool { return c.Check == m.Check.Check })
		v.checks = append(v.checks, *m.Check)
	}
	return v
}

func (v healthView) lines(e *Env, vm model.VM, w int) []string {
	th := e.Theme
	if v.began.IsZero() {
		return []string{" " + th.Muted.Render("the eight checks have not been made yet; ") + th.Accent.Render("e") + th.Muted.Render(" makes them now on "+name(vm.Node))}
	}
	var lines []string
	switch {
	case v.running:
		lines = append(lines, " "+th.Accent.Render(theme.SignActive)+th.Text.Render(" checking on "+name(vm.Node)+" …"))
	case v.err != nil:
		for i, l := range text.Wrap(name(v.err.Error()), w-4) {
			sign := "  "
			if i == 0 {
				sign = theme.SignFail + " "
			}
			lines = append(lines, " "+th.Bad.Render(sign+l))
		}
	default:
		worst := model.Pass
		for _, c := range v.checks {
			worst = worst.Worse(c.Verdict)
		}
		l := verdictLook(th, worst)
		lines = append(lines, " "+l.render()+th.Muted.Render("  made "+text.Ago(v.ended, e.Now)+" in "+text.Duration(v.ended.Sub(v.began))+"; e makes them again"))
	}
	lines = append(lines, "")
	wide := 0
	for _, c := range v.checks {
		wide = max(wide, text.Width(name(c.Title)))
	}
	for _, c := range v.checks {
		l := verdictLook(th, c.Verdict)
		lead := " " + l.style.Render(text.Fit(l.String(), 8)) + th.Strong.Render(text.Fit(name(c.Title), wide)) + "  " +
			th.Muted.Render(text.FitRight(text.Duration(c.Duration), 7)) + "  "
		at := text.Width(lead)
		for i, part := range text.Wrap(name(c.Evidence), max(10, w-at)) {
			if i > 0 {
				lead = text.Spaces(at)
			}
			lines = append(lines, lead+th.Text.Render(part))
		}
	}
	return lines
}
