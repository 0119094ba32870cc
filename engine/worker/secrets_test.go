package worker

import (
	"testing"

	"horcrux/engine/transport"
)

func TestSecretsAreGivenOnce(t *testing.T) {
	c := transport.Challenge{Where: "node1", User: "root", Fields: []transport.Field{{Prompt: "Code: ", Hidden: true}}}
	s := &secrets{passphrases: map[string]string{"/k": "p"}, answers: map[string][]string{c.ID(): {"123"}}}
	if a, err := s.Answers(t.Context(), c); err != nil || len(a) != 1 || a[0] != "123" {
		t.Error(a, err)
	}
	if a, err := s.Answers(t.Context(), c); err == nil {
		t.Errorf("a refused answer is given again: %q", a)
	}
	if p, err := s.Passphrase(t.Context(), "/k"); err != nil || string(p) != "p" {
		t.Errorf("%q %v", p, err)
	}
	if _, err := s.Passphrase(t.Context(), "/other"); err == nil {
		t.Error("a passphrase that nobody told")
	}
	if yes, _ := s.AcceptHostKey(t.Context(), &transport.HostKeyError{}); yes {
		t.Error("a job accepts an unknown host")
	}
}
