package migrate

import (
	"context"
	"fmt"
	"strings"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/plan"
)

// mark is what this move writes on a domain.
func (j *Job) mark(role model.MarkRole) Mark {
	return Signed(role, j.Journal.View(), &j.plan, j.Console, j.Machine)
}

// Signed is the mark of the move of that journal and plan.
func Signed(role model.MarkRole, v journal.View, p *model.Plan, console, machine string) Mark {
	m := Mark{
		Job: v.Job, Role: role, From: p.From, To: p.To,
		By: at(v.By, machine), Console: console, Since: v.Started, Was: p.Was.State, Memory: Needs(p), Autostart: p.Autostart,
	}
	for _, d := range p.Copies() {
		m.Copies = append(m.Copies, d.Target)
	}
	return m
}

// Needs is the memory that the VM will take on the target, in bytes: none where
// it is not started.
func Needs(p *model.Plan) uint64 {
	if p.Was.State == model.StateShutoff {
		return 0
	}
	return plan.Needs(p.Memory)
}

// at puts the machine into who asked: "ada@jump1 from 192.0.2.7".
func at(by, machine string) string {
	if machine == "" || strings.Contains(by, "@") {
		return by
	}
	name, from, ok := strings.Cut(by, " from ")
	name += "@" + machine
	if ok {
		name += " from " + from
	}
	return name
}

// unclaimed refuses a domain on the source that another move has marked.
func (j *Job) unclaimed(ctx context.Context) error {
	m, err := j.Source.ReadMark(ctx)
	if err != nil {
		return fmt.Errorf("cannot read the mark of the VM on %s: %w", j.plan.From, err)
	}
	if m.Job == "" || m.Job == j.Journal.View().Job {
		return nil
	}
	if m.Role == RoleWaiting && m.Console == j.Console {
		return nil // the lock of the VM is ours: that one left the queue without a chance to remove it
	}
	return fmt.Errorf("%s has hold of the VM on %s: wait for it, or have it settled where it was started", m.Whose(), j.plan.From)
}
