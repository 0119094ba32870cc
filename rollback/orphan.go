package rollback

import (
	"fmt"

	"horcrux/engine/model"
)

// Orphan says what to do about a move whose journal is lost, from what its two
// hosts say and from the marks on the domains alone. It is total, changes
// nothing, and leaves to a person whatever the hosts do not prove:
//
//   - a host that does not answer proves nothing;
//   - an incoming copy, paused for the migration, has never run;
//   - a target without the VM has never run it, since every move of ours has the
//     target register the VM before its guest may run there;
//   - a copy that is paused by a user may have run before.
func Orphan(src, dst model.SideFacts) Decision {
	s, d := classify(src.Status), classify(dst.Status)
	person := func(format string, args ...any) Decision {
		return Decision{Action: ActPerson, Owner: Nowhere, Why: fmt.Sprintf(format, args...)}
	}
	switch {
	case s == unreachable:
		return Decision{Action: ActWait, Owner: Nowhere, Why: fmt.Sprintf("the journal of the move is lost, and %s does not answer", src.Node)}
	case d == unreachable:
		return Decision{Action: ActWait, Owner: Nowhere, Why: fmt.Sprintf("the journal of the move is lost, and %s does not answer", dst.Node)}
	case src.Status.JobActive || dst.Status.JobActive:
		return Decision{Action: ActWait, Owner: Nowhere, Why: "libvirt is at work on the VM: the move may be alive"}
	case s == postcopy || d == postcopy:
		return person("post-copy is under way: each side holds memory that the other lacks; neither may be stopped")
	case src.Mark == nil && dst.Mark == nil:
		return person("no move of Horcrux has marked the VM: it was not moved by it")
	case src.Mark != nil && dst.Mark != nil && src.Mark.Job != dst.Mark.Job:
		return person("%s is marked by job %s and %s by job %s", src.Node, src.Mark.Job, dst.Node, dst.Mark.Job)
	}
	if src.Mark != nil && src.Mark.Role == model.RoleTombstone {
		return orphanTombstone(s, d, person)
	}
	switch s {
	case running:
		return orphanRunning(d, person)
	case pausedMigration:
		return orphanPaused(src, dst, d, person)
	case paused, pausedIOError:
		if d == missing || d == pausedMigration {
			return Decision{Action: ActUndo, Owner: Source, Why: "the source has the VM, and the target has never run it"}
		}
		return person("both hosts have a copy, and which of them ran last cannot be told")
	case off:
		switch d {
		case running:
			return Decision{Action: ActComplete, Owner: Target, Why: "the target alone runs the VM"}
		case missing:
			return Decision{Action: ActUndo, Owner: Source, Why: "the source alone knows the VM"}
		}
		return person("neither host runs the VM, and which copy is newer cannot be told")
	}
	// The source does not know the VM.
	switch d {
	case running:
		return Decision{Action: ActComplete, Owner: Target, Why: "the target alone runs the VM"}
	case missing:
		return person("neither host knows the VM")
	}
	return person("the source does not know the VM, and whether the target has all of it cannot be told")
}

type personFunc func(format string, args ...any) Decision

func orphanTombstone(s, d condition, person personFunc) Decision {
	switch {
	case s != off:
		return person("what a move left on the source does not look as it was left")
	case d == missing:
		return person("the VM had moved, and the target no longer knows it")
	case d == pausedMigration:
		return person("the VM had moved, and something comes in on the target")
	}
	return Decision{Action: ActComplete, Owner: Target, Why: "the source is a tombstone: the target had taken over"}
}

func orphanRunning(d condition, person personFunc) Decision {
	switch d {
	case running:
		dec := person("both copies run")
		dec.Suspend = []Side{Source, Target}
		return dec
	case missing, off:
		return Decision{Action: ActUndo, Owner: Source, Why: "the source alone runs the VM"}
	case pausedMigration:
		return Decision{Action: ActUndo, Owner: Source, Why: "the source runs the VM, and what came in on the target has never run"}
	}
	return person("the source runs the VM, and the copy on the target may have run before it was paused")
}

// orphanPaused: the source stands as a switch leaves it.
func orphanPaused(src, dst model.SideFacts, d condition, person personFunc) Decision {
	switch d {
	case missing:
		if src.Mark == nil {
			return person("the source is paused by a migration that was not ours")
		}
		return Decision{Action: ActUndo, Owner: Source, Why: "the target does not know the VM, so it has never run it"}
	case pausedMigration:
		return Decision{Action: ActUndo, Owner: Source, Why: "what came in on the target has never run"}
	case running:
		if r := dst.Status.Reason; r == "migrated" || r == "unpaused" {
			return Decision{Action: ActComplete, Owner: Target, Why: "the target runs what it was sent, and the source is paused since"}
		}
		return person("the target runs the VM, but not from what it was sent: %s", dst.Status)
	}
	return person("the source stands as a switch leaves it, and whether the target has run cannot be told")
}
