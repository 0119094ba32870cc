package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"horcrux/config"
	"horcrux/engine/jobs"
	"horcrux/engine/migrate"
	"horcrux/engine/model"
)

// waiting makes a job's process as far as the queue is concerned, with locks of
// its own as another process has them.
func waiting(t *testing.T, s *jobs.Store, n int, perNode int) *process {
	t.Helper()
	id, err := s.Make()
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.Migration.ParallelPerNode = perNode
	p, unlock, err := open(Order{
		Purpose: Move, StateDir: s.Root(), Job: id, Config: cfg,
		Plan: &model.Plan{
			Request: model.Request{VM: model.UUID(fmt.Sprintf("vm-%d", n)), From: "node1", To: model.NodeName(fmt.Sprintf("node%d", 2+n%2))},
			VMName:  fmt.Sprintf("vm%d", n),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(unlock)
	return p
}

// Ten processes ask at the same time, again and again: never more than the limit
// are let in, and in the end all of them were.
func TestProcessesNeverPassTheLimit(t *testing.T) {
	s, err := jobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const limit = 2
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		under int
		most  int
	)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for n := range 10 {
		p := waiting(t, s, n, limit)
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := p.await(ctx); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			under++
			most = max(most, under)
			mu.Unlock()
			all, err := s.Queue()
			admitted := 0
			for _, e := range all {
				if !e.Admitted.IsZero() {
					admitted++
				}
			}
			if err != nil || admitted > limit {
				t.Errorf("%d are under way: %v", admitted, err)
			}
			mu.Lock()
			under--
			mu.Unlock()
			s.DropTicket(p.order.Job)
		}()
	}
	wg.Wait()
	if most > limit {
		t.Errorf("%d were under way at the same time", most)
	}
}

func TestTakenOutOfTheQueue(t *testing.T) {
	s, err := jobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	first, second := waiting(t, s, 0, 1), waiting(t, s, 1, 1)
	if err := first.await(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- second.await(t.Context()) }()
	// Taken before or while it waits: both end it.
	if err := second.take(model.Command{Kind: model.CommandAbort}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, migrate.ErrAborted) {
		t.Errorf("ended with %v", err)
	}
	second.notBegun(t.Context(), migrate.ErrAborted, time.Second)
	v := second.journal.View()
	if r := v.Result; r == nil || r.Outcome != model.OutcomeRefused || r.Owner != "node1" || !strings.Contains(r.Reason, "queue") {
		t.Errorf("result %+v", r)
	}
	if job, err := s.Viewer().Job(second.order.Job); err != nil || job.State != model.JobRefused {
		t.Errorf("%+v %v", job.State, err)
	}
}

func TestTheLockOfAnotherJobIsNamed(t *testing.T) {
	s, err := jobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := waiting(t, s, 0, 1)
	id, err := s.Make()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = open(Order{Purpose: Move, StateDir: s.Root(), Job: id, Plan: p.plan()})
	if !errors.Is(err, jobs.ErrBusy) || !strings.Contains(err.Error(), "job "+string(p.order.Job)) || !strings.Contains(err.Error(), "horcrux abort") {
		t.Errorf("%v", err)
	}
	if _, err := s.Viewer().Job(id); err == nil {
		t.Error("a move that was refused left a job")
	}
}

func TestWhereNothingWasDone(t *testing.T) {
	if !nothingDone("queued") || !nothingDone("replanned") || nothingDone("marking") || nothingDone("rollback-intent") {
		t.Error("a record that announces an act counts as none")
	}
}
