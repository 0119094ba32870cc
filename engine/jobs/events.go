package jobs

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/model"
)

// followEvery is how soon a follower sees what a job said.
const followEvery = 100 * time.Millisecond

// Writer appends what a job says to its folder. It may be used by several
// goroutines. An event that cannot be written is lost to the watchers, never
// to the move: what the move depends on is in the journal.
type Writer struct {
	mu  sync.Mutex
	f   *os.File
	job model.JobID
	seq uint64
	now func() time.Time
}

// Writer opens the stream of a job for going on with it.
func (s *Store) Writer(id model.JobID, now func() time.Time) (*Writer, error) {
	last := s.Last(id)
	f, err := os.OpenFile(filepath.Join(s.Dir(id), eventsFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the event stream of job %s: %w", id, err)
	}
	if err := endLine(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot open the event stream of job %s: %w", id, err)
	}
	return &Writer{f: f, job: id, seq: last, now: now}, nil
}

// Last is the number of the last event of a job, zero for none.
func (s *Store) Last(id model.JobID) uint64 {
	var last uint64
	_ = s.replay(id, 0, func(e event.Event, _ int64) { last = e.Seq })
	return last
}

// endLine closes a line that a crash has torn, so that the next one is whole.
func endLine(f *os.File) error {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return err
	}
	r, err := os.Open(f.Name())
	if err != nil {
		return err
	}
	defer r.Close()
	var last [1]byte
	if _, err := r.ReadAt(last[:], st.Size()-1); err != nil {
		return err
	}
	if last[0] != '\n' {
		_, err = f.Write([]byte{'\n'})
	}
	return err
}

// Emit writes one event and returns it as written.
func (w *Writer) Emit(e event.Event) event.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seq++
	e.Seq, e.Job = w.seq, w.job
	if e.Time.IsZero() {
		e.Time = w.now().UTC()
	}
	if line, err := json.Marshal(e); err == nil {
		_, _ = w.f.Write(append(line, '\n'))
	}
	return e
}

// Close ends the stream.
func (w *Writer) Close() error { return w.f.Close() }

// replay reads whole lines from offset on; one that cannot be read is passed
// over, since the stream may have been torn by a crash.
func (s *Store) replay(id model.JobID, offset int64, each func(e event.Event, end int64)) error {
	f, err := os.Open(filepath.Join(s.Dir(id), eventsFile))
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return err
	}
	in := bufio.NewReader(f)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		offset += int64(len(line))
		var e event.Event
		if json.Unmarshal(bytes.TrimSpace(line), &e) == nil && e.Job == id {
			each(e, offset)
		}
	}
}

// Follow replays what a job said and goes on with what it says, until the job
// has no process and nothing new, or ctx ends.
func (s *Store) Follow(ctx context.Context, id model.JobID) (<-chan event.Event, error) {
	if _, err := os.Stat(s.Dir(id)); err != nil {
		return nil, fmt.Errorf("%w: %q", ErrNoJob, id)
	}
	out := make(chan event.Event, 64)
	go func() {
		defer close(out)
		var offset int64
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for {
			// Asked before reading: what a process wrote before it ended is read.
			alive := s.Alive(id)
			var batch []event.Event
			_ = s.replay(id, offset, func(e event.Event, end int64) { batch, offset = append(batch, e), end })
			for _, e := range batch {
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
			if !alive {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}
