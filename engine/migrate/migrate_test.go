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

func simPlan() *model.Plan {
	return &model.Plan{
		Request: model.Request{VM: "c0ffee00-0000-4000-8000-000000000001", From: "node1", To: "node2", Mode: model.ModeLive},
		VMName:  "web", Was: simRunning, Autostart: true, Memory: 256 << 20, MigrateHost: "10.0.0.2",
		Disks: []model.DiskPlan{{
			Disk:     model.Disk{Target: "vda", Device: "disk", Type: "file", Source: "/img/web.qcow2", Format: "qcow2", Capacity: 64 << 20},
			Decision: model.DiskCopy, Pool: "images", Path: "/img/web.qcow2", Create: true,
		}},
	}
}

func simJob(t *testing.T, s *sim, plan *model.Plan) *Job {
	t.Helper()
	j, err := journal.Create(t.TempDir(), "k3f9x2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	if err := j.Append(journal.Record{Kind: journal.Planned, Plan: plan}); err != nil {
		t.Fatal(err)
	}
	return New(s.env(j, func(event.Event) {}))
}

// state is the two hosts in one line: what a person would see there.
func (s *sim) state() string {
	side := func(h simHost) string {
		w := string(h.st.State)
		if h.st.State == model.StatePaused {
			w += "(" + h.st.Reason + ")"
		}
		if h.autostart {
			w += "+auto"
		}
		if h.marked {
			w += "+mark"
		}
		return w
	}
	return fmt.Sprintf("%s %s volumes=%d", side(s.src), side(s.dst), len(s.volumes))
}

func TestFaults(t *testing.T) {
	const (
		moved  = "shutoff running+auto volumes=1"
		undone = "running+auto missing volumes=0"
	)
	tests := []struct {
		name    string
		fault   func(s *sim)
		outcome model.Outcome
		owner   model.NodeName
		state   string
	}{
		{"nothing goes wrong", func(*sim) {}, model.OutcomeDone, "node2", moved},
		{"mark fails", func(s *sim) { s.fail["node1.mark"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"create fails", func(s *sim) { s.fail["node2.create"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"begin fails", func(s *sim) { s.fail["begin"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"prepare fails", func(s *sim) { s.fail["prepare"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"prepare's answer is lost", func(s *sim) { s.lose["prepare"] = errLost }, model.OutcomeUndone, "node1", undone},
		{"perform fails", func(s *sim) { s.fail["perform"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"perform's answer is lost", func(s *sim) { s.lose["perform"] = errLost }, model.OutcomeUndone, "node1", undone},
		{"finish fails", func(s *sim) { s.fail["finish"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"finish's answer is lost", func(s *sim) { s.lose["finish"] = errLost }, model.OutcomeDone, "node2", moved},
		{"a gate check fails", func(s *sim) { s.fail["health-gate"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"resume is refused", func(s *sim) { s.fail["node2.resume"] = errSaid }, model.OutcomeUndone, "node1", undone},
		{"resume's answer is lost", func(s *sim) { s.lose["node2.resume"] = errLost }, model.OutcomeDone, "node2", moved},
		{"confirm fails", func(s *sim) { s.fail["confirm"] = errSaid }, model.OutcomeDone, "node2", moved},
		{"confirm's answer is lost", func(s *sim) { s.lose["confirm"] = errLost }, model.OutcomeDone, "node2", moved},
		{"a check fails afterwards", func(s *sim) { s.fail["health-after"] = errSaid }, model.OutcomeDegraded, "node2", moved},
		{"the rename fails", func(s *sim) { s.fail["node1.rename"] = errSaid }, model.OutcomePerson, "node2", "shutoff running volumes=1"},
		{"cancelling the confirm fails", func(s *sim) {
			s.fail["health-gate"], s.fail["confirm-cancelled"] = errSaid, errSaid
		}, model.OutcomeUndone, "node1", undone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSim()
			tt.fault(s)
			j := simJob(t, s, simPlan())
			r := j.Run(context.Background())
			if r.Outcome != tt.outcome || r.Owner != tt.owner {
				t.Errorf("%s on %q, want %s on %s: %s\n%s", r.Outcome, r.Owner, tt.outcome, tt.owner, r.Reason, strings.Join(s.calls, " "))
			}
			if s.state() != tt.state {
				t.Errorf("hosts: %s\nwant:  %s\n%s", s.state(), tt.state, strings.Join(s.calls, " "))
			}
			if s.broken != "" {
				t.Error(s.broken)
			}
			if r.Outcome != model.OutcomeDone && (r.Reason == "" || r.Next == "") {
				t.Errorf("a failure without cause or next step: %+v", r)
			}
		})
	}
}

// A domain that another console has marked is left as it is.
func TestAnotherConsolesMarkIsRespected(t *testing.T) {
	s := newSim()
	s.src.claimed = "zz9999"
	j := simJob(t, s, simPlan())
	r := j.Run(context.Background())
	if r.Outcome != model.OutcomeUndone || !strings.Contains(r.Reason, "zz9999") {
		t.Errorf("%+v", r)
	}
	for _, c := range s.calls {
		if strings.HasSuffix(c, "mark") && !strings.HasSuffix(c, "readmark") || strings.HasSuffix(c, "autostart") {
			t.Errorf("%s on a domain of another move", c)
		}
	}
}

func TestConfirmAfterMove(t *testing.T) {
	s := newSim()
	j := simJob(t, s, simPlan())
	if r := j.Run(context.Background()); r.Outcome != model.OutcomeDone {
		t.Fatal(r.Reason)
	}
	if !s.files["/img/web.qcow2.migrated-k3f9x2"] || s.files["/img/web.qcow2"] {
		t.Errorf("files on the source: %v", s.files)
	}
	if !strings.Contains(s.src.definition, "/img/web.qcow2.moved-to-node2-by-k3f9x2") {
		t.Errorf("tombstone: %s", s.src.definition)
	}
	if err := j.Confirm(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(s.files) != 0 || s.src.st.State != model.StateMissing {
		t.Errorf("left on the source: %v %v", s.files, s.src.st)
	}
	if err := j.Confirm(context.Background()); err != nil {
		t.Errorf("again: %v", err)
	}
}

func TestConfirmRefusesWithoutTheTarget(t *testing.T) {
	for name, spoil := range map[string]func(s *sim){
		"target silent":  func(s *sim) { s.dst.silent = true },
		"target lost it": func(s *sim) { s.dst.st = simGone },
		"source runs it": func(s *sim) { s.dst.st = simOff; s.src.st = simRunning },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSim()
			j := simJob(t, s, simPlan())
			j.Run(context.Background())
			spoil(s)
			if err := j.Confirm(context.Background()); err == nil {
				t.Error("confirmed")
			}
			if !s.files["/img/web.qcow2.migrated-k3f9x2"] {
				t.Error("the last copy is gone")
			}
		})
	}
}

func TestUserPausedStaysPaused(t *testing.T) {
	for _, fails := range []bool{false, true} {
		s := newSim()
		s.src.st = simPU
		if fails {
			s.fail["health-gate"] = errSaid
		}
		p := simPlan()
		p.Was = simPU
		j := simJob(t, s, p)
		r := j.Run(context.Background())
		want := "shutoff paused(user)+auto volumes=1"
		if fails {
			want = "paused(migration)+auto missing volumes=0"
		}
		if s.state() != want {
			t.Errorf("fails=%v: %s, want %s: %+v", fails, s.state(), want, r)
		}
		for _, c := range s.calls {
			if strings.HasSuffix(c, "resume") {
				t.Errorf("%s of a VM that its user had paused", c)
			}
		}
	}
}

func TestAbortBeforeTheSwitch(t *testing.T) {
	s := newSim()
	j := simJob(t, s, simPlan())
	if err := j.Do(model.Command{Kind: model.CommandAbort}); err != nil {
		t.Fatal(err)
	}
	r := j.Run(context.Background())
	if r.Outcome != model.OutcomeUndone || s.src.st.State != model.StateRunning {
		t.Errorf("%+v, %s", r, s.state())
	}
	s = newSim()
	j = simJob(t, s, simPlan())
	j.Run(context.Background())
	if err := j.Do(model.Command{Kind: model.CommandAbort}); err == nil {
		t.Error("an abort was taken after the switch")
	}
}

// crash stops a move dead at one journal record.
type crash struct{ at int }

// TestCrashAtEveryRecord ends the process at each durable record, recovers with
// a new one, and looks at what is left.
func TestCrashAtEveryRecord(t *testing.T) {
	for n := 1; ; n++ {
		s := newSim()
		dir := t.TempDir()
		jn, err := journal.Create(dir, "k3f9x2", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		_ = jn.Append(journal.Record{Kind: journal.Planned, Plan: simPlan()})
		seen := 0
		var last journal.Kind
		jn.After = func(r journal.Record) {
			if seen++; seen == n {
				last = r.Kind
				panic(crash{n})
			}
		}
		j := coldJob(t, s, jn)
		if !diesIn(func() { j.Run(context.Background()) }) {
			jn.Close()
			if n < 8 {
				t.Fatalf("only %d records", n)
			}
			return
		}
		jn.Close()
		// What libvirt drops when the process's connections close.
		if s.dst.incoming {
			s.dst.st, s.dst.incoming = simGone, false
		}
		s.src.job = false
		t.Run(fmt.Sprintf("%d-%s", n, last), func(t *testing.T) {
			jn, err := journal.Open(dir, "k3f9x2", time.Now)
			if err != nil {
				t.Fatal(err)
			}
			defer jn.Close()
			r := coldJob(t, s, jn).Recover(context.Background())
			switch s.state() {
			case "running+auto missing volumes=0", "shutoff running+auto volumes=1":
			default:
				t.Errorf("after recovery: %s (%+v)", s.state(), r)
			}
			if s.broken != "" {
				t.Error(s.broken)
			}
		})
	}
}

func diesIn(f func()) (died bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crash); !ok {
				panic(r)
			}
			died = true
		}
	}()
	f()
	return false
}

// TestCrashInConfirm ends the process at each record of a confirm. What was let
// go of stays so, and once that is written down no host is touched any more:
// the VM may have come back to the source since.
func TestCrashInConfirm(t *testing.T) {
	for n, want := range []journal.Kind{journal.ConfirmIntent, journal.Confirmed} {
		s, dir := newSim(), t.TempDir()
		jn, err := journal.Create(dir, "k3f9x2", time.Now)
		if err != nil {
			t.Fatal(err)
		}
		_ = jn.Append(journal.Record{Kind: journal.Planned, Plan: simPlan()})
		j := New(s.env(jn, func(event.Event) {}))
		if r := j.Run(t.Context()); r.Outcome != model.OutcomeDone {
			t.Fatalf("%+v", r)
		}
		jn.After = dieAt(n + 1)
		if !diesIn(func() { _ = j.Confirm(t.Context()) }) || jn.View().Last != want {
			t.Fatalf("died at %s, want %s", jn.View().Last, want)
		}
		jn.Close()
		if want == journal.Confirmed {
			s.dst.st, s.src.st = simGone, simRunning
		}
		before := s.state()
		if jn, err = journal.Open(dir, "k3f9x2", time.Now); err != nil {
			t.Fatal(err)
		}
		defer jn.Close()
		r := New(s.env(jn, func(event.Event) {})).Recover(t.Context())
		if r.Outcome != model.OutcomeDone || !r.Confirmed || r.Owner != "node2" {
			t.Errorf("killed at %s: %+v", want, r)
		}
		if want == journal.Confirmed && s.state() != before || s.broken != "" {
			t.Errorf("killed at %s: %s, was %s; %s", want, s.state(), before, s.broken)
		}
	}
}

// TestTransientStaysTransient: the definition that the target needs for the
// proof that it never ran goes with the confirm.
func TestTransientStaysTransient(t *testing.T) {
	s, p := newSim(), simPlan()
	p.Transient = true
	j := simJob(t, s, p)
	if r := j.Run(t.Context()); r.Outcome != model.OutcomeDone {
		t.Fatal(r.Reason)
	}
	if err := j.Confirm(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := s.dst.st; st.State != model.StateRunning || st.Persistent {
		t.Errorf("on the target: %+v", st)
	}
}
