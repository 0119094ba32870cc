package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/dustin/go-humanize"

	"horcrux/engine/model"
)

// Progress is how far a copy is. All counts are bytes that are not holes.
type Progress struct {
	Bytes    int64 // to copy in all, what an earlier run did included
	Copied   int64 // on the target
	Verified int64 // read again there, and equal
	// Rate is bytes a second that arrived on the target in the last seconds.
	Rate float64
	// Path is the way of the data, PathReason how it was chosen, in words.
	Path       model.DataPath
	PathReason string
	// Waiting is why nothing moves, empty when it does.
	Waiting string
	Files   []FileProgress
}

// FileProgress is how far one file is.
type FileProgress struct {
	Source, Target          string
	Bytes, Copied, Verified int64
}

const (
	reportEvery = 500 * time.Millisecond
	rateOver    = 5 * time.Second
	// stalled is how long nothing at all may arrive: more than a command for the
	// smallest piece takes on a link of a dozen KiB/s.
	stalled = 90 * time.Second
)

func size(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// sample is how much had arrived at a time.
type sample struct {
	at    time.Time
	bytes int64
}

// meter counts. All methods may be called from any goroutine.
type meter struct {
	mu      sync.Mutex
	now     Progress
	by      map[string]int
	arrived int64 // in this run
	moved   time.Time
	samples []sample
}

func newMeter() *meter { return &meter{by: map[string]int{}} }

// file sets what is known of a file when an attempt begins.
func (m *meter) file(f File, bytes, had int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	i, ok := m.by[f.Target]
	if !ok {
		i = len(m.now.Files)
		m.by[f.Target] = i
		m.now.Files = append(m.now.Files, FileProgress{Source: f.Source, Target: f.Target})
	}
	p := &m.now.Files[i]
	p.Bytes, p.Copied, p.Verified = bytes, had, had
}

func (m *meter) copied(target string, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.now.Files[m.by[target]]
	p.Copied = min(p.Copied+bytes, p.Bytes)
	m.arrived += bytes
	m.moved = time.Now()
}

func (m *meter) equal(target string, bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := &m.now.Files[m.by[target]]
	p.Verified += bytes
	m.moved = time.Now()
}

func (m *meter) path(p model.DataPath, reason string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Path, m.now.PathReason = p, reason
}

func (m *meter) wait(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now.Waiting = why
}

func (m *meter) verified() int64 { return m.progress().Verified }

func (m *meter) progress() Progress {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.now
	p.Files = append([]FileProgress(nil), m.now.Files...)
	for _, f := range p.Files {
		p.Bytes += f.Bytes
		p.Copied += f.Copied
		p.Verified += f.Verified
	}
	now := time.Now()
	m.samples = append(m.samples, sample{now, m.arrived})
	for len(m.samples) > 1 && now.Sub(m.samples[0].at) > rateOver {
		m.samples = m.samples[1:]
	}
	if d := now.Sub(m.samples[0].at); d > reportEvery/2 {
		p.Rate = float64(m.arrived-m.samples[0].bytes) / d.Seconds()
	}
	return p
}

// report calls back now and then until the context ends.
func (m *meter) report(ctx context.Context, f func(Progress)) {
	t := time.NewTicker(reportEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f(m.progress())
		}
	}
}

// watch ends an attempt in which nothing arrives any more.
func (m *meter) watch(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	m.mu.Lock()
	m.moved = time.Now()
	m.mu.Unlock()
	done := make(chan struct{})
	go func() {
		t := time.NewTicker(stalled / 10)
		defer t.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-done:
				return
			case <-t.C:
			}
			m.mu.Lock()
			idle := time.Since(m.moved)
			m.mu.Unlock()
			if idle > stalled {
				cancel(fmt.Errorf("%w: nothing arrived for %s", errHelper, stalled))
				return
			}
		}
	}()
	return func() { close(done) }
}
