package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// logbook keeps what this console did and what the hosts said, one JSON line
// each, in the state folder. It is for reading, not for proof (that is the audit
// log), so a line that cannot be written is dropped, and nobody waits for one.
type logbook struct {
	path  string
	lines chan model.LogEntry
	sync  chan chan struct{} // asks for all that was added before to be written
	done  chan struct{}

	mu     sync.Mutex
	closed bool
}

// logMax is the length at which the file begins anew; one older file is kept.
const logMax = 2 << 20

func newLogbook(stateDir string) *logbook {
	b := &logbook{path: filepath.Join(stateDir, "console.jsonl"), lines: make(chan model.LogEntry, 256), sync: make(chan chan struct{}), done: make(chan struct{})}
	go b.write()
	return b
}

func (b *logbook) add(l model.LogEntry) {
	if l.Time.IsZero() {
		l.Time = time.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	select {
	case b.lines <- l:
	default:
	}
}

func (b *logbook) close() {
	b.mu.Lock()
	if !b.closed {
		b.closed = true
		close(b.lines)
	}
	b.mu.Unlock()
	<-b.done
}

func (b *logbook) write() {
	defer close(b.done)
	for {
		select {
		case l, ok := <-b.lines:
			if !ok {
				return
			}
			b.keep(l)
		case asked := <-b.sync:
			for more := true; more; {
				select {
				case l, ok := <-b.lines:
					if !ok {
						close(asked)
						return
					}
					b.keep(l)
				default:
					more = false
				}
			}
			close(asked)
		}
	}
}

func (b *logbook) keep(l model.LogEntry) {
	text, err := json.Marshal(l)
	if err != nil {
		return
	}
	if i, err := os.Stat(b.path); err == nil && i.Size() > logMax {
		_ = os.Rename(b.path, b.path+".1")
	}
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return
	}
	_, _ = f.Write(append(text, '\n'))
	_ = f.Close()
}

// flush waits until what was added before is written.
func (b *logbook) flush() {
	asked := make(chan struct{})
	select {
	case b.sync <- asked:
		<-asked
	case <-b.done:
	}
}

// newest gives the last n lines, newest first.
func (b *logbook) newest(n int) ([]model.LogEntry, error) {
	b.flush()
	var out []model.LogEntry
	for _, path := range []string{b.path, b.path + ".1"} {
		text, err := os.ReadFile(path)
		if err != nil {
			if os.IsNotExist(err) {
				continue
			}
			return out, err
		}
		lines := bytes.Split(text, []byte("\n"))
		for _, line := range slices.Backward(lines) {
			if len(out) == n {
				return out, nil
			}
			var l model.LogEntry
			if len(line) > 0 && json.Unmarshal(line, &l) == nil {
				out = append(out, l)
			}
		}
	}
	return out, nil
}

// heard keeps what the fleet says about a node.
func (e *Engine) heard(node model.NodeName, text string) {
	e.book.add(model.LogEntry{Kind: model.LogHost, Node: node, Text: virt.Clean(text)})
}

// record keeps an act of this console and what the host answered.
func (e *Engine) record(what string, node model.NodeName, vm string, began time.Time, err error) {
	l := model.LogEntry{Kind: model.LogAct, Verdict: model.Pass, Node: node, VM: vm, Text: what + ": done", Took: time.Since(began), By: Who(e.opt.Env)}
	if err != nil {
		l.Verdict, l.Text = model.Fail, virt.Clean(err.Error())
	}
	e.book.add(l)
}

// Note keeps a line in the log of this console.
func (e *Engine) Note(l model.LogEntry) { e.book.add(l) }

// Log gives the newest n lines of the log, newest first.
func (e *Engine) Log(_ context.Context, n int) ([]model.LogEntry, error) { return e.book.newest(n) }
