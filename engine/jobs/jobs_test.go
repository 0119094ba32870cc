package jobs

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

func store(t *testing.T) *Store {
	t.Helper()
	// A long name: the socket must work there too.
	s, err := Open(filepath.Join(t.TempDir(), strings.Repeat("x", 120), "horcrux"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newJob(t *testing.T, s *Store) (model.JobID, *journal.Journal) {
	t.Helper()
	id, err := s.Make()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Create(s.Dir(id), id, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	if err := j.Append(journal.Record{Kind: journal.Planned, Plan: &model.Plan{VMName: "web", Request: model.Request{From: "node1", To: "node2"}}}); err != nil {
		t.Fatal(err)
	}
	return id, j
}

func TestOneProcessPerJobAndVM(t *testing.T) {
	s := store(t)
	id, _ := newJob(t, s)
	if s.Alive(id) {
		t.Error("alive without a process")
	}
	l, err := s.Lock(id)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Alive(id) {
		t.Error("not alive though locked")
	}
	if _, err := s.Lock(id); !errors.Is(err, ErrBusy) {
		t.Errorf("second lock: %v", err)
	}
	if err := l.Unlock(); err != nil {
		t.Fatal(err)
	}
	if s.Alive(id) {
		t.Error("alive after the lock went")
	}
	if _, err := s.LockVM("../../etc/passwd"); err == nil {
		t.Error("a path was taken for a UUID")
	}
}

func TestControl(t *testing.T) {
	s := store(t)
	id, _ := newJob(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := s.Send(ctx, id, model.Command{Kind: model.CommandAbort}); !errors.Is(err, ErrNoProcess) {
		t.Errorf("without a process: %v", err)
	}
	l, _ := s.Lock(id)
	defer l.Unlock()
	got := make(chan model.Command, 1)
	if err := s.Serve(ctx, id, func(c model.Command) error {
		if c.Kind == model.CommandConfirm {
			return errors.New("not yet")
		}
		got <- c
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	limit := uint64(20)
	if err := s.Send(ctx, id, model.Command{Kind: model.CommandTune, Bandwidth: &limit}); err != nil {
		t.Fatal(err)
	}
	if c := <-got; c.Kind != model.CommandTune || *c.Bandwidth != 20 {
		t.Errorf("got %+v", c)
	}
	if err := s.Send(ctx, id, model.Command{Kind: model.CommandConfirm}); err == nil || err.Error() != "not yet" {
		t.Errorf("refusal: %v", err)
	}
}

func TestFollowAndView(t *testing.T) {
	s := store(t)
	id, j := newJob(t, s)
	l, _ := s.Lock(id)
	w, err := s.Writer(id, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	view := s.Viewer()
	w.Emit(event.Event{Type: event.TypePhase, Phase: &model.Phase{ID: model.PhasePrepare, Status: model.PhaseActive}})
	if job, err := view.Job(id); err != nil || job.State != model.JobRunning {
		t.Fatalf("job = %+v, %v", job.State, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	ch, err := s.Follow(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if e := <-ch; e.Seq != 1 || e.Phase.ID != model.PhasePrepare {
		t.Errorf("first: %+v", e)
	}
	// A torn line, as a crash leaves it, spoils nothing after it.
	f, _ := os.OpenFile(filepath.Join(s.Dir(id), eventsFile), os.O_WRONLY|os.O_APPEND, 0)
	f.WriteString("{\"torn\n")
	f.Close()
	w.Emit(event.Event{Type: event.TypeLog, Log: &model.LogLine{Text: "hello"}})
	if e := <-ch; e.Seq != 2 {
		t.Errorf("second: %+v", e)
	}
	l.Unlock()
	if _, more := <-ch; more {
		t.Error("goes on after the process ended")
	}
	if job, _ := view.Job(id); job.State != model.JobInterrupted {
		t.Errorf("without a process: %s", job.State)
	}
	f, _ = os.OpenFile(filepath.Join(s.Dir(id), eventsFile), os.O_WRONLY|os.O_APPEND, 0)
	f.WriteString("{\"torn at the end")
	f.Close()
	w2, err := s.Writer(id, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	r := model.Result{Outcome: model.OutcomeUndone, Owner: "node1"}
	if e := w2.Emit(event.Event{Type: event.TypeResult, Result: &r}); e.Seq != 3 {
		t.Errorf("numbering goes on at %d", e.Seq)
	}
	if err := j.Append(journal.Record{Kind: journal.Ended, Result: &r}); err != nil {
		t.Fatal(err)
	}
	jobs, changed, err := view.Jobs()
	if err != nil || !changed || len(jobs) != 1 || jobs[0].State != model.JobUndone {
		t.Errorf("jobs = %+v %v %v", jobs, changed, err)
	}
	if _, changed, _ := view.Jobs(); changed {
		t.Error("changed although nothing happened")
	}
}

func TestResolve(t *testing.T) {
	s := store(t)
	for _, d := range []string{"abc234", "abd234", "zzzzzz"} {
		if err := os.Mkdir(s.Dir(model.JobID(d)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for in, want := range map[string]string{"abc": "abc234", "z": "zzzzzz", "ab": "", "q": "", "": "", "../x": ""} {
		got, err := s.Resolve(in)
		if string(got) != want || (err != nil) != (want == "") {
			t.Errorf("Resolve(%q) = %q, %v", in, got, err)
		}
	}
}

// TestLinksAreRefused: nothing is written where a link leads.
func TestLinksAreRefused(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.Make()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "precious")
	for _, name := range []string{eventsFile, lockFile} {
		if err := os.Symlink(elsewhere, filepath.Join(s.Dir(id), name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Lock(id); err == nil {
		t.Error("a lock through a link")
	}
	if w, err := s.Writer(id, time.Now); err == nil {
		w.Close()
		t.Error("events through a link")
	}
	if _, err := os.Lstat(elsewhere); err == nil {
		t.Error("something was written where a link leads")
	}
}
