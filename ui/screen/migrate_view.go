package screen

import (
	"fmt"
	"slices"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// View implements Screen.
func (s *Migrate) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	parts := []string{s.head(w), "", s.targetView(w), ""}
	parts = append(parts, s.choices(w)...)
	parts = append(parts, "")
	page := strings.Join(parts, "\n")
	if room := h - strings.Count(page, "\n") - 1; room > 0 {
		page += "\n" + s.detail(w, room)
	}
	return text.Block(page, w, h)
}

// deepest is how far the details can be scrolled.
func (s *Migrate) deepest() int {
	w, h := s.env.W, s.env.H
	room := h - (4 + max(2, len(s.targets)+1) + len(s.choices(w)))
	left, right := s.details(w)
	return max(0, max(len(left), len(right))-room)
}

func (s *Migrate) head(w int) string {
	th := s.env.Theme
	if len(s.vms) != 1 {
		names := make([]string, len(s.vms))
		for i, v := range s.vms {
			names[i] = name(v.Name)
		}
		return text.Fit(" "+th.Strong.Render(s.subject())+th.Muted.Render("  "+strings.Join(names, ", ")), w)
	}
	v := s.vms[0]
	if now, ok := s.env.VM(v.UUID, v.Node); ok {
		v = now
	}
	l := vmLook(s.env, v)
	return text.Fit(" "+th.Strong.Render(name(v.Name))+"  "+l.render()+th.Muted.Render(fmt.Sprintf(" on %s, %s, %s, %s",
		name(v.Node), text.Count(v.VCPUs, "vCPU"), text.Bytes(v.Memory), text.Count(len(v.Disks), "disk"))), w)
}

func (s *Migrate) targetView(w int) string {
	th := s.env.Theme
	t := widget.Table{Heading: true, Focus: true, Empty: "there is no other node", Columns: []widget.Column{
		{Title: "TARGET", Width: 14, Min: 9},
		{Title: "pre-flight", Width: 12, Min: 11},
		{Title: "first reason", Width: 40, Min: 34, Grow: 1},
		{Title: "free memory", Width: 11, Right: true, Rank: 2},
		{Title: "to copy", Width: 9, Right: true, Rank: 3},
		{Title: "forecast", Width: 9, Right: true, Rank: 1},
	}}
	return t.View(th, w, max(2, len(s.targets)+1), s.list, len(s.targets), func(i int) widget.Row {
		to := s.targets[i]
		n, _ := s.env.Node(to)
		v, pending, reason := s.verdict(to)
		l := verdictLook(th, v)
		why := widget.Cell{Text: text.Or(reason, "nothing stands against it"), Style: th.Text}
		copyBytes, forecast := "-", "-"
		if p, ok := s.plans[planKey{s.vms[0].UUID, to}]; ok && !p.pending && len(s.vms) == 1 && p.err == nil {
			copyBytes = text.Bytes(p.plan.CopyBytes)
			if p.plan.CopyBytes == 0 {
				copyBytes = "none"
			}
			if forecast = "no rate"; p.plan.Forecast > 0 {
				forecast = text.Clock(p.plan.Forecast)
			}
		}
		if pending > 0 {
			l = look{sign: theme.SignHalf, word: "checking", style: th.Muted}
			why = widget.Cell{Text: "the pre-flight is under way", Style: th.Faint}
			if len(s.vms) > 1 {
				why.Text = fmt.Sprintf("%d of %d VMs still to be checked", pending, len(s.vms))
			}
		}
		return widget.Row{Cells: []widget.Cell{
			{Text: name(to), Style: th.Strong},
			{Text: l.String(), Style: l.style},
			why,
			numberCell(s.env, s.env.Fresh(n.Seen), text.Bytes(n.MemFree)),
			{Text: copyBytes, Style: th.Muted},
			{Text: forecast, Style: th.Text},
		}}
	})
}

// shown is the pre-flight whose details are shown: that of the first VM with
// the worst verdict on the target under the cursor.
func (s *Migrate) shown() (planned, bool) {
	var best planned
	found := false
	for _, v := range s.vms {
		p, ok := s.plans[planKey{v.UUID, s.target()}]
		if !ok || p.pending {
			continue
		}
		if !found || best.err == nil && best.plan.Verdict().Worse(p.plan.Verdict()) != best.plan.Verdict() {
			best, found = p, true
		}
	}
	return best, found
}

// detail is what the pre-flight of the target found, and the plan.
func (s *Migrate) detail(w, h int) string {
	th := s.env.Theme
	left, right := s.details(w)
	if right == nil {
		return strings.Join(widget.Scrolled(th, left, s.scroll, h), "\n")
	}
	lw, _ := detailSides(w)
	return text.Beside(strings.Join(widget.Scrolled(th, left, s.scroll, h), "\n"), lw, 3,
		strings.Join(widget.Scrolled(th, right, s.scroll, h), "\n"))
}

// detailSides are the widths of findings and plan where they stand side by side.
func detailSides(w int) (left, right int) {
	left = w*11/20 - 2
	return left, w - left - 3
}

// details are all lines of detail; the second column only where there is room
// for two.
func (s *Migrate) details(w int) (left, right []string) {
	th := s.env.Theme
	p, ok := s.shown()
	if !ok {
		if why := s.blocked(s.target()); why != "" {
			return []string{" " + th.Muted.Render(text.Cut(why, w-2))}, nil
		}
		return nil, nil
	}
	title := ""
	if len(s.vms) > 1 {
		title = name(p.plan.VMName) + ", "
	}
	if p.err != nil {
		lines := []string{" " + th.Bad.Render(theme.SignFail+" "+title+"no plan could be made")}
		for _, l := range text.Wrap(name(p.err.Error()), w-4) {
			lines = append(lines, "   "+th.Text.Render(l))
		}
		return lines, nil
	}
	if w >= 110 {
		lw, rw := detailSides(w)
		return s.findings(p.plan, title, lw), slices.Concat(s.diskLines(p.plan, rw), s.forecast(p.plan, rw), s.steps(p.plan, rw))
	}
	all := append(s.findings(p.plan, title, w), "")
	return slices.Concat(all, s.diskLines(p.plan, w), s.forecast(p.plan, w), s.steps(p.plan, w)), nil
}

func (s *Migrate) findings(p model.Plan, title string, w int) []string {
	th := s.env.Theme
	lines := []string{" " + th.Strong.Render("PRE-FLIGHT") + th.Muted.Render("  "+title+"made at "+p.Made.Format("15:04:05"))}
	wide := 0
	for _, f := range p.Findings {
		wide = max(wide, text.Width(name(f.Title)))
	}
	wide = min(wide, max(8, w*3/10))
	for _, v := range []model.Verdict{model.Fail, model.Warn, model.Skip, model.Pass} {
		for _, f := range p.Findings {
			if f.Verdict != v {
				continue
			}
			l := verdictLook(th, v)
			lead := " " + l.style.Render(l.String()) + "  " + th.Text.Render(text.Fit(name(f.Title), wide)) + "  "
			at := text.Width(lead)
			for i, part := range text.Wrap(name(f.Detail), max(10, w-at)) {
				if i > 0 {
					lead = text.Spaces(at)
				}
				lines = append(lines, lead+th.Muted.Render(part))
			}
			if f.Detail == "" {
				lines = append(lines, lead)
			}
			for i, part := range text.Wrap(name(f.Remedy), max(10, w-at-2)) {
				sign := th.Accent.Render(theme.SignMove) + " "
				if i > 0 {
					sign = "  "
				}
				lines = append(lines, text.Spaces(at)+sign+th.Text.Render(part))
			}
		}
	}
	return lines
}

func (s *Migrate) diskLines(p model.Plan, w int) []string {
	th := s.env.Theme
	lines := []string{" " + th.Strong.Render("DISKS")}
	if len(p.Disks) == 0 {
		return append(lines, " "+th.Muted.Render("it has none"))
	}
	for _, d := range p.Disks {
		l := look{sign: theme.SignUnknown, word: name(d.Decision), style: th.Muted}
		switch d.Decision {
		case model.DiskShared:
			l = look{sign: theme.SignPass, word: "shared", style: th.OK}
		case model.DiskCopy:
			l = look{sign: theme.SignMove, word: "copy", style: th.Accent}
		case model.DiskPresent: // there by its name alone, not compared
			l = look{sign: theme.SignUnknown, word: "present", style: th.Warn}
		case model.DiskEmpty:
			l = look{sign: theme.SignOff, word: "empty", style: th.Muted}
		case model.DiskRefuse:
			l = look{sign: theme.SignFail, word: "refuse", style: th.Bad}
		}
		size := "-"
		if d.Capacity > 0 {
			size = text.Bytes(d.Capacity)
		}
		lead := " " + l.style.Render(text.Fit(l.String(), 8)) + "  " + th.Strong.Render(text.Fit(name(d.Target), 5)) + " " + th.Text.Render(text.FitRight(size, 8)) + "  "
		at := text.Width(lead)
		why := name(d.Reason)
		if d.Path != "" {
			why += "; to " + name(d.Path)
			if d.Create {
				why += ", made for it"
			}
		}
		for i, part := range text.Wrap(why, max(10, w-at)) {
			if i > 0 {
				lead = text.Spaces(at)
			}
			lines = append(lines, lead+th.Muted.Render(part))
		}
	}
	return lines
}

// forecast is how long it will take, between lines of air.
func (s *Migrate) forecast(p model.Plan, w int) []string {
	th := s.env.Theme
	lines, lead := []string{""}, " "+th.Strong.Render("FORECAST")+"  "
	for _, part := range text.Wrap(forecastWords(p), max(10, w-12)) {
		lines = append(lines, lead+th.Muted.Render(part))
		lead = text.Spaces(11)
	}
	return append(lines, "")
}

// forecastWords say what the forecast is made of, or why there is none.
func forecastWords(p model.Plan) string {
	switch {
	case p.Forecast > 0 && p.Options.Bandwidth > 0:
		return fmt.Sprintf("about %s, at no more than %s", text.Clock(p.Forecast), bandwidthWord(p.Options.Bandwidth))
	case p.Forecast > 0:
		return "about " + text.Clock(p.Forecast)
	case p.CopyBytes+p.Memory == 0:
		return "nothing is to be sent"
	}
	return "none: the rate shows once it moves; with a limit (b) there is one now"
}

func (s *Migrate) steps(p model.Plan, w int) []string {
	th := s.env.Theme
	lines := []string{" " + th.Strong.Render("PLAN")}
	last := model.PhaseID("")
	for _, st := range p.Steps {
		title := ""
		if st.Phase != last {
			title, last = model.PhaseTitles[st.Phase], st.Phase
		}
		lead := " " + th.Accent.Render(text.Fit(title, 11)) + "  "
		for i, part := range text.Wrap(name(st.Text), max(10, w-14)) {
			if i > 0 {
				lead = text.Spaces(14)
			}
			lines = append(lines, lead+th.Text.Render(part))
		}
	}
	return lines
}
