package widget

import (
	"strings"
	"unicode"

	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// maxInput bounds what can be typed or pasted into a line.
const maxInput = 500

// Input is one line that is typed. The zero value is empty and ready.
type Input struct {
	runes []rune
	at    int
	// offered tells that the text is a proposal that nobody has touched.
	offered bool
}

// Suggest holds a proposal: what is typed first takes its place, and any key
// that moves in it or takes from it keeps it.
func Suggest(s string) Input {
	i := NewInput(s)
	i.offered = len(i.runes) > 0
	return i
}

// NewInput holds s with the cursor at its end.
func NewInput(s string) Input {
	r := []rune(text.Clean(s))
	return Input{runes: r, at: len(r)}
}

// Value is what was typed.
func (i Input) Value() string { return string(i.runes) }

// Insert puts typed or pasted text at the cursor.
func (i Input) Insert(s string) Input {
	add := []rune(text.Clean(s))
	if i.offered && len(add) > 0 && add[0] != ' ' {
		i.runes, i.at = nil, 0
	}
	if len(add) == 0 || len(i.runes)+len(add) > maxInput {
		return i
	}
	r := make([]rune, 0, len(i.runes)+len(add))
	r = append(append(append(r, i.runes[:i.at]...), add...), i.runes[i.at:]...)
	return Input{runes: r, at: i.at + len(add)}
}

// Key applies a key: its name, and the text it types if any. It tells whether
// the key meant something to a line.
func (i Input) Key(key, typed string) (Input, bool) {
	if typed == "" {
		i.offered = false
	}
	switch key {
	case "left", "ctrl+b":
		i.at = max(0, i.at-1)
	case "right", "ctrl+f":
		i.at = min(len(i.runes), i.at+1)
	case "home", "ctrl+a":
		i.at = 0
	case "end", "ctrl+e":
		i.at = len(i.runes)
	case "backspace", "ctrl+h":
		if i.at > 0 {
			i = i.without(i.at-1, i.at)
		}
	case "delete":
		if i.at < len(i.runes) {
			i = i.without(i.at, i.at+1)
		}
	case "ctrl+u":
		i = i.without(0, i.at)
	case "ctrl+k":
		i = i.without(i.at, len(i.runes))
	case "ctrl+w":
		from := i.at
		for from > 0 && unicode.IsSpace(i.runes[from-1]) {
			from--
		}
		for from > 0 && !unicode.IsSpace(i.runes[from-1]) {
			from--
		}
		i = i.without(from, i.at)
	default:
		if typed == "" {
			return i, false
		}
		return i.Insert(typed), true
	}
	return i, true
}

func (i Input) without(from, to int) Input {
	r := make([]rune, 0, len(i.runes))
	r = append(append(r, i.runes[:from]...), i.runes[to:]...)
	return Input{runes: r, at: from}
}

// View draws the line in w cells with its cursor, showing the part round it.
func (i Input) View(th *theme.Theme, w int) string {
	if w <= 0 {
		return ""
	}
	left, right := string(i.runes[:i.at]), string(i.runes[i.at:])
	under := " "
	if i.at < len(i.runes) {
		under, right = string(i.runes[i.at]), string(i.runes[i.at+1:])
	}
	left = text.CutLeft(left, max(0, w-text.Width(under)))
	look := th.Text
	if i.offered {
		look = th.Text.On(th.Select)
	}
	s := look.Render(left) + theme.Reverse.Render(under)
	return text.Fit(s+th.Text.Render(text.Cut(right, max(0, w-text.Width(left)-text.Width(under)))), w)
}

// Empty tells that nothing was typed but spaces.
func (i Input) Empty() bool { return strings.TrimSpace(i.Value()) == "" }
