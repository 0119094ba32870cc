package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// What becomes of a move whose disks are compared, and that no snapshot stays.
func TestCompare(t *testing.T) {
	const (
		moved  = "shutoff running+auto volumes=1"
		undone = "running+auto missing volumes=0"
	)
	paused := func(p *model.Plan) {
		p.Was = model.DomainStatus{State: model.StatePaused, Reason: "user", Persistent: true}
	}
	tests := []struct {
		name    string
		plan    func(*model.Plan)
		fault   func(*sim)
		outcome model.Outcome
		proof   string // in the result
		said    string // its reason
		state   string
	}{
		{"equal", nil, nil, model.OutcomeDone, "1 disk(s) equal: the target's disks as they were at the gate", "", moved},
		{"not equal", nil, func(s *sim) { s.fail["same"] = model.ErrDiffer }, model.OutcomeDegraded, "none: the disks are not equal", "node1 has them as they were at the switch", moved},
		{"cannot be read", nil, func(s *sim) { s.fail["same"] = errSaid }, model.OutcomeDone, "sizes compared at the gate, and no more: ", "", moved},
		{"no snapshots there", nil, func(s *sim) { s.fail["node2.snapshot"] = errSaid }, model.OutcomeDone, "sizes compared at the gate, and no more: ", "", moved},
		{"not wanted", func(p *model.Plan) { p.Options.NoCompare = true }, nil, model.OutcomeDone, "sizes compared at the gate", "", moved},
		{"a check failed first", nil, func(s *sim) { s.fail["health-after"] = errSaid }, model.OutcomeDegraded, "sizes compared at the gate", "QEMU monitor", moved},
		{"the source is not cleared", nil, func(s *sim) { s.fail["node1.rename"] = errSaid }, model.OutcomePerson, "", "could not be cleaned up", "shutoff running volumes=2"},
		{"paused, equal", paused, nil, model.OutcomeDone, "1 disk(s) equal, with the guest paused", "", "shutoff paused(user)+auto volumes=1"},
		{"paused, not equal", paused, func(s *sim) { s.fail["same"] = model.ErrDiffer }, model.OutcomeUndone, "", "the disks are not equal", "paused(migration)+auto missing volumes=0"},
		{"undone at the gate", nil, func(s *sim) { s.fail["health-gate"] = errSaid }, model.OutcomeUndone, "", "QEMU monitor", undone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, plan := newSim(), simPlan()
			if tt.plan != nil {
				tt.plan(plan)
			}
			s.src.st = plan.Was
			if tt.fault != nil {
				tt.fault(s)
			}
			j := simJob(t, s, plan)
			j.Copier = &simCopier{s, j.Journal}
			r := j.Run(context.Background())
			if r.Outcome != tt.outcome || !strings.Contains(r.Proof, tt.proof) || !strings.Contains(r.Reason, tt.said) {
				t.Errorf("%s, proof %q, reason %q\n%s", r.Outcome, r.Proof, r.Reason, strings.Join(s.calls, " "))
			}
			if s.state() != tt.state || s.broken != "" {
				t.Errorf("hosts: %s, want %s; %s %v", s.state(), tt.state, s.broken, s.volumes)
			}
		})
	}
}

// A process that died while it compared is followed by one that compares again.
func TestCompareAfterACrash(t *testing.T) {
	s, dir := newSim(), t.TempDir()
	jn, err := journal.Create(dir, "k3f9x2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	_ = jn.Append(journal.Record{Kind: journal.Planned, Plan: simPlan()})
	jn.After = func(r journal.Record) {
		if r.Kind == journal.Fenced {
			panic(crash{})
		}
	}
	if !diesIn(func() { coldJob(t, s, jn).Run(context.Background()) }) {
		t.Fatal("it did not die")
	}
	jn.Close()
	if jn, err = journal.Open(dir, "k3f9x2", time.Now); err != nil {
		t.Fatal(err)
	}
	defer jn.Close()
	r := coldJob(t, s, jn).Recover(context.Background())
	if r.Outcome != model.OutcomeDone || !strings.Contains(r.Proof, "1 disk(s) equal") || len(s.volumes) != 1 {
		t.Errorf("%+v %v", r, s.volumes)
	}
}

// An abort after the switch ends the comparison and nothing else.
func TestCompareIsStopped(t *testing.T) {
	s := newSim()
	j := simJob(t, s, simPlan())
	c := &stoppedCopier{simCopier{s, j.Journal}, j}
	j.Copier = c
	r := j.Run(context.Background())
	if r.Outcome != model.OutcomeDone || !strings.Contains(r.Proof, "and no more: aborted by the user") || len(s.volumes) != 1 {
		t.Errorf("%+v %v", r, s.volumes)
	}
	if err := j.Do(model.Command{Kind: model.CommandAbort}); err == nil {
		t.Error("an abort was taken after the end")
	}
}

type stoppedCopier struct {
	simCopier
	j *Job
}

func (c *stoppedCopier) Same(ctx context.Context, _ []DiskPair, _ func(done, total int64)) (string, error) {
	if err := c.j.Do(model.Command{Kind: model.CommandRollback}); err == nil {
		return "", fmt.Errorf("a rollback was taken")
	}
	if err := c.j.Do(model.Command{Kind: model.CommandAbort}); err != nil {
		return "", err
	}
	<-ctx.Done()
	return "", ctx.Err()
}
