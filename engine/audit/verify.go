package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Report is what Verify found.
type Report struct {
	Entries uint64 `json:"entries"`
	// Last is the hash of the last line; kept elsewhere, it shows later that no
	// line was taken off the end.
	Last string `json:"last"`
	// Cut are lines that a crash left unfinished; the chain goes on over them.
	Cut []int `json:"cut,omitempty"`
}

// Broken says where the chain does not hold.
type Broken struct {
	Line   int
	Reason string
}

// Error names the line and what is wrong with it.
func (b *Broken) Error() string {
	return fmt.Sprintf("line %d of the audit log %s: it or the line before was changed", b.Line, b.Reason)
}

// Verify goes through the whole log. The error is a *Broken if a line was
// changed, taken out or put in.
func (l *Log) Verify() (Report, error) {
	var (
		r    Report
		prev string
		seq  uint64
		cut  bool // the line before is not whole
	)
	err := l.each(func(n int, line []byte) error {
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			// Only what follows can tell a crash from a forgery: it carries the hash.
			cut, prev = true, hash(line)
			r.Cut = append(r.Cut, n)
			return nil
		}
		switch {
		case e.Prev != prev:
			return &Broken{n, "does not carry the hash of the line before"}
		case e.Seq != seq+1 && !(cut && e.Seq == 1):
			return &Broken{n, fmt.Sprintf("has the number %d after %d", e.Seq, seq)}
		}
		seq, prev, cut = e.Seq, hash(line), false
		r.Entries++
		return nil
	})
	r.Last = prev
	return r, err
}

// Entries gives every act to do, oldest first. Lines that are no entries are
// left out; Verify tells about them.
func (l *Log) Entries(do func(Entry) error) error {
	return l.each(func(_ int, line []byte) error {
		var e Entry
		if json.Unmarshal(line, &e) != nil {
			return nil
		}
		return do(e)
	})
}

func (l *Log) each(do func(n int, line []byte) error) error {
	f, err := os.OpenFile(l.path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read the audit log: %w", err)
	}
	defer f.Close()
	// What is added meanwhile is not read.
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot read the audit log: %w", err)
	}
	in := bufio.NewScanner(io.LimitReader(f, st.Size()))
	in.Buffer(nil, maxLine)
	for n := 1; in.Scan(); n++ {
		if err := do(n, in.Bytes()); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("cannot read the audit log: %w", err)
	}
	return nil
}
