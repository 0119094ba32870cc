package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/google/renameio/v2"

	"horcrux/engine/model"
	"horcrux/engine/queue"
)

// ticketSuffix ends the name of a move's entry in the queue.
const ticketSuffix = ".json"

func (s *Store) queueDir() string { return filepath.Join(s.root, "queue") }

func (s *Store) ticket(id model.JobID) string {
	return filepath.Join(s.queueDir(), string(id)+ticketSuffix)
}

// LockQueue waits for the right to change the queue. It is held only for as
// long as a few small files take to read and write, and the kernel lets go of it
// when its holder dies.
func (s *Store) LockQueue(ctx context.Context) (*flock.Flock, error) {
	l := flock.New(filepath.Join(s.locksDir(), "queue.lock"), lockOptions...)
	if _, err := l.TryLockContext(ctx, 20*time.Millisecond); err != nil {
		return nil, fmt.Errorf("cannot lock the queue of moves: %w", err)
	}
	return l, nil
}

// PutTicket writes a move's entry in the queue, whole or not at all.
func (s *Store) PutTicket(e queue.Entry) error {
	if !idPattern.MatchString(string(e.Job)) {
		return fmt.Errorf("cannot queue job %q: %w", e.Job, ErrNoJob)
	}
	b, err := json.Marshal(e)
	if err == nil {
		err = renameio.WriteFile(s.ticket(e.Job), b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot queue job %s: %w", e.Job, err)
	}
	return nil
}

// DropTicket takes a move out of the queue.
func (s *Store) DropTicket(id model.JobID) { _ = os.Remove(s.ticket(id)) }

// Queue lists the moves that wait or are under way, in the order in which they
// came. An entry counts only as long as the process of its job lives: one that
// was killed has left by that.
func (s *Store) Queue() ([]queue.Entry, error) {
	files, err := os.ReadDir(s.queueDir())
	if err != nil {
		return nil, fmt.Errorf("cannot read the queue of moves: %w", err)
	}
	var all []queue.Entry
	for _, f := range files {
		id, ok := strings.CutSuffix(f.Name(), ticketSuffix)
		if !ok || !idPattern.MatchString(id) {
			continue
		}
		if !s.Alive(model.JobID(id)) {
			// A job moves once, so nobody writes this entry again.
			s.DropTicket(model.JobID(id))
			continue
		}
		b, err := os.ReadFile(filepath.Join(s.queueDir(), f.Name()))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		var e queue.Entry
		if err == nil {
			err = json.Unmarshal(b, &e)
		}
		if err != nil || string(e.Job) != id {
			return nil, fmt.Errorf("cannot read the queue of moves: %s is damaged (%w): remove it if job %s is over", s.ticket(model.JobID(id)), err, id)
		}
		all = append(all, e)
	}
	slices.SortFunc(all, queue.Before)
	return all, nil
}
