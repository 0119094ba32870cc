package transport

import (
	"context"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

const (
	// loginsAtOnce is how many logins of one account to one server may be under
	// way. An sshd begins to drop some of them from ten on (MaxStartups 10:30:100,
	// sshd_config(5)), which are not all ours.
	loginsAtOnce = 5
	// turnWithin is how long a login waits for its turn. Then it goes on all the
	// same: one of those before it may be waiting for a person.
	turnWithin = 8 * time.Second
	turnPoll   = 20 * time.Millisecond
)

// turnstile lets a few logins to each server through at a time, of all processes
// that use the same folder. The kernel frees the places of a process that dies.
// Empty lets all through.
type turnstile string

// pass waits for a turn; the caller lets go of it once the login is over.
func (dir turnstile) pass(ctx context.Context, server string) (leave func()) {
	if dir == "" {
		return func() {}
	}
	h := fnv.New64a()
	h.Write([]byte(server))
	places := make([]*flock.Flock, loginsAtOnce)
	for i := range places {
		places[i] = flock.New(filepath.Join(string(dir), fmt.Sprintf("%016x-%d.lock", h.Sum64(), i)),
			flock.SetPermissions(0o600), flock.SetFlag(os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW))
	}
	leave = func() {
		for _, p := range places {
			_ = p.Close()
		}
	}
	ctx, cancel := context.WithTimeout(ctx, turnWithin)
	defer cancel()
	tick := time.NewTicker(turnPoll)
	defer tick.Stop()
	for {
		for _, p := range places {
			// What cannot be locked for another reason keeps nobody from logging in.
			if ok, err := p.TryLock(); ok || err != nil {
				return leave
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			leave()
			return func() {}
		}
	}
}
