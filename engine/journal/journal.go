package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"horcrux/engine/model"
)

// FileName is the name of the journal inside a job's folder.
const FileName = "journal.jsonl"

// maxRecord bounds one record: a plan with two domain definitions fits well.
const maxRecord = 16 << 20

// ErrDecided says that the opposite decision was already written.
var ErrDecided = errors.New("the opposite was already decided")

// Journal is an open journal. One goroutine at a time may use it.
type Journal struct {
	f    *os.File
	job  model.JobID
	view View
	now  func() time.Time
	// broken is set once a write failed: half a record may be on disk, and
	// nothing may follow it before Open has cut it off.
	broken error
	// After is called after each durable record; crash tests stop there.
	After func(Record)
}

// Create makes the journal of a new job in its folder, which must exist.
func Create(dir string, job model.JobID, now func() time.Time) (*Journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|os.O_CREATE|os.O_EXCL|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot create journal of job %s: %w", job, err)
	}
	if err := syncDir(dir); err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot create journal of job %s: %w", job, err)
	}
	return &Journal{f: f, job: job, now: now}, nil
}

// Open opens the journal of a job for going on with it. A last record that was
// cut off by a crash is removed: it was not durable, so its act was not done.
func Open(dir string, job model.JobID, now func() time.Time) (*Journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, FileName), os.O_RDWR|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open journal of job %s: %w", job, err)
	}
	view, good, err := replay(f)
	if err == nil {
		err = f.Truncate(good)
	}
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &Journal{f: f, job: job, now: now, view: view}, nil
}

// Read replays a journal without changing it.
func Read(dir string) (View, error) {
	f, err := os.Open(filepath.Join(dir, FileName))
	if err != nil {
		return View{}, err
	}
	defer f.Close()
	v, _, err := replay(f)
	return v, err
}

// replay returns the view and the length of the whole records.
func replay(r io.Reader) (View, int64, error) {
	var (
		v    View
		good int64
	)
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := readLine(in)
		if err == io.EOF {
			return v, good, nil
		}
		if err != nil {
			return v, good, err
		}
		var rec Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return v, good, fmt.Errorf("cannot read journal: record %d is damaged: %w", v.Seq+1, err)
		}
		if v, err = v.apply(rec); err != nil {
			return v, good, err
		}
		good += int64(len(line)) + 1
	}
}

// readLine returns one line without its end; a last line without one is EOF.
func readLine(in *bufio.Reader) ([]byte, error) {
	var buf bytes.Buffer
	for {
		part, err := in.ReadSlice('\n')
		buf.Write(part)
		if buf.Len() > maxRecord {
			return nil, fmt.Errorf("cannot read journal: a record is longer than %d bytes", maxRecord)
		}
		switch {
		case err == nil:
			return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return nil, err
		}
	}
}

// View is what has been written so far.
func (j *Journal) View() View { return j.view }

// Append makes a record durable. CommitIntent and RollbackIntent are refused
// here; they go through Commit and Rollback, which exclude each other.
func (j *Journal) Append(r Record) error {
	if r.Kind == CommitIntent || r.Kind == RollbackIntent {
		return fmt.Errorf("cannot write %s to journal of job %s: it is a decision", r.Kind, j.job)
	}
	return j.write(r)
}

// Commit writes the intent to resume the target, unless undo was decided.
func (j *Journal) Commit() error {
	if j.view.Rollback {
		return fmt.Errorf("cannot commit job %s: %w", j.job, ErrDecided)
	}
	if j.view.KeepsSource() {
		return fmt.Errorf("cannot commit job %s: %w: a person chose %s", j.job, ErrDecided, j.view.Keep)
	}
	if j.view.Epoch != BeforeCommit {
		return fmt.Errorf("cannot commit job %s: it was committed before", j.job)
	}
	return j.write(Record{Kind: CommitIntent})
}

// Rollback writes the intent to undo. After a commit intent it is refused,
// unless the caller has proof, made after the intent, that the target has
// never run: a resume that was refused by an answer, and the target seen
// paused or destroyed since. The proof goes into the record.
func (j *Journal) Rollback(reason, proof string, rights ...model.Rights) error {
	switch {
	case j.view.Rollback:
		return nil
	case j.view.Epoch == AfterCommit:
		return fmt.Errorf("cannot undo job %s: %w: the target has the VM", j.job, ErrDecided)
	case j.view.Epoch == CommitUnknown && proof == "":
		return fmt.Errorf("cannot undo job %s: %w: the target may have run", j.job, ErrDecided)
	}
	if proof != "" {
		reason += "; proof: " + proof
	}
	return j.write(Record{Kind: RollbackIntent, Note: reason, Rights: rights})
}

func (j *Journal) write(r Record) error {
	if j.broken != nil {
		return j.broken
	}
	r.V, r.Seq, r.Time, r.Job = Version, j.view.Seq+1, j.now().UTC(), j.job
	next, err := j.view.apply(r)
	if err != nil {
		return err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("cannot write journal of job %s: %w", j.job, err)
	}
	if _, err := j.f.Write(append(line, '\n')); err != nil {
		j.broken = fmt.Errorf("cannot write journal of job %s: %w: free space there before going on", j.job, err)
		return j.broken
	}
	if err := j.f.Sync(); err != nil {
		j.broken = fmt.Errorf("cannot make journal of job %s durable: %w", j.job, err)
		return j.broken
	}
	j.view = next
	if j.After != nil {
		j.After(r)
	}
	return nil
}

// Close closes the file; what was appended stays.
func (j *Journal) Close() error { return j.f.Close() }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
