// Package plan is the pre-flight of a move: facts about two nodes and a VM go
// in, findings, a decision for every disk and the steps come out.
//
// It is pure: it asks no host, reads no clock and changes nothing, so every
// rule is a line of a table in its tests. What is not known is never taken for
// good news: where ignorance could cost data or a running VM it forbids the
// move, elsewhere it is a warning.
//
// The rule for overruling libvirt's own test of shared storage (Plan.Unsafe):
// libvirt knows a few shared file systems by name and refuses the others with
// error 81. It is overruled only if at least one disk needs it, and every disk
// that is written and not copied is either on the network or was proved shared
// by a mark and has the cache mode none or directsync. QEMU's default cache is
// writeback, so a disk without a cache mode counts as unsafe. Read-only media do
// not take part: libvirt does not look at them.
package plan

import (
	"time"

	"horcrux/engine/model"
)

// Make plans one move. It always returns a plan; whether it may be carried out
// is for its Verdict to say.
func Make(r model.Request, vm VMFacts, src, dst HostFacts, proofs SharedProof, now time.Time) model.Plan {
	return model.Plan{Request: r}
}
