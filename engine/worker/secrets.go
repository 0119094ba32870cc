package worker

import (
	"context"
	"fmt"
)

// passphrases answers with what the parent was told; nobody can be asked here.
type passphrases map[string]string

// Passphrase gives the passphrase of a key file.
func (p passphrases) Passphrase(_ context.Context, file string) ([]byte, error) {
	s, ok := p[file]
	if !ok {
		return nil, fmt.Errorf("the key %s has a passphrase that this job was not given: add the key to the agent", file)
	}
	return []byte(s), nil
}
