package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lockLab keeps a second up or down of the same lab waiting. The lock file is
// removed by its holder, so whoever waited for a removed one tries again.
func lockLab(ctx context.Context, p paths) (unlock func(), err error) {
	if _, err := os.Stat(p.dir); errors.Is(err, os.ErrNotExist) {
		return func() {}, nil
	}
	return lockFile(ctx, guestDeadline, p.lock(), fmt.Sprintf("another up or down of the lab %q", p.prefix))
}

func lockFile(ctx context.Context, patience time.Duration, path, holder string) (unlock func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("cannot lock %s: %w", path, err)
		}
		err = until(ctx, patience, holder, func(context.Context) (bool, error) {
			err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
			return err == nil, err
		})
		if err != nil {
			f.Close()
			return nil, err
		}
		mine, err1 := f.Stat()
		now, err2 := os.Stat(path)
		if err1 == nil && err2 == nil && os.SameFile(mine, now) {
			return func() {
				os.Remove(path)
				f.Close()
			}, nil
		}
		f.Close() // the file is not the lock any more
	}
}

// lockedWriter lets several goroutines write lines.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
