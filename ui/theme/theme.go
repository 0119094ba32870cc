// Package theme turns a small set of tokens into the styles and signs of the
// console. Every colour of the program is named here and nowhere else.
//
// No meaning rests on a colour alone: each state has a sign and a word too, so
// the mono theme, which has only bold, faint and reverse, says as much as the
// others.
package theme

import (
	"strings"

	"charm.land/lipgloss/v2"
)

// Kind is one of the palettes.
type Kind int

// The palettes. Those with 256 are chosen out of the fixed colours, since the
// nearest of them to a free colour is often another hue; Sixteen uses the
// terminal's own colours; Mono uses none.
const (
	Dark Kind = iota
	Light
	Dark256
	Light256
	Sixteen
	LightSixteen
	Mono
)

// Style is a look, ready to be put round a string. The zero Style changes
// nothing.
type Style struct{ open string }

const reset = "\x1b[m"

// Reverse is the cursor in a line that is typed, alike in every theme.
var Reverse = style(lipgloss.NewStyle().Reverse(true))

// Render puts the look round s.
func (s Style) Render(t string) string {
	if s.open == "" || t == "" {
		return t
	}
	return s.open + t + reset
}

// On returns the look on the background of another, for selected rows.
func (s Style) On(background Style) Style { return Style{open: s.open + background.open} }

func style(l lipgloss.Style) Style {
	open, _, found := strings.Cut(l.Render("x"), "x")
	if !found {
		return Style{}
	}
	return Style{open: open}
}

// Theme holds the looks by what they are for.
type Theme struct {
	Kind Kind

	Text   Style // ordinary words
	Strong Style // names, headings
	Muted  Style // labels, units, what is of second rank
	Faint  Style // rules, empty parts of gauges, what is disabled
	Accent Style // the one accent: focus, keys, what moves
	Lead   Style // accent, strong

	OK, Warn, Bad Style

	Select      Style // background of the row under the cursor
	SelectQuiet Style // the same in a pane without focus
	Line        Style // borders
	Stale       Style // numbers older than they should be
}

// tokens are the colours of one palette, as lipgloss reads them.
type tokens struct {
	text, strong, muted, faint, line, accent, ok, warn, bad, sel, selQuiet string
}

var palettes = map[Kind]tokens{
	Dark: {
		text: "#D5D9E0", strong: "#F4F5F7", muted: "#8D95A5", faint: "#565E6E", line: "#3B4252",
		accent: "#B4A5F5", ok: "#8FCBA0", warn: "#E6BE7A", bad: "#EB8585", sel: "#2E3144", selQuiet: "#24272F",
	},
	Light: {
		text: "#2C313A", strong: "#0F1216", muted: "#646C7A", faint: "#9AA2AF", line: "#C9CFD8",
		accent: "#5A45C9", ok: "#2A7A46", warn: "#8F5F00", bad: "#B42F2A", sel: "#E4E0FA", selQuiet: "#EEEFF2",
	},
	Dark256: {
		text: "252", strong: "255", muted: "246", faint: "240", line: "238",
		accent: "147", ok: "114", warn: "179", bad: "210", sel: "237", selQuiet: "235",
	},
	Light256: {
		text: "236", strong: "232", muted: "242", faint: "248", line: "250",
		accent: "61", ok: "28", warn: "94", bad: "124", sel: "189", selQuiet: "255",
	},
	Sixteen: {
		text: "", strong: "15", muted: "7", faint: "8", line: "8",
		accent: "13", ok: "10", warn: "11", bad: "9", sel: "", selQuiet: "",
	},
	LightSixteen: { // bright ones and white cannot be read on white
		text: "", strong: "0", muted: "8", faint: "8", line: "7",
		accent: "5", ok: "2", warn: "3", bad: "1", sel: "", selQuiet: "",
	},
}

// New builds the theme of a palette.
func New(k Kind) *Theme {
	if k == Mono {
		return mono()
	}
	c := palettes[k]
	fg := func(col string) lipgloss.Style {
		s := lipgloss.NewStyle()
		if col != "" {
			s = s.Foreground(lipgloss.Color(col))
		}
		return s
	}
	t := &Theme{
		Kind: k,
		Text: style(fg(c.text)), Strong: style(fg(c.strong).Bold(true)),
		Muted: style(fg(c.muted)), Faint: style(fg(c.faint)), Line: style(fg(c.line)),
		Accent: style(fg(c.accent)), Lead: style(fg(c.accent).Bold(true)),
		OK: style(fg(c.ok)), Warn: style(fg(c.warn)), Bad: style(fg(c.bad)),
		Stale: style(fg(c.faint).Italic(true)),
	}
	if c.sel == "" {
		t.Select = style(lipgloss.NewStyle().Reverse(true))
		return t
	}
	t.Select = style(lipgloss.NewStyle().Background(lipgloss.Color(c.sel)))
	t.SelectQuiet = style(lipgloss.NewStyle().Background(lipgloss.Color(c.selQuiet)))
	return t
}

func mono() *Theme {
	bold := style(lipgloss.NewStyle().Bold(true))
	return &Theme{
		Kind: Mono, Strong: bold, Lead: bold, Accent: bold, Bad: bold,
		Faint:  style(lipgloss.NewStyle().Faint(true)),
		Select: style(lipgloss.NewStyle().Reverse(true)),
		Stale:  style(lipgloss.NewStyle().Faint(true)),
	}
}
