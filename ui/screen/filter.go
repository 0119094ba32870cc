package screen

import (
	"strings"

	"github.com/sahilm/fuzzy"

	"horcrux/engine/model"
	"horcrux/ui/theme"
)

// filter narrows a list of VMs. Words are joined by and; `!` turns one round;
// `node:`, `state:`, `name:` and `tag:` look at that alone.
type filter struct {
	words []filterWord
	// states are the words for each state that was met: making them for ten
	// thousand VMs anew would be felt at every letter typed.
	states map[stateKey]string
}

type stateKey struct {
	state                      model.DomainState
	tombstone, arriving, moves bool
}

type filterWord struct {
	field, text string
	not         bool
}

func parseFilter(s string) filter {
	f := filter{states: map[stateKey]string{}}
	for _, w := range strings.Fields(strings.ToLower(s)) {
		var fw filterWord
		w, fw.not = strings.CutPrefix(w, "!")
		if field, rest, ok := strings.Cut(w, ":"); ok && (field == "node" || field == "state" || field == "name" || field == "tag") {
			fw.field, w = field, rest
		}
		fw.text = w
		if w != "" {
			f.words = append(f.words, fw)
		}
	}
	return f
}

func (f filter) empty() bool { return len(f.words) == 0 }

func (f filter) matches(v *model.VM) bool {
	for _, w := range f.words {
		if w.matches(v, f.stateWords) == w.not {
			return false
		}
	}
	return true
}

func (w filterWord) matches(v *model.VM, stateWords func(*model.VM) string) bool {
	has := func(s string) bool { return strings.Contains(strings.ToLower(s), w.text) }
	switch w.field {
	case "node":
		return has(string(v.Node))
	case "state":
		return has(stateWords(v))
	case "name":
		return has(v.Name)
	case "tag":
		return hasTag(v, w.text)
	}
	if t, ok := strings.CutPrefix(w.text, "#"); ok {
		return hasTag(v, t)
	}
	if has(v.Name) || has(string(v.Node)) || has(stateWords(v)) || strings.HasPrefix(string(v.UUID), w.text) {
		return true
	}
	for _, a := range v.Addresses {
		if has(a) {
			return true
		}
	}
	return false
}

// hasTag tells whether a tag begins with these letters.
func hasTag(v *model.VM, start string) bool {
	for _, t := range v.Tags {
		if strings.HasPrefix(t, start) {
			return true
		}
	}
	return false
}

var plainTheme = theme.New(theme.Mono)

func (f filter) stateWords(v *model.VM) string {
	k := stateKey{v.State, v.Tombstone, v.Arriving, v.Job != ""}
	words, ok := f.states[k]
	if !ok {
		words = stateWords(v)
		f.states[k] = words
	}
	return words
}

func stateWords(v *model.VM) string {
	s := string(v.State)
	if shown := domainLook(plainTheme, v.State).word; shown != s {
		s += " " + shown
	}
	if v.Tombstone {
		s = "left behind tombstone"
	}
	if v.Arriving {
		s = "arriving"
	}
	if v.Job != "" {
		s += " moving"
	}
	return s
}

// vmNames lets the fuzzy search read the names without a copy of them.
type vmNames []*model.VM

// String implements fuzzy.Source.
func (n vmNames) String(i int) string { return n[i].Name }

// Len implements fuzzy.Source.
func (n vmNames) Len() int { return len(n) }

// apply returns the indices of the VMs that pass. When a single plain word
// passes none, the names that have its letters in order do, best first; fuzzy
// tells so.
func (f filter) apply(vms []*model.VM) (order []int, isFuzzy bool) {
	order = make([]int, 0, len(vms))
	if f.empty() {
		for i := range vms {
			order = append(order, i)
		}
		return order, false
	}
	for i := range vms {
		if f.matches(vms[i]) {
			order = append(order, i)
		}
	}
	if len(order) > 0 || len(f.words) != 1 || f.words[0].not || f.words[0].field != "" {
		return order, false
	}
	for _, m := range fuzzy.FindFrom(f.words[0].text, vmNames(vms)) {
		order = append(order, m.Index)
	}
	return order, true
}
