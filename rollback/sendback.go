package rollback

import (
	"fmt"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// CanSendBack says by which mode a VM goes home after a switch, which loses
// nothing, or why it cannot, and what can be done instead.
func CanSendBack(v journal.View, dst model.DomainStatus) (model.Mode, error) {
	p := v.Plan
	instead := fmt.Sprintf("horcrux rollback %s --restore-source boots the disks that were frozen on %s, and loses what was written since", v.Job, p.From)
	switch {
	case v.Confirmed && !v.Restored:
		return "", fmt.Errorf("it was confirmed, so nothing of %s is left on %s; move it as any other VM: horcrux migrate %s --to %s", p.VMName, p.From, p.VMName, p.From)
	case v.SentBack != "":
		return "", fmt.Errorf("job %s has sent it back already", v.SentBack)
	case v.KeepsSource():
		return "", fmt.Errorf("a person chose %s for %s already", v.Keep, p.VMName)
	}
	switch classify(dst) {
	case running, paused:
		if classify(dst) == paused && wasPaused(v) && sharesDisks(p) {
			// QEMU's images stay inactive until the guest runs or they are exported;
			// before QEMU 10 it aborts when it is to hand them over once more.
			return "", fmt.Errorf("%s came to %s paused, with disks on shared storage: QEMU before 10 dies when such a VM is sent on before it has run, and the guest's memory is lost: resume it on %s, and roll back while it runs",
				p.VMName, p.To, p.To)
		}
		if p.Mode == model.ModeOffline || p.Mode == model.ModeBlock {
			// It need not stop again, nor go in passes, unless live is refused.
			return model.ModeLive, nil
		}
		return p.Mode, nil
	case off:
		if dst.State == model.StateCrashed {
			return "", fmt.Errorf("the guest has crashed on %s: %s; or force it off and start it there, then send it back", p.To, instead)
		}
		return model.ModeOffline, nil
	case missing:
		return "", fmt.Errorf("%s no longer knows the VM: %s", p.To, instead)
	case unreachable:
		return "", fmt.Errorf("%s, which has the VM, does not answer (%s): bring it back first; nothing is started on %s before its copy was seen", p.To, dst.Err, p.From)
	case pausedIOError:
		return "", fmt.Errorf("the VM on %s is paused because a disk failed: mend the storage and resume it, then send it back; or %s", p.To, instead)
	case pausedMigration:
		return "", fmt.Errorf("another migration of the VM is under way on %s: let it end first", p.To)
	}
	return "", fmt.Errorf("post-copy of the VM is under way on %s: let it end first", p.To)
}
