package worker

import (
	"context"
	"fmt"
	"sync"

	"horcrux/engine/transport"
)

// secrets answers with what the parent was told; nobody can be asked here.
type secrets struct {
	passphrases map[string]string   // by identity file
	answers     map[string][]string // by transport.Challenge.ID

	mu   sync.Mutex
	used map[string]bool // answers that were given already
}

// Passphrase gives the passphrase of a key file.
func (s *secrets) Passphrase(_ context.Context, file string) ([]byte, error) {
	p, ok := s.passphrases[file]
	if !ok {
		return nil, fmt.Errorf("the key %s has a passphrase that this job was not given: add the key to the agent", file)
	}
	return []byte(p), nil
}

// Answers gives what a person answered when the parent logged in.
func (s *secrets) Answers(_ context.Context, c transport.Challenge) ([]string, error) {
	id := c.ID()
	s.mu.Lock()
	a, ok := s.answers[id]
	// Asked again means refused: a code that has had its time. More tries with
	// the same one could lock the account.
	ok = ok && !s.used[id]
	if s.used == nil {
		s.used = map[string]bool{}
	}
	s.used[id] = true
	s.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("%s asks what this job was not told, or told wrongly, and nobody can be asked here: let it accept a key of the agent", c.Where)
	}
	return a, nil
}

// AcceptHostKey accepts none: a job goes only to hosts that are known.
func (s *secrets) AcceptHostKey(context.Context, *transport.HostKeyError) (bool, error) {
	return false, nil
}
