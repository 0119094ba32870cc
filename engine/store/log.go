package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/gofrs/flock"
)

const (
	logName    = "copy.log"
	lockName   = "copy.lock"
	logVersion = 1
	maxLine    = 1 << 20
)

// Kinds of records. A record is in the log only when what it says is on the
// disk of the node that it speaks of.
const (
	recFile      = "file"      // the copy of a file begins, from nothing
	recWindow    = "window"    // a window was read from the target's disk and is equal
	recVerified  = "verified"  // all of the file is there, and flushed
	recPublished = "published" // it has its final name
	recWithdrawn = "withdrawn" // the partial or published file is gone again
)

// record is one line of the log: the CRC-32 of the rest, a space, JSON.
type record struct {
	V      int    `json:"v"`
	Kind   string `json:"kind"`
	Job    string `json:"job,omitempty"`
	Target string `json:"target"`

	Source string `json:"source,omitempty"`
	// Was is the source as it was when its copy began; Inode the partial file.
	Was   *Stat  `json:"was,omitempty"`
	Inode uint64 `json:"inode,omitempty"`

	// Window names a window by a hash over its extents, Sum is the sha256 of its
	// bytes, Bytes how many those are.
	Window string `json:"window,omitempty"`
	Sum    string `json:"sum,omitempty"`
	Bytes  int64  `json:"bytes,omitempty"`
}

// done is a window that is on the target's disk and proved equal.
type done struct {
	sum   string
	bytes int64
}

// entry is what the log knows of one file.
type entry struct {
	job       string
	source    string
	was       Stat
	inode     uint64
	windows   map[string]done
	sum       string // of the whole file, once verified
	bytes     int64
	verified  bool
	published bool
}

// history is the log, folded: by target.
type history map[string]*entry

// apply folds one record in; what makes no sense is an error.
func (h history) apply(r record) error {
	if r.V != logVersion {
		return fmt.Errorf("a record of version %d, this program reads %d", r.V, logVersion)
	}
	if r.Kind == recFile {
		if r.Was == nil || r.Source == "" || r.Target == "" {
			return errors.New("a file without its source")
		}
		h[r.Target] = &entry{job: r.Job, source: r.Source, was: *r.Was, inode: r.Inode, windows: map[string]done{}}
		return nil
	}
	e := h[r.Target]
	if e == nil {
		return fmt.Errorf("a %s of a file that was not begun", r.Kind)
	}
	switch r.Kind {
	case recWindow:
		if len(r.Sum) != 64 || r.Window == "" || r.Bytes < 0 {
			return errors.New("a window without its hash")
		}
		e.windows[r.Window] = done{r.Sum, r.Bytes}
	case recVerified:
		e.verified, e.sum, e.bytes = true, r.Sum, r.Bytes
	case recPublished:
		e.published = true
	case recWithdrawn:
		delete(h, r.Target)
	default:
		return fmt.Errorf("an unknown record %q", r.Kind)
	}
	return nil
}

// readLog folds a log and tells how many of its bytes are good. Reading stops
// at the first record that is cut off, damaged or of no sense: what follows is
// forgotten, and copied again. Only a log of another version is an error.
func readLog(r io.Reader) (history, int64, error) {
	h := history{}
	var good int64
	in := bufio.NewReaderSize(r, 64<<10)
	for {
		line, err := in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			head := bytes.Clone(line)
			var rest []byte
			if rest, err = in.ReadBytes('\n'); len(rest) > maxLine {
				return h, good, nil
			}
			line = append(head, rest...)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return h, good, nil
			}
			return h, good, err
		}
		rec, ok := parseRecord(line[:len(line)-1])
		if !ok {
			return h, good, nil
		}
		if rec.V > logVersion {
			return nil, 0, fmt.Errorf("cannot go on with the copy: its log is of version %d, this program reads %d", rec.V, logVersion)
		}
		if h.apply(rec) != nil {
			return h, good, nil
		}
		good += int64(len(line))
	}
}

func parseRecord(line []byte) (record, bool) {
	sum, text, ok := bytes.Cut(line, []byte(" "))
	if !ok || string(sum) != fmt.Sprintf("%08x", crc32.ChecksumIEEE(text)) {
		return record{}, false
	}
	var rec record
	if err := json.Unmarshal(text, &rec); err != nil {
		return record{}, false
	}
	return rec, true
}

func (r record) line() ([]byte, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text), nil
}

// log is an open log. All methods may be called from any goroutine.
type log struct {
	mu     sync.Mutex
	f      *os.File
	lock   *flock.Flock
	known  history
	broken error
}

// openLog opens the log in a folder, or makes it. One process at a time has it.
func openLog(dir string) (*log, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot keep the log of the copy: %w", err)
	}
	l := &log{lock: flock.New(filepath.Join(dir, lockName))}
	got, err := l.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("cannot lock the log of the copy: %w", err)
	}
	if !got {
		return nil, fmt.Errorf("cannot copy: another process is at it (it holds %s)", filepath.Join(dir, lockName))
	}
	if err := l.open(dir); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *log) open(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, logName), os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("cannot open the log of the copy: %w", err)
	}
	l.f = f
	known, good, err := readLog(f)
	if err != nil {
		return err
	}
	l.known = known
	if err := f.Truncate(good); err != nil {
		return fmt.Errorf("cannot mend the log of the copy: %w", err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// write makes a record durable. After a failure nothing more is written: half a
// line may be on the disk, which the next opening cuts off.
func (l *log) write(r record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	r.V = logVersion
	line, err := r.line()
	if err == nil {
		_, err = l.f.Write(line)
	}
	if err == nil {
		err = l.f.Sync()
	}
	if err == nil {
		err = l.known.apply(r)
	}
	if err != nil {
		l.broken = fmt.Errorf("cannot write the log of the copy: %w", err)
	}
	return l.broken
}

// entry gives a copy of what is known of a target; the windows are shared and
// read with window.
func (l *log) entry(target string) (entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.known[target]
	if !ok {
		return entry{}, false
	}
	return *e, true
}

// window tells whether a window is done.
func (l *log) window(target, id string) (done, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, ok := l.known[target]
	if !ok {
		return done{}, false
	}
	d, ok := e.windows[id]
	return d, ok
}

func (l *log) close() {
	if l.f != nil {
		l.f.Close()
	}
	_ = l.lock.Unlock()
}
