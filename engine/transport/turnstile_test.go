package transport

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestFewLoginsAtATime(t *testing.T) {
	dir := turnstile(t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var (
		wg         sync.WaitGroup
		now, most  atomic.Int64
		everybody  = make(chan struct{})
		logged     atomic.Int64
		before     = openFiles(t)
		logins     = int64(4 * loginsAtOnce)
		otherLeave = dir.pass(ctx, "another server")
	)
	for range logins {
		wg.Go(func() {
			leave := dir.pass(ctx, "server")
			defer leave()
			n := now.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if logged.Add(1) == loginsAtOnce {
				close(everybody) // all places are taken at the same time
			}
			<-everybody
			now.Add(-1)
		})
	}
	wg.Wait()
	otherLeave()
	if most.Load() > loginsAtOnce || logged.Load() != logins {
		t.Errorf("%d at a time, %d in all", most.Load(), logged.Load())
	}
	if after := openFiles(t); after > before {
		t.Errorf("%d files open, %d before", after, before)
	}
}

// A login that cannot have a turn goes on without: one that hangs, a folder that
// is not there, a link in its place.
func TestATurnIsNoCondition(t *testing.T) {
	dir := t.TempDir()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range loginsAtOnce + 1 {
		defer turnstile(dir).pass(gone, "server")()
	}
	turnstile(filepath.Join(dir, "missing")).pass(t.Context(), "server")()
	turnstile("").pass(t.Context(), "server")()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != loginsAtOnce {
		t.Fatalf("%d files: %v", len(files), err)
	}
	link := t.TempDir()
	for _, f := range files {
		if err := os.Symlink(filepath.Join(link, "elsewhere"), filepath.Join(link, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	turnstile(link).pass(t.Context(), "server")()
	if _, err := os.Stat(filepath.Join(link, "elsewhere")); err == nil {
		t.Error("a link was followed")
	}
}
