package jobs

import (
	"context"
	"errors"
	"testing"
	"time"

	"horcrux/engine/queue"
)

func TestTicketsOfTheLivingCount(t *testing.T) {
	s := store(t)
	a, _ := newJob(t, s)
	b, _ := newJob(t, s)
	at := time.Now().UTC()
	la, err := s.Lock(a)
	if err != nil {
		t.Fatal(err)
	}
	lb, err := s.Lock(b)
	if err != nil {
		t.Fatal(err)
	}
	defer lb.Unlock()
	for i, id := range []queue.Entry{{Job: b, Enqueued: at.Add(time.Second)}, {Job: a, Enqueued: at}} {
		if err := s.PutTicket(id); err != nil {
			t.Fatal(i, err)
		}
	}
	q, err := s.Queue()
	if err != nil || len(q) != 2 || q[0].Job != a || q[1].Job != b {
		t.Errorf("queue = %+v, %v", q, err)
	}
	_ = la.Unlock() // as the kernel does for a process that was killed
	if q, _ := s.Queue(); len(q) != 1 || q[0].Job != b {
		t.Errorf("after one died: %+v", q)
	}
	s.DropTicket(b)
	if q, _ := s.Queue(); len(q) != 0 {
		t.Errorf("after the other left: %+v", q)
	}
	if err := s.PutTicket(queue.Entry{Job: "../../x"}); err == nil {
		t.Error("a path was taken for a job")
	}
}

func TestTheQueueHasOneWriter(t *testing.T) {
	s := store(t)
	l, err := s.LockQueue(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := s.LockQueue(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second one: %v", err)
	}
	_ = l.Unlock()
	if l, err = s.LockQueue(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = l.Unlock()
}
