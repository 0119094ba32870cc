// Package bind holds what keys do as data: each screen names its actions with
// their keys, words, class and, when they cannot be done now, the reason why.
//
// The footer, the help and the list of actions are made from the same data
// that decides what a key does, so they cannot disagree. Screens never see the
// keys of their actions: they get the ID of the action.
package bind

import "slices"

// Class says how an action is guarded.
type Class int

// The classes. Free actions happen at once; Asked ones open a question whose
// safe answer is the default; Typed ones want the name of the VM typed.
const (
	Free Class = iota
	Asked
	Typed
)

// Mark is the word for a class in the help.
func (c Class) Mark() string {
	switch c {
	case Asked:
		return "asks first"
	case Typed:
		return "wants the name typed"
	}
	return ""
}

// Action is one thing that can be done here.
type Action struct {
	ID   string
	Keys []string // names as Bubble Tea writes them
	Show string   // how the keys are shown; Keys[0] if empty
	// Title is the word in the footer, Help the sentence in the help.
	Title, Help string
	Group       string
	Class       Class
	// Rank orders the footer, best first; 0 keeps the action out of it.
	Rank int
	// Disabled says why the action cannot be done now; empty when it can.
	Disabled string
}

// Label is how the key of the action is shown.
func (a Action) Label() string {
	if a.Show != "" {
		return a.Show
	}
	if len(a.Keys) == 0 {
		return ""
	}
	return a.Keys[0]
}

// Scope is the actions of one screen, or those that hold everywhere.
type Scope []Action

// Find returns the action of a key. A key may have two actions of which one
// is disabled; the other one wins.
func (s Scope) Find(key string) (Action, bool) {
	var found Action
	ok := false
	for _, a := range s {
		if !slices.Contains(a.Keys, key) {
			continue
		}
		if a.Disabled == "" {
			return a, true
		}
		if !ok {
			found, ok = a, true
		}
	}
	return found, ok
}

// Footer returns at most n enabled actions, those that matter most first.
func (s Scope) Footer(n int) []Action {
	var out []Action
	for _, a := range s {
		if a.Rank > 0 && a.Disabled == "" {
			out = append(out, a)
		}
	}
	slices.SortStableFunc(out, func(a, b Action) int { return a.Rank - b.Rank })
	if len(out) > n {
		out = out[:n]
	}
	return out
}

// Groups returns the names of the groups in their order of appearance.
func (s Scope) Groups() []string {
	var out []string
	for _, a := range s {
		if !slices.Contains(out, a.Group) {
			out = append(out, a.Group)
		}
	}
	return out
}

// Move is the scope of moving about a list; every screen with a list has it.
func Move() Scope {
	const g = "move"
	return Scope{
		{ID: "down", Keys: []string{"j", "down"}, Show: "j ↓", Title: "down", Help: "next line", Group: g},
		{ID: "up", Keys: []string{"k", "up"}, Show: "k ↑", Title: "up", Help: "previous line", Group: g},
		{ID: "top", Keys: []string{"g", "home"}, Show: "g home", Title: "top", Help: "first line", Group: g},
		{ID: "bottom", Keys: []string{"G", "end"}, Show: "G end", Title: "bottom", Help: "last line", Group: g},
		{ID: "half-down", Keys: []string{"ctrl+d", "pgdown"}, Show: "ctrl-d pgdn", Title: "page down", Help: "down by half a page", Group: g},
		{ID: "half-up", Keys: []string{"ctrl+u", "pgup"}, Show: "ctrl-u pgup", Title: "page up", Help: "up by half a page", Group: g},
	}
}
