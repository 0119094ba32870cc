// Package screen holds the screens of the console: cluster, VM, node, migrate,
// job, jobs, log. Each is a function of values and of a size.
//
// A screen gets messages that carry data and returns intents that name what
// the person wants; it does no I/O, starts nothing, reads no clock and knows
// no keys. The root of the console turns keys into Do messages, intents into
// calls of the engine, and answers into messages. A screen's Update must not
// block and its View must not change it.
package screen

import (
	"slices"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Screen is one full page of the console.
type Screen interface {
	// Update takes a message: an *Env, or one of the messages of this package.
	Update(msg any) (Screen, []Intent)
	// View draws the page in w by h cells.
	View(w, h int) string
	// Scope names what can be done here now.
	Scope() bind.Scope
	// Title is the page's part of the trail in the top line.
	Title() string
	// Typing tells that keys go into a line of text at the moment.
	Typing() bool
}

// Hinter says, while a page takes text, what esc does then and what may be typed.
type Hinter interface{ Hint() (esc, words string) }

// Env is all that a screen knows: values, the time they are looked at, and the
// looks. It is never changed once a screen has it.
type Env struct {
	Cluster model.Cluster
	Jobs    []model.Job // newest first
	// Elsewhere are the moves of other consoles, by their marks on the VMs.
	Elsewhere []model.Job
	Now       time.Time
	Poll      time.Duration
	// Defaults are the options a move begins with, DefaultMode its mode.
	Defaults    model.Options
	DefaultMode model.Mode
	Theme       *theme.Theme
	// Busy are the acts that no host has answered yet.
	Busy map[Target]Busy
	// History are the newest readings of nodes (without UUID) and of the VMs that
	// are looked at.
	History map[Target]Series
	// Hidden names the columns of VMs that the person does not want.
	Hidden map[string]bool
	// W and H are the size of the page, for moves by a page and for clicks.
	W, H int
}

// lostAfter is the age from which a number is not shown any more.
const lostAfter = 30 * time.Second

// Freshness says how a fact may be shown.
type Freshness int

// Fresh facts are shown as they are, Stale ones dimmed with their age, and of
// Lost ones nothing but the age.
const (
	Fresh Freshness = iota
	Stale
	Lost
)

// idlePoll is how often the engine reads a node on which nothing is looked at.
const idlePoll = 2 * time.Second

// StaleAfter is the age from which a fact of the inventory is stale: three
// polls, of a node that is read at its slowest.
func (e *Env) StaleAfter() time.Duration { return 3 * max(e.Poll, idlePoll) }

// ReadingStaleAfter is the age from which a reading of a move is stale: three
// polls, and no less than two seconds, which a slow line alone may take.
func (e *Env) ReadingStaleAfter() time.Duration { return max(3*e.Poll, 2*time.Second) }

// FreshReading tells how a reading of a move may be shown now.
func (e *Env) FreshReading(at time.Time) Freshness {
	switch age := model.Age(at, e.Now); {
	case at.IsZero() || age >= lostAfter:
		return Lost
	case age >= e.ReadingStaleAfter():
		return Stale
	}
	return Fresh
}

// Fresh tells how a fact last seen at that time may be shown now.
func (e *Env) Fresh(seen time.Time) Freshness {
	switch age := model.Age(seen, e.Now); {
	case seen.IsZero() || age >= lostAfter:
		return Lost
	case age >= e.StaleAfter():
		return Stale
	}
	return Fresh
}

// seen is the age of a fact in words.
func (e *Env) seen(at time.Time) string {
	if e.Fresh(at) == Fresh {
		return "just now"
	}
	return text.Ago(at, e.Now)
}

// Job finds a job.
func (e *Env) Job(id model.JobID) (model.Job, bool) {
	for _, j := range e.Jobs {
		if j.ID == id {
			return j, true
		}
	}
	return model.Job{}, false
}

// Node finds a node.
func (e *Env) Node(name model.NodeName) (model.Node, bool) {
	for _, n := range e.Cluster.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return model.Node{}, false
}

// VM finds a VM by its UUID: on that node if it is there, else wherever it is,
// rather not where a finished move left only its definition.
func (e *Env) VM(id model.UUID, node model.NodeName) (model.VM, bool) {
	other := -1
	for i := range e.Cluster.VMs {
		switch v := e.Cluster.VMs[i]; {
		case v.UUID != id:
		case v.Node == node && !v.Tombstone:
			return *v, true
		case other < 0 || e.Cluster.VMs[other].Tombstone:
			other = i
		}
	}
	if other < 0 {
		return model.VM{}, false
	}
	return *e.Cluster.VMs[other], true
}

// Running lists the jobs that are not over, newest first.
func (e *Env) Running() []model.Job {
	var out []model.Job
	for _, j := range e.Jobs {
		if !j.State.Ended() {
			out = append(out, j)
		}
	}
	return append(out, e.Elsewhere...)
}

// Anyones finds a job of this console or of another.
func (e *Env) Anyones(id model.JobID) (model.Job, bool) {
	if j, ok := e.Job(id); ok {
		return j, true
	}
	i := slices.IndexFunc(e.Elsewhere, func(j model.Job) bool { return j.ID == id })
	if i < 0 {
		return model.Job{}, false
	}
	return e.Elsewhere[i], true
}

// maxShown bounds, in bytes, what is drawn of one string of a host: no window
// shows more, and cleaning and measuring a string costs time by its length.
const maxShown = 4096

// name cleans a string for drawing. Hosts' strings are cleaned where they
// enter; the screen does not rely on it.
func name[T ~string](s T) string {
	if len(s) > maxShown {
		s = s[:maxShown] + "…"
	}
	return text.Clean(string(s))
}
