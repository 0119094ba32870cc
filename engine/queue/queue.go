// Package queue decides which of the waiting moves may begin. It is pure: the
// list of moves goes in, for each of them a verdict comes out, so that every
// process that looks at the same list comes to the same answer.
//
// Moves begin in the order in which they came. One may overtake another that
// cannot begin yet, but only with what that one will not need: for every move
// that waits before it a place out of its source, a place into its target and
// the target's memory are kept back. So the move at the head always gets its
// places once those who have them end, and nobody waits for ever.
package queue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"horcrux/engine/model"
)

// Entry is one move that waits or is under way.
type Entry struct {
	Job      model.JobID    `json:"job"`
	VM       model.UUID     `json:"vm"`
	Name     string         `json:"name"`
	From     model.NodeName `json:"from"`
	To       model.NodeName `json:"to"`
	Memory   uint64         `json:"memory"` // bytes that it needs on the target
	Free     uint64         `json:"free"`   // bytes that the target had for VMs when the move was planned; 0 if not known
	Enqueued time.Time      `json:"enqueued"`
	// By is whose move it is, of a move of another console that a node told of.
	By string `json:"by,omitempty"`
	// Admitted is when it got its places; zero while it waits.
	Admitted time.Time `json:"admitted,omitzero"`
	// Arrived tells that the target counts the VM's memory as used by itself.
	Arrived bool `json:"arrived,omitempty"`
}

func (e Entry) waits() bool { return e.Admitted.IsZero() }

// Before is the order of the queue.
func Before(a, b Entry) int {
	if c := a.Enqueued.Compare(b.Enqueued); c != 0 {
		return c
	}
	switch {
	case a.Job < b.Job:
		return -1
	case a.Job > b.Job:
		return 1
	}
	return 0
}

// Verdict is what the queue says to one move that waits.
type Verdict struct {
	// Begin: it may begin now.
	Begin bool
	// Place among those that wait, from 1, and Of how many.
	Place, Of int
	// Why it has to wait, in words.
	Why string
}

// door is one direction of one node.
type door struct {
	node model.NodeName
	in   bool
}

func doors(e Entry) [2]door { return [2]door{{e.From, false}, {e.To, true}} }

func (d door) String() string {
	if d.in {
		return "into " + string(d.node)
	}
	return "out of " + string(d.node)
}

// Ask says what becomes of one move that waits, from the list of all moves that
// wait or are under way, itself among them. perNode bounds the moves out of a
// node and, apart from those, the moves into it.
func Ask(all []Entry, job model.JobID, perNode int) Verdict {
	return Verdicts(all, perNode)[job]
}

// Verdicts says what becomes of every move that waits.
func Verdicts(all []Entry, perNode int) map[model.JobID]Verdict {
	all = slices.Clone(all)
	slices.SortStableFunc(all, Before)
	b := board{perNode: perNode, used: map[door]int{}, kept: map[door]int{}, foreign: map[door][]string{}, memory: map[model.NodeName]uint64{}, holder: map[model.UUID]Entry{}}
	waiting := 0
	for _, e := range all {
		if e.waits() {
			waiting++
			continue
		}
		b.take(e)
	}
	out := map[model.JobID]Verdict{}
	place := 0
	for _, e := range all {
		if !e.waits() {
			continue
		}
		place++
		v := Verdict{Place: place, Of: waiting, Why: b.against(e)}
		if v.Begin = v.Why == ""; v.Begin {
			b.take(e)
		} else {
			b.keep(e)
		}
		out[e.Job] = v
	}
	return out
}

// board is what is spoken for.
type board struct {
	perNode    int
	used, kept map[door]int
	foreign    map[door][]string // moves of other consoles among them
	memory     map[model.NodeName]uint64
	holder     map[model.UUID]Entry
}

func (b *board) take(e Entry) {
	for _, d := range doors(e) {
		b.used[d]++
		b.note(d, e)
	}
	if !e.Arrived {
		b.memory[e.To] += e.Memory
	}
	b.hold(e)
}

func (b *board) keep(e Entry) {
	for _, d := range doors(e) {
		b.kept[d]++
		b.note(d, e)
	}
	b.memory[e.To] += e.Memory
	b.hold(e)
}

func (b *board) note(d door, e Entry) {
	if e.By != "" {
		b.foreign[d] = append(b.foreign[d], fmt.Sprintf("job %s of %s", e.Job, e.By))
	}
}

// others names the moves of other consoles that go through a door.
func (b *board) others(d door) string {
	const most = 2
	by := b.foreign[d]
	switch {
	case len(by) == 0:
		return ""
	case len(by) > most:
		return fmt.Sprintf(", by other consoles: %s and %d more", strings.Join(by[:most], ", "), len(by)-most)
	}
	return ", by another console: " + strings.Join(by, ", ")
}

func (b *board) hold(e Entry) {
	if _, ok := b.holder[e.VM]; !ok {
		b.holder[e.VM] = e
	}
}

// against is the first reason why a move cannot begin; empty if there is none.
func (b *board) against(e Entry) string {
	if h, ok := b.holder[e.VM]; ok {
		by := ""
		if h.By != "" {
			by = " of " + h.By
		}
		return fmt.Sprintf("job %s%s moves %s already, from %s to %s", h.Job, by, h.Name, h.From, h.To)
	}
	for _, d := range doors(e) {
		switch used, kept := b.used[d], b.kept[d]; {
		case used >= b.perNode:
			return fmt.Sprintf("%s %s already (parallel_per_node = %d)", moves(used), d, b.perNode) + b.others(d)
		case used+kept >= b.perNode:
			return fmt.Sprintf("%s waiting before it to go %s (parallel_per_node = %d)", are(kept), d, b.perNode) + b.others(d)
		}
	}
	if spoken := b.memory[e.To]; e.Free > 0 && spoken > 0 && spoken+e.Memory > e.Free {
		return fmt.Sprintf("%s had %s for VMs, and %s of that are kept for moves before it; it needs %s",
			e.To, humanize.IBytes(e.Free), humanize.IBytes(spoken), humanize.IBytes(e.Memory))
	}
	return ""
}

func moves(n int) string {
	if n == 1 {
		return "1 move"
	}
	return fmt.Sprintf("%d moves", n)
}

func are(n int) string {
	if n == 1 {
		return "1 move is"
	}
	return fmt.Sprintf("%d moves are", n)
}

// Promised is the memory of a target that other moves will need before it shows
// as used: of those that began and have not arrived, and of those that wait
// before own. With own empty, all that wait count.
func Promised(all []Entry, to model.NodeName, own model.JobID) (bytes uint64, by []model.JobID) {
	i := slices.IndexFunc(all, func(e Entry) bool { return e.Job == own })
	for _, e := range all {
		if e.To != to || e.Arrived || e.Job == own {
			continue
		}
		if i >= 0 && !ahead(e, all[i]) {
			continue
		}
		bytes += e.Memory
		by = append(by, e.Job)
	}
	slices.Sort(by)
	return bytes, by
}

// ahead tells that a has a claim before b.
func ahead(a, b Entry) bool {
	switch {
	case !a.waits() && !b.waits():
		if c := a.Admitted.Compare(b.Admitted); c != 0 {
			return c < 0
		}
	case a.waits() != b.waits() && b.waits():
		return true
	}
	return Before(a, b) < 0
}
