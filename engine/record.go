package engine

import (
	"errors"
	"fmt"
	"strings"

	"horcrux/engine/audit"
	"horcrux/engine/model"
)

// Who is on whose behalf this engine acts.
func Who(env func(string) string) string { return audit.Who(env).String() }

// Act does something to the cluster and writes into the audit log what it was
// and what came of it. Every act of a person goes through here. Nothing is done
// while the log cannot be written.
func (e *Engine) Act(what audit.Entry, act func() error) error {
	log := audit.Open(e.store.Root())
	if err := log.Ready(); err != nil {
		return fmt.Errorf("%w; nothing was done", err)
	}
	err := act()
	what.Actor = audit.Who(e.opt.Env)
	if what.Outcome == "" {
		what.Outcome = "done"
	}
	if err != nil {
		what.Outcome, what.Detail = "failed", err.Error()
		var no *Refused
		if errors.As(err, &no) {
			what.Outcome = "refused"
		}
	}
	if wrote := log.Append(what); err == nil && wrote != nil {
		return fmt.Errorf("%s was done, but: %w", what.Act, wrote)
	}
	return err
}

// onJob is an act on a job, as the audit log names it.
func (e *Engine) onJob(act string, id model.JobID) audit.Entry {
	a := audit.Entry{Act: act, Job: string(id)}
	if j, err := e.job(id); err == nil {
		a.VM, a.Node, a.To = j.VMName, string(j.From), string(j.To)
	}
	return a
}

// wishes says what a tune asks for.
func wishes(c model.Command) string {
	var all []string
	if c.Bandwidth != nil {
		all = append(all, fmt.Sprintf("bandwidth %d MiB/s", *c.Bandwidth))
	}
	if c.MaxDowntime != nil {
		all = append(all, fmt.Sprintf("downtime %s", *c.MaxDowntime))
	}
	return strings.Join(all, ", ")
}
