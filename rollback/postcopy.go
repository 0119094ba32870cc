package rollback

import (
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

func inPostCopy(c condition) bool { return c == postcopy || c == postcopyFailed }

// duringPostCopy: the target runs the guest, and the source holds the memory
// that has not gone over. Neither is ever stopped by us; what is lost when one
// of them is gone only a person can weigh.
func duringPostCopy(v journal.View, s, d condition, src model.DomainStatus) Decision {
	const why = "post-copy is under way: each side holds memory that the other lacks, and neither may be stopped"
	switch {
	case s == running && inPostCopy(d):
		return Decision{Action: ActPerson, Owner: Target, Suspend: []Side{Source}, Why: "the source runs a stale copy of a VM that the target runs in post-copy"}
	case d == running && s == postcopy:
		return Decision{Action: ActWait, Owner: Target, Why: "the target has all of the memory; the source is about to notice"}
	case d == running || d == pausedIOError:
		return Decision{Action: ActComplete, Owner: Target, Why: "the target has all of the memory; the source's copy is of no use any more"}
	case d == paused && s == postcopyFailed && v.PostCopy && v.Epoch == journal.AfterCommit:
		return Decision{Action: ActComplete, Owner: Target, Why: "the target has all of the memory, and was paused since"}
	case s == unreachable || d == unreachable:
		return Decision{Action: ActWait, Owner: Target, Why: why + "; one of them does not answer"}
	case inPostCopy(s) && inPostCopy(d):
		if s == postcopyFailed || d == postcopyFailed {
			return Decision{Action: ActResume, Owner: Target, Why: "post-copy broke off: each side holds memory that the other lacks; it goes on once the network carries it"}
		}
		return Decision{Action: ActWait, Owner: Target, Why: why}
	case inPostCopy(s) && (d == off || d == missing):
		return Decision{Action: ActPerson, Owner: Nowhere, Why: lostTarget(v)}
	case inPostCopy(s):
		return Decision{Action: ActPerson, Owner: Nowhere, Why: "post-copy began and the target stands still without having run: its memory is not whole, and the source cannot go back"}
	case s == off && src.Reason == "migrated":
		return Decision{Action: ActWait, Owner: Target, Why: "the source has sent everything; the target is about to finish"}
	}
	return Decision{Action: ActPerson, Owner: Target, Why: "the source's QEMU ended with memory that the target lacks: the guest on the target hangs when it needs it; " +
		"its memory is lost, its disks are on the target: power-cycle it there"}
}

// lostTarget says what is left of a VM whose memory is lost with the target.
func lostTarget(v journal.View) string {
	why := "the target's QEMU ended during post-copy with memory that only it had: the guest's memory is lost, and the source cannot go on; "
	if v.Plan != nil && len(v.Plan.Copies()) > 0 {
		return why + "the target's disks are newer than the source's: start the VM from those, unless they are gone"
	}
	return why + "the disks are shared: end the paused copy on the source, then start the VM on either node"
}
