package migrate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// adopted makes the journal that stands for one that was lost.
func adopted(t *testing.T, dir string, ours bool) {
	t.Helper()
	jn, err := journal.Create(dir, "k3f9x2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer jn.Close()
	p := simPlan()
	p.InactiveXML = simXML
	for _, r := range []journal.Record{{Kind: journal.Planned, Plan: p}, {Kind: journal.Adopted, Ours: ours}} {
		if err := jn.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

// strewn are the hosts as moves leave them that lost their journal.
var strewn = map[string]struct {
	lay     func(s *sim)
	outcome model.Outcome
	state   string
}{
	"in the copy":       {func(s *sim) { s.dst.st, s.volumes["/img/web.qcow2.gate-k3f9x2"] = simGone, true }, model.OutcomeUndone, "running+auto missing volumes=0"},
	"paused, no target": {func(s *sim) { s.src.st = simPM }, model.OutcomeUndone, "running+auto missing volumes=0"},
	"paused, incoming": {func(s *sim) {
		s.src.st = simPM
		s.dst.st = model.DomainStatus{State: model.StatePaused, Reason: "migration"}
	}, model.OutcomeUndone, "running+auto missing volumes=0"},
	"at the gate": {func(s *sim) { s.src.st, s.dst.st = simPM, simPU }, model.OutcomePerson, "paused(migration)+mark paused(user) volumes=0"},
	"after the switch": {func(s *sim) {
		s.src.st, s.dst.st = simPM, unpaused
		s.volumes["/img/web.qcow2.gate-k3f9x2"] = true
	}, model.OutcomeDone, "shutoff running+auto volumes=0"},
	"after the source":    {func(s *sim) { s.src.st, s.dst.st = simOff, unpaused }, model.OutcomeDone, "shutoff running+auto volumes=0"},
	"both run":            {func(s *sim) { s.dst.st = simRunning }, model.OutcomePerson, "paused(user)+mark paused(user) volumes=0"},
	"libvirt is at work":  {func(s *sim) { s.src.job = true }, model.OutcomePerson, "running+mark missing volumes=0"},
	"booted on the other": {func(s *sim) { s.src.st, s.dst.st = simPM, simRunning }, model.OutcomePerson, "paused(migration)+mark running volumes=0"},
}

var unpaused = model.DomainStatus{State: model.StateRunning, Reason: "unpaused", Persistent: true}

func layOut(lay func(*sim)) *sim {
	s := newSim()
	s.src.marked, s.src.autostart = true, false
	lay(s)
	return s
}

func TestJournalLost(t *testing.T) {
	for name, tt := range strewn {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := layOut(tt.lay)
			adopted(t, dir, true)
			r := reopen(t, s, dir, func(event.Event) {}).Recover(context.Background())
			if r.Outcome != tt.outcome || s.state() != tt.state {
				t.Errorf("%s %s: %s\nwant %s %s", r.Outcome, s.state(), r.Reason, tt.outcome, tt.state)
			}
			if s.broken != "" && name != "both run" {
				t.Error(s.broken)
			}
			// What a person must decide stays so, however often it is looked at.
			again := reopen(t, s, dir, func(event.Event) {}).Recover(context.Background())
			if tt.outcome == model.OutcomePerson && (again.Outcome != model.OutcomePerson || s.state() != tt.state) {
				t.Errorf("looked at again: %+v %s", again, s.state())
			}
		})
	}
}

// TestCrashWhileAdopted ends the process at each record of settling a lost
// journal.
func TestCrashWhileAdopted(t *testing.T) {
	for name, tt := range strewn {
		if tt.outcome == model.OutcomePerson {
			continue
		}
		for n := 1; ; n++ {
			dir := t.TempDir()
			s := layOut(tt.lay)
			adopted(t, dir, true)
			j := reopen(t, s, dir, func(event.Event) {})
			j.Journal.After = dieAt(n)
			if !diesIn(func() { j.Recover(context.Background()) }) {
				break
			}
			j.Journal.Close()
			t.Run(fmt.Sprint(name, " ", n), func(t *testing.T) {
				reopen(t, s, dir, func(event.Event) {}).Recover(context.Background())
				if s.state() != tt.state || s.broken != "" {
					t.Errorf("%s %s, want %s", s.state(), s.broken, tt.state)
				}
			})
		}
	}
}

// TestCrashWhileKeepingTheTarget ends the process at each record of a person's
// choice of the target, made beside a source that runs.
func TestCrashWhileKeepingTheTarget(t *testing.T) {
	for n := 1; ; n++ {
		dir := t.TempDir()
		s := movedSim(t, dir)
		s.src.st, s.files = simPU, map[string]bool{"/img/web.qcow2": true}
		j := reopen(t, s, dir, func(event.Event) {})
		j.Journal.After = dieAt(n)
		if !diesIn(func() { j.Keep(context.Background(), "node2") }) {
			return
		}
		j.Journal.Close()
		t.Run(fmt.Sprint("record ", n), func(t *testing.T) {
			reopen(t, s, dir, func(event.Event) {}).Recover(context.Background())
			if s.state() != "shutoff running+auto volumes=1" || s.broken != "" {
				t.Errorf("%s %s", s.state(), s.broken)
			}
		})
	}
}

// A debt is not paid on a VM that came to the node since.
func TestADebtIsNotPaidOnAnotherVM(t *testing.T) {
	for claimed, paid := range map[model.JobID]bool{"": true, "zz9999": false} {
		dir := t.TempDir()
		s := newSim()
		adopted(t, dir, true)
		jn, err := journal.Open(dir, "k3f9x2", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		_ = jn.Rollback("x", "")
		_ = jn.Append(journal.Record{Kind: journal.Owed, Debt: &journal.Debt{Node: "node2", What: "x"}})
		_ = jn.Append(journal.Record{Kind: journal.RolledBack})
		jn.Close()
		s.dst.st, s.dst.claimed = simPU, claimed
		r := reopen(t, s, dir, func(event.Event) {}).Recover(context.Background())
		if gone := s.dst.st.State == model.StateMissing; gone != paid {
			t.Errorf("mark %q: %+v %s", claimed, r, s.state())
		}
	}
}
