// Package model holds the values that travel between the parts of Horcrux:
// nodes, VMs, plans, jobs, checks. It has no behaviour beyond reading its own
// fields, talks to nobody, and every value may be copied freely between
// goroutines: nothing in it points at live state.
//
// Strings that came from a host have been cleaned of control characters where
// they entered the program (engine/virt, engine/transport), so a screen may
// show them as they are.
package model

import "time"

// NodeName is the name of a node in the configuration.
type NodeName string

// UUID identifies a domain: 36 characters, lower case, with dashes.
type UUID string

// JobID identifies one move. It is made by us, [a-z0-9-] only, safe as a file
// name, and unique prefixes of it are accepted wherever a job is named.
type JobID string

// Mode is one of the four ways to move a VM.
type Mode string

// The four modes.
const (
	ModeLive    Mode = "live"
	ModeOnline  Mode = "online"
	ModeOffline Mode = "offline"
	ModeBlock   Mode = "block"
)

// MovesMemory tells that a move of this mode sends the memory of a running
// guest; f is how a block move ends.
func (m Mode) MovesMemory(f Finish) bool {
	return m != ModeOffline && (m != ModeBlock || f != FinishStop)
}

// Modes lists them in the order in which they are offered.
var Modes = []Mode{ModeLive, ModeOnline, ModeOffline, ModeBlock}

// Valid tells whether m is one of the four.
func (m Mode) Valid() bool {
	for _, k := range Modes {
		if m == k {
			return true
		}
	}
	return false
}

// Verdict is the outcome of one check or of one point of a pre-flight.
type Verdict string

// Verdicts, from best to worst; Skip says that there was nothing to check.
const (
	Pass Verdict = "pass"
	Skip Verdict = "skip"
	Warn Verdict = "warn"
	Fail Verdict = "fail"
)

// Worse returns the worse of two verdicts.
func (v Verdict) Worse(w Verdict) Verdict {
	if w.rank() > v.rank() {
		return w
	}
	return v
}

func (v Verdict) rank() int {
	switch v {
	case Warn:
		return 1
	case Fail:
		return 2
	}
	return 0
}

// Age is how old a fact is at now; negative ages (clock steps) count as zero.
func Age(seen, now time.Time) time.Duration {
	if d := now.Sub(seen); d > 0 {
		return d
	}
	return 0
}
