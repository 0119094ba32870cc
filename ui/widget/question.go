package widget

import (
	"slices"
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// maxSecret bounds one answer.
const maxSecret = 1000

// AnswerField is one thing that is wanted; a hidden one shows how much was
// typed at most by dots.
type AnswerField struct {
	Prompt string
	Hidden bool
}

// Question asks for answers that only a person has. Enter goes to the next
// field, and after the last one answers; esc declines. What is typed is kept as
// it is, spaces included, and never drawn if it is hidden.
type Question struct {
	Title  string
	Lines  []string
	Fields []AnswerField

	values []string
	at     int
}

// Values are the answers so far, one for each field.
func (q Question) Values() []string {
	return append(slices.Clone(q.values), make([]string, max(0, len(q.Fields)-len(q.values)))...)
}

// Key implements Modal.
func (q Question) Key(key, typed string) (Modal, Answer) {
	q.values = q.Values()
	switch key {
	case "esc", "ctrl+c":
		return q, refused
	case "enter":
		if q.values[q.at] == "" {
			return q, Answer{}
		}
		if q.at++; q.at == len(q.Fields) {
			q.at = len(q.Fields) - 1
			return q, Answer{Done: true, Yes: true}
		}
	case "up", "shift+tab":
		q.at = max(0, q.at-1)
	case "down", "tab":
		q.at = min(len(q.Fields)-1, q.at+1)
	case "backspace", "ctrl+h":
		if r := []rune(q.values[q.at]); len(r) > 0 {
			q.values[q.at] = string(r[:len(r)-1])
		}
	case "ctrl+u":
		q.values[q.at] = ""
	default:
		q.insert(typed)
	}
	return q, Answer{}
}

func (q *Question) insert(s string) {
	if len(q.values[q.at])+len(s) <= maxSecret && !strings.ContainsAny(s, "\r\n\x00") {
		q.values[q.at] += s
	}
}

// Paste implements Modal: a secret may be pasted, without its line break.
func (q Question) Paste(s string) Modal {
	q.values = q.Values()
	q.insert(strings.TrimRight(s, "\r\n"))
	return q
}

// View implements Modal.
func (q Question) View(th *theme.Theme, w, h int) string {
	bw := boxWidth(66, w)
	inner := bw - 4
	lines := []string{""}
	for _, l := range q.Lines {
		for _, p := range text.Wrap(text.Clean(l), inner-1) {
			lines = append(lines, " "+th.Text.Render(p))
		}
	}
	lines = append(lines, "")
	values := q.Values()
	var fields []string
	for i, f := range q.Fields {
		shown := text.Clean(values[i])
		if f.Hidden {
			shown = strings.Repeat("*", min(len([]rune(values[i])), 32))
		}
		look, cursor := th.Muted, ""
		if i == q.at {
			look, cursor = th.Accent, theme.Reverse.Render(" ")
		}
		prompt := text.Cut(text.Clean(strings.TrimRight(f.Prompt, ": ")), max(1, inner/2))
		room := max(1, inner-text.Width(prompt)-5)
		fields = append(fields, " "+look.Render(prompt+" › ")+th.Text.Render(text.CutLeft(shown, room))+cursor)
	}
	fields = append(fields, "", " "+th.Muted.Render("enter answers, esc declines"), "")
	if keep := max(0, h-2-len(fields)); len(lines) > keep {
		lines = lines[:keep]
	}
	return Box(th, bw, q.Title, th.Accent, append(lines, fields...))
}
