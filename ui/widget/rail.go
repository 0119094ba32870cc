package widget

import (
	"slices"
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// StopState is where a stop of a rail stands.
type StopState int

// States of a stop.
const (
	StopWaiting StopState = iota
	StopActive
	StopDone
	StopFailed
	StopSkipped
)

// Stop is one stop of a rail.
type Stop struct {
	Title string
	// Short stands for Title where not all titles have room.
	Short string
	Note  string // under the title: how long it took, or what it waits for
	State StopState
	// Commit marks a point after which something can no longer be taken back.
	Commit bool
}

// Sign is the sign of a stop.
func (s Stop) Sign() string {
	switch s.State {
	case StopActive:
		return theme.SignActive
	case StopDone:
		return theme.SignPass
	case StopFailed:
		return theme.SignFail
	case StopSkipped:
		return theme.SignSkip
	}
	return theme.SignOff
}

func (s Stop) look(th *theme.Theme) theme.Style {
	switch s.State {
	case StopActive:
		return th.Lead
	case StopDone:
		return th.OK
	case StopFailed:
		return th.Bad
	}
	return th.Faint
}

// Rail draws stops on a line from left to right, three lines high: signs,
// titles, notes. Stops that do not fit lose their titles, last of all the
// one that is active.
func Rail(th *theme.Theme, w int, stops []Stop) string {
	if w <= 0 || len(stops) == 0 {
		return ""
	}
	stops, widths := railWidths(w, stops)
	var line, titles, notes strings.Builder
	for i, s := range stops {
		cw, last := widths[i], i == len(stops)-1
		look := s.look(th)
		line.WriteString(look.Render(s.Sign()))
		if !last {
			bar, barLook := theme.BarEmpty, th.Faint
			if s.State == StopDone || s.State == StopSkipped && stops[i+1].State != StopWaiting {
				bar, barLook = theme.BarFull, th.OK
			}
			line.WriteString(barLook.Render(strings.Repeat(bar, max(0, cw-1))))
		}
		word := th.Muted
		switch s.State {
		case StopActive:
			word = th.Lead
		case StopFailed:
			word = th.Bad
		case StopWaiting, StopSkipped:
			word = th.Faint
		}
		room := cw - 1
		if last {
			room = cw
		}
		titles.WriteString(word.Render(text.Fit(s.Title, room)) + text.Spaces(cw-room))
		notes.WriteString(th.Muted.Render(text.Fit(s.Note, room)) + text.Spaces(cw-room))
	}
	return text.Fit(line.String(), w) + "\n" + text.Fit(titles.String(), w) + "\n" + text.Fit(notes.String(), w)
}

// railWidths shares w cells: each stop gets its title and a gap, the rest is
// dealt out evenly. Where that is too much, gaps go first, then titles become
// short ones, then the widest are cut.
func railWidths(w int, stops []Stop) ([]Stop, []int) {
	out := make([]int, len(stops))
	need := func(gap int) (used int) {
		for i, s := range stops {
			out[i] = max(text.Width(s.Title), text.Width(s.Note)) + gap
			used += out[i]
		}
		return used
	}
	used := need(2)
	if used > w {
		used = need(1)
	}
	if used > w {
		stops = slices.Clone(stops)
		for i := range stops {
			stops[i].Title = text.Or(stops[i].Short, stops[i].Title)
		}
		used = need(1)
	}
	for used > w {
		widest := 0
		for i := range out {
			if out[i] > out[widest] || out[i] == out[widest] && stops[i].State != StopActive {
				widest = i
			}
		}
		if out[widest] <= 2 {
			break
		}
		out[widest]--
		used--
	}
	for i := 0; used < w && len(out) > 1; i = (i + 1) % (len(out) - 1) {
		out[i]++
		used++
	}
	return stops, out
}

// Steps draws stops as lines from top to bottom: sign, title, note.
func Steps(th *theme.Theme, w int, stops []Stop) []string {
	title := 0
	for _, s := range stops {
		title = max(title, text.Width(s.Title))
	}
	title = min(title, max(0, w-4))
	lines := make([]string, 0, len(stops))
	for _, s := range stops {
		word := th.Text
		switch s.State {
		case StopActive:
			word = th.Lead
		case StopWaiting, StopSkipped:
			word = th.Faint
		}
		l := " " + s.look(th).Render(s.Sign()) + " " + word.Render(text.Fit(s.Title, title)) + "  " + th.Muted.Render(s.Note)
		lines = append(lines, text.Fit(l, w))
	}
	return lines
}
