package transport

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/crypto/ssh"
)

const (
	// maxSessions is sshd's default for MaxSessions; a lower one is learnt.
	maxSessions = 10
	// keepFree are sessions that long-lived processes leave to commands.
	keepFree = 2
)

// ErrSessions: the server opens no session at all.
var ErrSessions = errors.New("the SSH server opens no session")

// sessions counts what is open on one connection, so that no more are asked for
// than the server gives. Streams to sockets are none of them.
type sessions struct {
	mu    sync.Mutex
	used  int
	limit int
	freed chan struct{} // closed when one is given back
}

func newSessions() *sessions { return &sessions{limit: maxSessions, freed: make(chan struct{})} }

// take waits for a place, leaving keep of them to others.
func (s *sessions) take(ctx context.Context, done <-chan struct{}, keep int) error {
	for {
		s.mu.Lock()
		if s.used == 0 || s.used < s.limit-keep {
			s.used++
			s.mu.Unlock()
			return nil
		}
		freed := s.freed
		s.mu.Unlock()
		select {
		case <-freed:
		case <-done:
			return ErrLost
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s *sessions) give() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	close(s.freed)
	s.freed = make(chan struct{})
}

// refused learns from a refusal and gives the place back. It reports whether
// waiting for another one makes sense.
func (s *sessions) refused() bool {
	s.mu.Lock()
	s.limit = max(1, min(s.limit, s.used-1))
	more := s.used > 1
	s.used--
	s.mu.Unlock()
	return more
}

// session opens one within the server's limit; give must be called when it has ended.
func (c *Client) session(ctx context.Context, keep int) (*ssh.Session, error) {
	for {
		if err := c.sessions.take(ctx, c.done, keep); err != nil {
			return nil, err
		}
		s, err := await(ctx, c, c.ssh.NewSession, func(s *ssh.Session) { s.Close() })
		if err == nil {
			return s, nil
		}
		var no *ssh.OpenChannelError
		if !errors.As(err, &no) {
			c.sessions.give()
			return nil, err
		}
		if !c.sessions.refused() {
			return nil, &Error{
				Doing: "run a command on", Where: c.target.Name, Class: ErrSessions, Err: err,
				Hint: "see MaxSessions in its sshd_config: 10 is the usual value",
			}
		}
	}
}
