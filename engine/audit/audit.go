// Package audit keeps the list of all acts: who did what, where, and what came
// of it. The list is only ever added to, one JSON line for each act; every line
// carries the hash of the one before, so that a line cannot be changed, taken
// out or put in without all that follow it being made anew.
//
// It holds no secrets: who acts, and what on, are names. It cannot tell that
// lines are missing at its end; whoever must know that keeps a copy of the last
// hash somewhere else (horcrux audit verify prints it).
package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"golang.org/x/sys/unix"
)

// FileName is the log's name in the state folder.
const FileName = "audit.jsonl"

const (
	// maxField and maxLine bound what one act may take.
	maxField = 2000
	maxLine  = 32 << 10
)

// Entry is one act. What is empty is left out.
type Entry struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	Actor
	// Act is what was done: migrate, abort, tune, confirm, rollback, recover, one
	// of the life cycle of a VM (start, shutdown, …), or accept-host-key.
	Act  string `json:"act"`
	Job  string `json:"job,omitempty"`
	VM   string `json:"vm,omitempty"` // name, or UUID
	Node string `json:"node,omitempty"`
	To   string `json:"to,omitempty"`
	// Outcome is begun, done, refused, failed, or the outcome of a job.
	Outcome string `json:"outcome"`
	Detail  string `json:"detail,omitempty"`
	// Prev is the SHA-256 of the line before, without its end; empty in the first.
	Prev string `json:"prev"`
}

// Log is the audit log of one state folder. Any number of processes may add to
// it at once.
type Log struct {
	path string
	now  func() time.Time
}

// Open names the log in a state folder; the file is made with the first act.
func Open(dir string) *Log { return &Log{path: filepath.Join(dir, FileName), now: time.Now} }

// Path is the log's file.
func (l *Log) Path() string { return l.path }

// Append adds an act and returns when it is on disk. Seq, Time and Prev are
// filled in.
func (l *Log) Append(e Entry) error {
	f, err := l.lock()
	if err != nil {
		return fmt.Errorf("cannot write the audit log: %w", err)
	}
	defer f.Close() // lets go of the lock
	if err := l.add(f, e); err != nil {
		return fmt.Errorf("cannot write the audit log %s: %w", l.path, err)
	}
	return nil
}

// Ready tells why an act could not be written, before it is done.
func (l *Log) Ready() error {
	f, err := l.lock()
	if err != nil {
		return fmt.Errorf("cannot write the audit log: %w", err)
	}
	return f.Close()
}

// lock opens the file, which may not be a link, and takes it for this process.
func (l *Log) lock() (*os.File, error) {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a link: remove it", l.path)
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file: remove it", l.path)
	}
	if err == nil && st.Mode().Perm()&0o077 != 0 {
		err = f.Chmod(0o600)
	}
	for err == nil {
		// A signal may end the wait; nobody holds the lock for long.
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); !errors.Is(err, unix.EINTR) {
			break
		}
		err = nil
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (l *Log) add(f *os.File, e Entry) error {
	last, whole, err := lastLine(f)
	if err != nil {
		return err
	}
	var before Entry
	if last != nil {
		e.Prev = hash(last)
		if json.Unmarshal(last, &before) != nil {
			before.Seq = 0 // cut off by a crash, or damaged: verify tells
		}
	}
	e.Seq, e.Time = before.Seq+1, l.now().UTC()
	e.clean()
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if !whole {
		line = append([]byte{'\n'}, line...)
	}
	if _, err := f.Write(line); err != nil {
		return err
	}
	return f.Sync()
}

// lastLine is the last line without its end, nil if there is none, and whether
// it has an end.
func lastLine(f *os.File) (line []byte, whole bool, err error) {
	st, err := f.Stat()
	if err != nil || st.Size() == 0 {
		return nil, true, err
	}
	n := min(st.Size(), maxLine)
	buf := make([]byte, n)
	if _, err := f.ReadAt(buf, st.Size()-n); err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	whole = buf[n-1] == '\n'
	if whole {
		buf = buf[:n-1]
	}
	if i := bytes.LastIndexByte(buf, '\n'); i >= 0 {
		buf = buf[i+1:]
	} else if n == maxLine {
		return nil, false, errors.New("its last line is too long: move the file away")
	}
	return buf, whole, nil
}

func hash(line []byte) string {
	s := sha256.Sum256(line)
	return hex.EncodeToString(s[:])
}

// clean keeps every field one line of bounded length.
func (e *Entry) clean() {
	for _, s := range []*string{
		&e.User, &e.SudoUser, &e.SSH, &e.Act, &e.Job, &e.VM, &e.Node, &e.To, &e.Outcome, &e.Detail,
	} {
		*s = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.C, r) {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(*s, "?"))
		if r := []rune(*s); len(r) > maxField {
			*s = string(r[:maxField]) + "…"
		}
	}
}
