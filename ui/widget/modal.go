package widget

import "horcrux/ui/theme"

// Modal is what lies over a screen and takes every key until it is answered.
type Modal interface {
	// Key applies a key: its name, and the text it types if any.
	Key(key, typed string) (Modal, Answer)
	// Paste takes pasted text, if there is a field for it.
	Paste(s string) Modal
	// View draws the box, at most w by h cells.
	View(th *theme.Theme, w, h int) string
}

// Answer is what came of a key in a Modal. The zero value is: not yet.
type Answer struct {
	Done bool // it closes
	Yes  bool // it closes with consent
	// Value is what was typed or the ID of what was chosen.
	Value string
}

// refused closes without consent; esc always comes to this.
var refused = Answer{Done: true}

// boxWidth is the width of a box that wants so many cells.
func boxWidth(want, w int) int { return max(4, min(want, w-2)) }
