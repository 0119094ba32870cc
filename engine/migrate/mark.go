package migrate

import (
	"context"
	"fmt"
	"strings"

	"horcrux/engine/model"
)

// mark is what this move writes on a domain.
func (j *Job) mark(role model.MarkRole) Mark {
	v := j.Journal.View()
	m := Mark{
		Job: v.Job, Role: role, From: j.plan.From, To: j.plan.To,
		By: at(v.By, j.Machine), Console: j.Console, Since: v.Started, Was: j.plan.Was.State, Autostart: j.plan.Autostart,
	}
	for _, d := range j.plan.Copies() {
		m.Copies = append(m.Copies, d.Target)
	}
	return m
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
	return fmt.Errorf("%s has hold of the VM on %s: wait for it, or have it settled where it was started", m.Whose(), j.plan.From)
}
