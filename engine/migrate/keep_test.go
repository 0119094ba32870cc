package migrate

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

const simXML = "<domain><name>web</name></domain>"

// movedSim is a simulated move that was switched and fenced.
func movedSim(t *testing.T, dir string) *sim {
	t.Helper()
	s := newSim()
	jn, err := journal.Create(dir, "k3f9x2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer jn.Close()
	p := simPlan()
	p.InactiveXML = simXML
	if err := jn.Append(journal.Record{Kind: journal.Planned, Plan: p}); err != nil {
		t.Fatal(err)
	}
	if r := New(s.env(jn, func(event.Event) {})).Run(context.Background()); r.Outcome != model.OutcomeDone {
		t.Fatal(r.Reason)
	}
	return s
}

func reopen(t *testing.T, s *sim, dir string, emit func(event.Event)) *Job {
	t.Helper()
	jn, err := journal.Open(dir, "k3f9x2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { jn.Close() })
	return New(s.env(jn, emit))
}

const restored = "running+auto shutoff volumes=1"

func checkRestored(t *testing.T, s *sim) {
	t.Helper()
	if s.state() != restored {
		t.Errorf("hosts: %s, want %s\n%s", s.state(), restored, strings.Join(s.calls, " "))
	}
	if !s.files["/img/web.qcow2"] || s.files["/img/web.qcow2.migrated-k3f9x2"] || s.src.definition != simXML {
		t.Errorf("the source: %v %s", s.files, s.src.definition)
	}
	if !s.volumes["/img/web.qcow2.abandoned-k3f9x2"] || !strings.Contains(s.dst.definition, ".moved-to-node1-by-k3f9x2") {
		t.Errorf("the target: %v %s", s.volumes, s.dst.definition)
	}
	if s.broken != "" {
		t.Error(s.broken)
	}
}

func TestRestoreAfterTheGuestDied(t *testing.T) {
	dir := t.TempDir()
	s := movedSim(t, dir)
	s.dst.st = simOff
	var steps []string
	j := reopen(t, s, dir, func(e event.Event) {
		if e.Type == event.TypeStep && e.Step.Status == model.PhaseOK {
			steps = append(steps, string(e.Step.Step))
		}
	})
	r := j.Restore(context.Background())
	if r.Outcome != model.OutcomeUndone || r.Owner != "node1" {
		t.Fatalf("%+v", r)
	}
	if len(steps) != 6 {
		t.Errorf("steps: %v", steps)
	}
	checkRestored(t, s)
	if err := j.Confirm(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.volumes) != 0 {
		t.Errorf("left on the target: %v", s.volumes)
	}
}

func TestRestoreIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		spoil func(s *sim)
		words string
	}{
		"the guest lives":     {func(*sim) {}, "send it back"},
		"the target's silent": {func(s *sim) { s.dst.silent = true }, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := movedSim(t, dir)
			tt.spoil(s)
			was := s.state()
			r := reopen(t, s, dir, func(event.Event) {}).Restore(context.Background())
			if r.Outcome != model.OutcomePerson || !strings.Contains(r.Reason, tt.words) || r.Next == "" {
				t.Errorf("%+v", r)
			}
			if s.state() != was {
				t.Errorf("changed from %s to %s", was, s.state())
			}
		})
	}
}

// TestCrashInRestore ends the process at each record of a restore, and inside
// the acts between them, and lets recover go on.
func TestCrashInRestore(t *testing.T) {
	for n := 1; ; n++ {
		dir := t.TempDir()
		s := movedSim(t, dir)
		s.dst.st = simOff
		j := reopen(t, s, dir, func(event.Event) {})
		j.Journal.After = dieAt(n)
		if !diesIn(func() { j.Restore(context.Background()) }) {
			if n < 4 {
				t.Fatalf("only %d records", n)
			}
			return
		}
		j.Journal.Close()
		t.Run(fmt.Sprint("record ", n), func(t *testing.T) {
			r := reopen(t, s, dir, func(event.Event) {}).Recover(context.Background())
			if r.Outcome != model.OutcomeUndone || r.Owner != "node1" {
				t.Errorf("%+v", r)
			}
			checkRestored(t, s)
		})
	}
}

func dieAt(n int) func(journal.Record) {
	seen := 0
	return func(journal.Record) {
		if seen++; seen == n {
			panic(crash{n})
		}
	}
}

// Each act of a restore may fail once; what was begun is carried on by recover.
func TestFaultsInRestore(t *testing.T) {
	for _, call := range []string{"node2.rename", "node2.define", "node2.mark", "node2.autostart", "node1.rename", "node1.define", "node1.unmark", "node1.autostart", "node1.start"} {
		t.Run(call, func(t *testing.T) {
			dir := t.TempDir()
			s := movedSim(t, dir)
			s.dst.st = simOff
			s.fail[call] = errSaid
			r := reopen(t, s, dir, func(event.Event) {}).Restore(context.Background())
			if r.Outcome != model.OutcomePerson || !strings.Contains(r.Next, "recover") {
				t.Fatalf("%+v", r)
			}
			if s.src.st.Live() {
				t.Error("the source runs before the restore was whole")
			}
			delete(s.fail, call)
			if r := reopen(t, s, dir, func(event.Event) {}).Recover(context.Background()); r.Outcome != model.OutcomeUndone {
				t.Errorf("%+v", r)
			}
			checkRestored(t, s)
		})
	}
}

// Once the target is seen fenced and that is durable, its silence keeps nobody.
func TestRestoreGoesOnWithoutAFencedTarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := movedSim(t, dir)
	s.dst.st = simOff
	s.fail["node1.start"] = errSaid
	reopen(t, s, dir, func(event.Event) {}).Restore(context.Background())
	delete(s.fail, "node1.start")
	s.dst.silent = true
	if r := reopen(t, s, dir, func(event.Event) {}).Recover(context.Background()); r.Outcome != model.OutcomeUndone || s.src.st.State != model.StateRunning {
		t.Errorf("%+v %s", r, s.state())
	}
}

// Both run, as after a start by hand: whichever is kept, the other is off and
// cannot start before the kept one goes on.
func TestKeepEither(t *testing.T) {
	for keep, want := range map[model.NodeName]string{"node1": "running+auto shutoff volumes=1", "node2": "shutoff running+auto volumes=1"} {
		t.Run(string(keep), func(t *testing.T) {
			dir := t.TempDir()
			s := movedSim(t, dir)
			// Somebody made the source startable and started it.
			s.src.st, s.src.definition = simRunning, simXML
			s.files = map[string]bool{"/img/web.qcow2": true}
			s.broken = ""
			r := reopen(t, s, dir, func(event.Event) {}).Recover(context.Background())
			if r.Outcome != model.OutcomePerson || s.src.st.State != model.StatePaused {
				t.Fatalf("%+v %s", r, s.state())
			}
			// Again: it stays a person's matter though the source is paused now.
			j := reopen(t, s, dir, func(event.Event) {})
			if r = j.Recover(context.Background()); r.Outcome != model.OutcomePerson || s.dst.st.State != model.StateRunning {
				t.Fatalf("%+v %s", r, s.state())
			}
			if d := j.Facts(context.Background()); len(d.Choices) != 2 || len(d.Sides) != 2 || d.Choices[0].Command == "" || d.Choices[1].Command == "" {
				t.Errorf("facts: %+v", d)
			}
			s.broken = ""
			r = reopen(t, s, dir, func(event.Event) {}).Keep(context.Background(), keep)
			if r.Owner != keep || r.Outcome == model.OutcomePerson || s.state() != want {
				t.Errorf("%+v\n%s, want %s", r, s.state(), want)
			}
			if s.broken != "" {
				t.Error(s.broken)
			}
			r = reopen(t, s, dir, func(event.Event) {}).Keep(context.Background(), other(keep))
			if r.Outcome != model.OutcomePerson || s.state() != want {
				t.Errorf("the other one afterwards: %+v %s", r, s.state())
			}
		})
	}
}

func other(n model.NodeName) model.NodeName {
	if n == "node1" {
		return "node2"
	}
	return "node1"
}

func TestTombstoneOfATombstone(t *testing.T) {
	const xml = `<domain><devices><disk type='file' device='disk'><source file='/img/web.qcow2'/></disk></devices></domain>`
	once, ok, err := tombstone(xml, "node2", "k3f9x2")
	if err != nil || !ok {
		t.Fatal(err)
	}
	twice, _, err := tombstone(once, "node2", "k3f9x2")
	if err != nil || once != twice {
		t.Errorf("%s\n%s", once, twice)
	}
}
