package ui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"horcrux/ui/text"
)

// maxNotify bounds a notice of the desktop, which shows a line or two.
const maxNotify = 200

// ring tells the terminal that a move has ended or needs somebody, in the way
// that the configuration names.
func (a *app) ring(line string) tea.Cmd {
	s := notice(a.opt.Config.UI.Notify, line)
	if s == "" {
		return nil
	}
	return tea.Raw(s)
}

// notice is what a terminal is sent. The words are cleaned: a name with an
// escape in it would end the sequence and begin another.
func notice(how, line string) string {
	line = text.Cut(strings.ReplaceAll(text.Clean(line), ";", ","), maxNotify)
	switch how {
	case "off":
		return ""
	case "osc9":
		return "\x1b]9;" + line + "\x07"
	case "osc777":
		return "\x1b]777;notify;horcrux;" + line + "\x07"
	}
	return "\a"
}
