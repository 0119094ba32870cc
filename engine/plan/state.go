package plan

import (
	"fmt"
	"slices"
	"strings"

	"horcrux/engine/model"
)

// goodPauses are the reasons of a pause that may be carried to the target. Of
// the others QEMU or another tool is the author, and it would be wrong to take
// them for a wish of the user.
var goodPauses = map[string]bool{"user": true, "unknown": true, "": true, "snapshot": true, "from snapshot": true}

func stateRule(f *facts) []model.Finding {
	const id, title = "state", "state of the VM"
	st := f.vm.Status
	switch st.State {
	case model.StateRunning:
		if strings.HasPrefix(st.Reason, "postcopy") {
			return one(fail(id, title, fmt.Sprintf("the VM is %s: another move is not finished", st), "let that move end first"))
		}
		return one(pass(id, title, "%s", st))
	case model.StatePaused:
		shares := slices.ContainsFunc(f.disks, func(d model.DiskPlan) bool { return d.Decision == model.DiskShared && !d.ReadOnly })
		switch {
		case goodPauses[st.Reason] && shares && f.vm.NeverRan:
			// Its images stay inactive until it runs, and are not to be made so twice.
			return one(fail(id, title, fmt.Sprintf("%s, and has not run since it came to %s: QEMU before 10 dies at the end of the move of such a VM whose disks are shared, and its memory is lost", st, f.src.Name),
				fmt.Sprintf("resume it on %s for some seconds, then move it", f.src.Name)))
		case goodPauses[st.Reason]:
			return one(pass(id, title, "%s; it stays paused on the target", st))
		case st.Reason == "migration" || strings.HasPrefix(st.Reason, "postcopy"):
			return one(fail(id, title, fmt.Sprintf("the VM is %s: another move has left it so", st), "horcrux recover settles it"))
		case st.Reason == "ioerror":
			return one(fail(id, title, "the VM is paused because a disk failed", fmt.Sprintf("mend the storage on %s, resume the VM, then move it", f.src.Name)))
		}
		return one(fail(id, title, fmt.Sprintf("the VM is %s, which no user asked for", st), "find the cause and resume it, then move it"))
	case model.StateShutoff:
		return one(fail(id, title, fmt.Sprintf("the VM is %s, and live moves need a running one", st), "start it first; the mode offline will move it as it is"))
	case model.StateMissing:
		return one(fail(id, title, fmt.Sprintf("%s has no such VM", f.src.Name), "look for it: horcrux vms"))
	case model.StateUnreachable:
		return one(fail(id, title, fmt.Sprintf("%s did not say how the VM is: %s", f.src.Name, st.Err), "horcrux doctor"))
	}
	return one(fail(id, title, fmt.Sprintf("the VM is %s", st), "wait until it runs or is off"))
}

// markRule reads the mark that every move leaves on its VM.
func markRule(f *facts) []model.Finding {
	const id, title = "mark", "other moves"
	d := f.vm.Domain
	switch {
	case d.Job == "" && d.JobRole == "":
		return one(pass(id, title, "no other move has marked the VM"))
	case d.JobRole == "tombstone":
		return one(fail(id, title, fmt.Sprintf("this is what job %s left on %s after it moved the VM away", d.Job, f.src.Name),
			fmt.Sprintf("move the VM from where it is now; `horcrux confirm %s` removes the leftover", d.Job)))
	}
	m := d.Mark
	if m.Role == model.RoleWaiting && m.Console == f.vm.Console {
		return one(pass(id, title, "no move of another console has marked the VM"))
	}
	if m.Role == model.RoleWaiting {
		return one(fail(id, title, fmt.Sprintf("a move of the VM waits in the queue of another console: %s", m.Whose()),
			fmt.Sprintf("have it taken out there: horcrux abort %s; if that console is gone for good: horcrux recover --orphans", d.Job)))
	}
	if m.Console != "" && m.Console != f.vm.Console {
		return one(fail(id, title, fmt.Sprintf("another console has hold of the VM: %s", m.Whose()),
			fmt.Sprintf("ask there: horcrux job %s; if that console is gone for good: horcrux recover --orphans", d.Job)))
	}
	return one(fail(id, title, fmt.Sprintf("job %s has hold of the VM", d.Job),
		fmt.Sprintf("see `horcrux job %s`; if its process is gone, `horcrux recover`", d.Job)))
}

func jobRule(f *facts) []model.Finding {
	const id, title = "libvirt-job", "libvirt's jobs"
	if f.vm.Status.JobActive {
		return one(fail(id, title, fmt.Sprintf("libvirt on %s is at work on the VM: another migration, a save, a dump or a backup", f.src.Name),
			fmt.Sprintf("wait for it, or stop it on %s: ", f.src.Name)+command("virsh domjobabort %s", f.vm.Domain.Name)))
	}
	return one(pass(id, title, "none"))
}

func blockJobRule(f *facts) []model.Finding {
	const id, title = "block-jobs", "block jobs"
	busy := f.vm.BlockJobs
	for _, d := range f.vm.Domain.Disks {
		if d.Mirror && !contains(busy, d.Target) {
			busy = append(busy[:len(busy):len(busy)], d.Target)
		}
	}
	if len(busy) > 0 {
		return one(fail(id, title, fmt.Sprintf("a block job is at work on %s", list(busy)),
			"wait for it, or stop it: "+command("virsh blockjob %s %s --abort", f.vm.Domain.Name, busy[0])))
	}
	return one(pass(id, title, "none"))
}

// clashRule looks for a domain on the target that has the VM's name or UUID. A
// tombstone of ours under both is replaced.
func clashRule(f *facts) []model.Finding {
	const id, title = "clash", "name and UUID on the target"
	d := f.vm.Domain
	note := fmt.Sprintf("free on %s", f.dst.Name)
	for _, o := range f.dst.Domains {
		sameUUID, sameName := o.UUID == d.UUID, o.Name == d.Name
		switch {
		case !sameUUID && !sameName:
			continue
		case sameName && !sameUUID:
			return one(fail(id, title, fmt.Sprintf("%s already exists on %s with UUID %s (%s)", o.Name, f.dst.Name, o.UUID, o.State),
				"rename one of the two with `virsh domrename`, while it is off"))
		case !sameName:
			return one(fail(id, title, fmt.Sprintf("UUID %s is already defined on %s as %s (%s)", o.UUID, f.dst.Name, o.Name, o.State),
				"find out which of the two is the real one, and undefine the other"))
		case o.Tombstone && o.State == model.StateShutoff:
			note = fmt.Sprintf("what job %s left of this VM on %s will be replaced", o.Job, f.dst.Name)
		default:
			return one(fail(id, title, fmt.Sprintf("%s has this VM too: same name, same UUID, %s, and no mark of a move", f.dst.Name, o.State),
				fmt.Sprintf("find out which of the two is the real one; if that of %s is not, undefine it", f.dst.Name)))
		}
	}
	return one(pass(id, title, "%s", note))
}

func snapshotRule(f *facts) []model.Finding {
	const id, title = "snapshots", "snapshots"
	n, name := f.vm.Snapshots, f.vm.Domain.Name
	if n > 0 {
		return one(fail(id, title, fmt.Sprintf("the VM has %s on %s, and libvirt moves none that has", plural(n, "snapshot"), f.src.Name),
			command("list them with `virsh snapshot-list %s`, and delete them with `virsh snapshot-delete %s NAME`", name, name)))
	}
	return one(pass(id, title, "none"))
}

func managedSaveRule(f *facts) []model.Finding {
	if !f.vm.ManagedSave {
		return nil
	}
	return one(warn("managed-save", "saved state", fmt.Sprintf("a saved state of the VM lies on %s and stays there; starting it later would lose all since then", f.src.Name),
		command("remove it with `virsh managedsave-remove %s`", f.vm.Domain.Name)))
}

func transientRule(f *facts) []model.Finding {
	st := f.vm.Status
	if st.Persistent || !st.Live() {
		return nil
	}
	return one(pass("transient", "definition", "the VM is transient: it has a definition on %s until the move is confirmed, and none after that", f.dst.Name))
}

func agentRule(f *facts) []model.Finding {
	const id, title = "agent", "guest agent"
	switch f.vm.Agent {
	case model.AgentConnected:
		return one(pass(id, title, "connected; it will prove that the guest did not reboot"))
	case model.AgentDisconnected:
		return one(pass(id, title, "the VM has a channel for it, and no agent is behind it"))
	}
	return one(pass(id, title, "the VM has none; the checks after the move see less"))
}

func contains(words []string, w string) bool {
	for _, s := range words {
		if s == w {
			return true
		}
	}
	return false
}
