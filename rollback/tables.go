package rollback

import "horcrux/engine/journal"

// beforeCommit: the target has never run one instruction of the guest, so
// whatever is there may be destroyed, unless the source's copy is gone and the
// target holds everything.
func beforeCommit(v journal.View, s, d condition) Decision {
	if d == running {
		return Decision{
			Action: ActPerson, Owner: Nowhere, Suspend: []Side{Target},
			Why: "the target runs the VM although this move never told it to: somebody else started it",
		}
	}
	complete := v.Performed && !v.Rollback
	switch s {
	case running, pausedMigration, paused, pausedIOError:
		why := "the target has not run the VM; the source still has all of it"
		if d == unreachable {
			return Decision{Action: ActUndo, Owner: Source, Owing: true, Why: why + "; the target does not answer and is owed a clean-up"}
		}
		return Decision{Action: ActUndo, Owner: Source, Why: why}
	case off:
		switch {
		case complete && (d == pausedMigration || d == paused):
			return Decision{Action: ActForward, Owner: Target, Why: "the source's copy has died, and the target holds the whole state of the guest"}
		case complete && d == unreachable:
			return Decision{Action: ActWait, Owner: Source, Owing: true, Why: "the source's copy has died, and the target, which may hold the guest's whole state, does not answer"}
		case d == unreachable:
			return Decision{Action: ActUndo, Owner: Source, Owing: true, Why: "the VM is off on the source; the target does not answer and is owed a clean-up"}
		}
		return Decision{Action: ActUndo, Owner: Source, Why: "the VM is off on the source, and the target does not have all of it"}
	case missing:
		switch {
		case complete && (d == pausedMigration || d == paused):
			return Decision{Action: ActForward, Owner: Target, Why: "the source no longer knows the VM, and the target holds the whole state of the guest"}
		case d == missing || d == pausedMigration || (d == paused && !complete):
			return Decision{Action: ActPerson, Owner: Source, Why: "the source no longer knows the VM: its definition is in the journal and its disks were not touched"}
		}
		return Decision{Action: ActPerson, Owner: Nowhere, Why: "the source no longer knows the VM, and what the target has cannot be told"}
	}
	return Decision{Action: ActWait, Owner: Source, Owing: d == unreachable, Why: "the source does not answer; it still has all of the VM"}
}

// commitUnknown: the target was told to run, and the answer is not known. The
// source is not resumed here, whatever is seen.
func commitUnknown(s, d condition) Decision {
	if s == running {
		dec := Decision{Action: ActPerson, Owner: Nowhere, Suspend: []Side{Source}, Why: "the source runs although the target was told to: two copies may have run"}
		if d == running {
			dec.Suspend = []Side{Source, Target}
			dec.Why = "both copies run: each has written to its disks since the switch"
		}
		return dec
	}
	switch d {
	case running:
		return Decision{Action: ActComplete, Owner: Target, Owing: s == unreachable, Why: "the target runs the VM"}
	case off:
		return Decision{Action: ActComplete, Owner: Target, Owing: s == unreachable, Why: "the target has the VM, which has stopped there since"}
	case paused:
		return Decision{Action: ActForward, Owner: Target, Owing: s == unreachable, Why: "the target is registered and waits; telling it to run again is harmless"}
	case pausedIOError:
		return Decision{Action: ActComplete, Owner: Target, Owing: s == unreachable, Why: "the target has the VM, stopped by an I/O error there"}
	case pausedMigration:
		return Decision{Action: ActWait, Owner: Target, Why: "the target is still finishing"}
	case unreachable:
		return Decision{Action: ActWait, Owner: Target, Why: "the target was told to run and does not answer; the source stays paused until it does"}
	}
	return Decision{Action: ActPerson, Owner: Nowhere, Why: "the target was told to run and no longer knows the VM"}
}

// afterCommit: the target has the VM; the source's copy is stale.
func afterCommit(v journal.View, s, d condition) Decision {
	if s == running {
		return Decision{Action: ActPerson, Owner: Target, Suspend: []Side{Source}, Why: "the source runs a stale copy of a VM that has moved"}
	}
	switch d {
	case missing:
		return Decision{Action: ActPerson, Owner: Nowhere, Why: "the VM had moved, and the target no longer knows it: moved on or removed by hand since"}
	case unreachable:
		return Decision{Action: ActWait, Owner: Target, Why: "the target has the VM and does not answer; the source's copy is stale and stays as it is"}
	}
	return Decision{Action: ActComplete, Owner: Target, Owing: s == unreachable, Why: "the target has the VM"}
}
