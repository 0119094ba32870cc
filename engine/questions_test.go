package engine

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"horcrux/engine/audit"
	"horcrux/engine/jobs"
	"horcrux/engine/transport"
)

type says bool

func (says) Passphrase(context.Context, string) ([]byte, error)             { return nil, nil }
func (says) Answers(context.Context, transport.Challenge) ([]string, error) { return nil, nil }
func (s says) AcceptHostKey(context.Context, *transport.HostKeyError) (bool, error) {
	return bool(s), nil
}

// A host's key that was accepted is in the audit log, and none is accepted while
// that cannot be written.
func TestAcceptedHostKeysAreAudited(t *testing.T) {
	dir := t.TempDir()
	store, err := jobs.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{store: store, opt: Options{Env: func(string) string { return "" }}}
	key := &transport.HostKeyError{Host: "192.0.2.1", KeyType: "ssh-ed25519", Fingerprint: "SHA256:abc"}
	accept := func(yes bool) (bool, error) {
		return (&remembering{ask: says(yes), trusted: e.trust}).AcceptHostKey(t.Context(), key)
	}
	log := filepath.Join(dir, audit.FileName)
	if yes, err := accept(false); yes || err != nil {
		t.Error(yes, err)
	}
	if text, err := os.ReadFile(log); !os.IsNotExist(err) && len(text) > 0 {
		t.Errorf("%s", text)
	}
	if yes, err := accept(true); !yes || err != nil {
		t.Error(yes, err)
	}
	if text, err := os.ReadFile(log); err != nil || !strings.Contains(string(text), "accept-host-key") || !strings.Contains(string(text), "SHA256:abc") {
		t.Errorf("%s %v", text, err)
	}
	if err := os.Rename(log, log+".old"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(log+".old", log); err != nil {
		t.Fatal(err)
	}
	if _, err := accept(true); err == nil {
		t.Error("accepted, and nobody will know")
	}
}
