package rollback

import (
	"errors"
	"fmt"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// CanKeep tells whether a person's choice can be carried out safely now: nil, or
// why not and what would make it so. It is a pure table over the journal and
// what both hosts say; the acts look again.
func CanKeep(v journal.View, src, dst model.DomainStatus, keep Side) error {
	from, to := v.Plan.From, v.Plan.To
	s, d := classify(src), classify(dst)
	chosen := from
	if keep == Target {
		chosen = to
	}
	switch {
	case v.SentBack != "":
		return fmt.Errorf("job %s has sent the VM back already", v.SentBack)
	case v.Confirmed || v.Confirming:
		return fmt.Errorf("the move was confirmed: what was left on %s was deleted, and %s alone has the VM; move it as any other VM", from, to)
	case v.Keep != "" && v.Keep != chosen:
		return fmt.Errorf("a person chose %s before, and the other side may be fenced already: horcrux recover goes on with that", v.Keep)
	case d == unreachable && !(keep == Source && v.TargetFenced):
		return fmt.Errorf("%s does not answer (%s), and its copy may be running: bring %s back so that it can be seen, then choose again", to, dst.Err, to)
	case s == unreachable:
		return fmt.Errorf("%s does not answer (%s), and its copy may be running: bring %s back so that it can be seen, then choose again", from, src.Err, from)
	case s == postcopy || d == postcopy:
		return errors.New("post-copy is under way: each side holds memory that the other lacks; neither may be stopped")
	case src.JobActive || dst.JobActive:
		return errors.New("libvirt is still at work on the VM: wait until that has ended")
	}
	if keep == Target {
		return canKeepTarget(v, d)
	}
	return nil
}

func canKeepTarget(v journal.View, d condition) error {
	switch {
	case d == missing:
		return fmt.Errorf("%s does not know the VM", v.Plan.To)
	case v.Epoch == journal.BeforeCommit && !whole(v):
		return fmt.Errorf("%s does not have all of the VM: its copy was not finished", v.Plan.To)
	case d == pausedMigration:
		return fmt.Errorf("the copy on %s is still coming in and cannot be run", v.Plan.To)
	}
	return nil
}

// whole tells that all of the VM had reached the target.
func whole(v journal.View) bool { return v.Performed || v.Registering }

// CanRestore is CanKeep for the restore of the source after a switch, which is
// for guests that are dead: one that lives is sent back instead, and loses
// nothing.
func CanRestore(v journal.View, src, dst model.DomainStatus) error {
	if v.Confirmed || v.Confirming || v.SentBack != "" {
		return CanKeep(v, src, dst, Source)
	}
	if v.Epoch != journal.AfterCommit && !v.KeepsSource() {
		return errors.New("the move was not switched: undo it instead, which loses nothing: horcrux rollback, or horcrux recover if its process is gone")
	}
	if v.Restored {
		return fmt.Errorf("%s has the VM again already", v.Plan.From)
	}
	if err := CanKeep(v, src, dst, Source); err != nil {
		return err
	}
	if v.KeepsSource() {
		return nil // decided before; what is found now is what that left
	}
	switch classify(dst) {
	case running, paused:
		return fmt.Errorf("the VM is %s on %s: send it back, which loses nothing: horcrux rollback %s; if the guest is dead although its process lives, force it off there first: virsh destroy %s",
			dst, v.Plan.To, v.Job, v.Plan.VMName)
	}
	return nil
}

// sharesDisks tells that both nodes write to the same bytes.
func sharesDisks(p *model.Plan) bool {
	for _, d := range p.Disks {
		if d.Decision == model.DiskShared && !d.ReadOnly {
			return true
		}
	}
	return false
}

// Choices puts both choices to a person, with what each would lose and the
// command that carries it out.
func Choices(v journal.View, src, dst model.DomainStatus, now time.Time) []model.Choice {
	make := func(side Side, node model.NodeName, loses string) model.Choice {
		c := model.Choice{Keep: node, Loses: loses}
		if err := CanKeep(v, src, dst, side); err != nil {
			c.Refused = err.Error()
		} else {
			c.Command = fmt.Sprintf("horcrux recover %s --keep %s", v.Job, node)
		}
		return c
	}
	return []model.Choice{
		make(Source, v.Plan.From, losesBySource(v, src, dst, now)),
		make(Target, v.Plan.To, losesByTarget(v, src, dst)),
	}
}

func losesBySource(v journal.View, src, dst model.DomainStatus, now time.Time) string {
	p, d := v.Plan, classify(dst)
	if v.Epoch == journal.BeforeCommit && !v.Adopted && d != running {
		return fmt.Sprintf("nothing: %s has never run it", p.To)
	}
	since := "since it took over"
	if !v.CommittedAt.IsZero() {
		since = fmt.Sprintf("since %s (%s ago)", v.CommittedAt.Local().Format("2006-01-02 15:04:05"), now.Sub(v.CommittedAt).Round(time.Second))
	}
	if sharesDisks(p) {
		return fmt.Sprintf("the guest's memory: the disks are shared and stay as they are, and it boots anew on %s", p.From)
	}
	s := fmt.Sprintf("everything that the guest wrote on %s %s", p.To, since)
	if !src.Live() {
		s += ", and its memory: it boots anew"
	}
	return s
}

func losesByTarget(v journal.View, src, dst model.DomainStatus) string {
	p := v.Plan
	switch {
	case classify(src) == running && !sharesDisks(p):
		return fmt.Sprintf("everything that the guest wrote on %s since it ran there beside this move", p.From)
	case !dst.Live():
		return fmt.Sprintf("the guest's memory: it is off on %s and would boot anew", p.To)
	}
	return "nothing that is known"
}
