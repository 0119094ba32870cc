package ui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/screen"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// frame is how a window is shared out round the page.
type frame struct {
	w, body  int
	top      int  // lines over the page
	spare    bool // a line of air under the page, which notices may use
	tooSmall bool
}

// frameFor shares out a window; it depends on nothing but the size.
func frameFor(w, h int) frame {
	f := frame{w: w, top: 1, tooSmall: w < minWidth || h < minHeight}
	used := 2
	if h >= 24 {
		f.top, used = 2, used+1
	}
	if h >= 30 {
		f.spare, used = true, used+1
	}
	f.body = max(0, h-used)
	return f
}

func (a *app) tooSmall() bool { return frameFor(a.w, a.h).tooSmall }

// View implements tea.Model.
func (a *app) View() tea.View {
	if a.still && a.picture != nil {
		return *a.picture
	}
	// The picture is handed over as soon as it is drawn, however long that takes.
	defer a.pulse.beat()
	v := tea.NewView(a.content())
	v.AltScreen, v.ReportFocus = true, true
	v.WindowTitle = a.windowTitle()
	if a.mouse {
		v.MouseMode = tea.MouseModeCellMotion
	}
	a.picture = &v
	return v
}

// content is the whole screen: exactly h lines of at most w cells.
func (a *app) content() string {
	if a.w <= 0 || a.h <= 0 {
		return ""
	}
	f := frameFor(a.w, a.h)
	if f.tooSmall {
		s := fmt.Sprintf("horcrux needs %dx%d, this window is %dx%d", minWidth, minHeight, a.w, a.h)
		lines := text.Wrap(s, a.w)
		return strings.Join(lines[:min(len(lines), a.h)], "\n")
	}
	th := a.env.Theme
	lines := []string{a.topLine(f.w)}
	for len(lines) < f.top {
		lines = append(lines, "")
	}
	lines = append(lines, text.Block(a.top().View(f.w, f.body), f.w, f.body))
	toasts := a.toastLines(f.w)
	if f.spare {
		line := ""
		if len(toasts) > 0 {
			line = toasts[len(toasts)-1]
		}
		lines = append(lines, line, a.footer(f.w))
	} else if len(toasts) > 0 {
		lines = append(lines, toasts[len(toasts)-1])
	} else {
		lines = append(lines, a.footer(f.w))
	}
	page := strings.Join(lines, "\n")
	if a.modal.box != nil {
		page = widget.Over(th, page, a.modal.box.View(th, a.w, a.h), a.w, a.h)
	}
	if a.ascii {
		page = theme.ToASCII(page)
	}
	return page
}

// topLine is the trail on the left and the state of the whole on the right.
func (a *app) topLine(w int) string {
	th := a.env.Theme
	trail := a.trail()
	left := " " + th.Lead.Render(trail[0])
	for i, t := range trail[1:] {
		look := th.Muted
		if i == len(trail)-2 {
			look = th.Strong
		}
		left += th.Faint.Render(" "+theme.SignCrumb+" ") + look.Render(t)
	}
	return text.Justify(left, a.summary(w >= 100)+" ", w)
}

// summary is the state of the whole; the short form keeps to what is wrong and
// what moves.
func (a *app) summary(long bool) string {
	th, c := a.env.Theme, a.env.Cluster
	up, running := 0, 0
	for i := range c.Nodes {
		if s := c.Nodes[i].State; s == model.NodeUp || s == model.NodeBusy {
			up++
		}
	}
	for i := range c.VMs {
		if c.VMs[i].State == model.StateRunning {
			running++
		}
	}
	s := th.Muted.Render(text.Count(len(c.Nodes), "node") + " up")
	if up < len(c.Nodes) {
		s = th.Bad.Render(fmt.Sprintf("%s %d of %d nodes up", theme.SignWarn, up, len(c.Nodes)))
	}
	if long {
		s += th.Muted.Render(", " + text.Count(running, "VM") + " running")
	}
	moving, waiting := 0, 0
	for _, j := range a.env.Jobs {
		switch {
		case screen.Ticking(j):
			moving++
		case !j.State.Ended():
			waiting++
		}
	}
	if moving > 0 {
		s += th.Muted.Render(", ") + th.Accent.Render(text.Count(moving, "move"))
	}
	if waiting > 0 {
		s += th.Muted.Render(", ") + th.Warn.Render(fmt.Sprintf("%s %d for you", theme.SignWarn, waiting))
	}
	return s
}

// footer is up to six keys that matter now; what does not fit goes, the last
// first.
func (a *app) footer(w int) string {
	th := a.env.Theme
	const help = "? keys  q quit"
	right := th.Accent.Render("?") + th.Muted.Render(" keys  ") + th.Accent.Render("q") + th.Muted.Render(" quit ")
	var b strings.Builder
	used := 1
	b.WriteByte(' ')
	if a.top().Typing() {
		esc, words := "leave it", ""
		if h, ok := a.top().(screen.Hinter); ok {
			esc, words = h.Hint()
		}
		return " " + text.Fit(th.Accent.Render("enter")+th.Muted.Render(" keep   ")+th.Accent.Render("esc")+th.Muted.Render(" "+esc+"   ")+
			th.Faint.Render(words), w-1)
	}
	for _, act := range footerOf(a.top().Scope()) {
		n := text.Width(act.Label()) + 1 + text.Width(act.Title) + 3
		if used+n > w-text.Width(help)-2 {
			break
		}
		used += n
		b.WriteString(th.Accent.Render(act.Label()) + " " + th.Muted.Render(act.Title) + "   ")
	}
	return text.Justify(b.String(), right, w)
}

func footerOf(s bind.Scope) []bind.Action { return s.Footer(6) }

func (a *app) toastLines(w int) []string {
	out := make([]string, 0, len(a.toasts))
	for _, t := range a.toasts {
		out = append(out, " "+t.Render(a.env.Theme, w-2))
	}
	return out
}

// windowTitle names what is open, with the move under way.
func (a *app) windowTitle() string {
	for _, j := range a.env.Jobs {
		if screen.Ticking(j) {
			return text.Clean("horcrux: " + screen.Caption(j))
		}
	}
	return text.Clean("horcrux: " + a.top().Title())
}
