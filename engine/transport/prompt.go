package transport

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// Prompter asks a person. Its methods may take as long as a person does; they
// return when ctx ends.
type Prompter interface {
	// Passphrase asks for that of a private key file.
	Passphrase(ctx context.Context, file string) ([]byte, error)
	// Answers asks what a server wants to know: one answer for each field.
	Answers(ctx context.Context, c Challenge) ([]string, error)
	// AcceptHostKey shows the key of a server that is not known and tells
	// whether the person typed yes. A changed key is never asked about.
	AcceptHostKey(ctx context.Context, e *HostKeyError) (bool, error)
}

// Challenge is what a server asks a person before it lets them in. All its text
// is the server's, cleaned of what a terminal would obey.
type Challenge struct {
	// Where is who asks: the node or jump host with its address.
	Where, User string
	// Name and Instruction may be empty.
	Name, Instruction string
	Fields            []Field
}

// Field is one question of a Challenge.
type Field struct {
	Prompt string
	Hidden bool // the answer is not shown while it is typed
}

// Bounds of a challenge: what a server could put on a screen.
const (
	maxFields = 16
	maxPrompt = 400
)

// ID names a challenge: the same server asking the same. Answers that are
// remembered are found by it.
func (c Challenge) ID() string {
	parts := []string{c.User, c.Where, c.Name, c.Instruction}
	for _, f := range c.Fields {
		parts = append(parts, f.Prompt)
	}
	return strings.Join(parts, "\x00")
}

func shortPrompt(s string) string {
	s = printable(s)
	if r := []rune(s); len(r) > maxPrompt {
		return string(r[:maxPrompt]) + "…"
	}
	return s
}

// errNobody says that a login needs a person and none can be asked here.
var errNobody = errors.New("nobody can be asked for it here; add the key to ssh-agent")

// Keyring is what the logins of one process share: the keys that were opened,
// the answers that were given, and the connections to jump hosts, so that sixty
// nodes behind one jump host with one key do not mean sixty questions.
type Keyring struct {
	// Patience is how long a jump host may be silent; it may be set before the
	// first login.
	Patience time.Duration
	// Turns is a folder in which all processes of this account agree on how many
	// of them log in to a server at a time; empty if they need not. It may be set
	// before the first login.
	Turns string

	prompter Prompter
	hops     hops

	asking sync.Mutex // held while a person is asked: one question at a time

	mu      sync.Mutex
	open    map[string]ssh.Signer
	answers map[string][]string // by Challenge.ID
	given   map[string]error    // questions that were not answered well
}

// NewKeyring makes an empty one; p may be nil if nobody can be asked.
func NewKeyring(p Prompter) *Keyring {
	return &Keyring{
		prompter: p, open: make(map[string]ssh.Signer), answers: make(map[string][]string), given: make(map[string]error),
		Patience: hopPatience, hops: hops{open: make(map[string]*sharedHop)},
	}
}

// AskAgain lets questions be asked again that a person declined or answered
// wrongly. Until then they are not: a reconnection is no reason to ask.
func (k *Keyring) AskAgain() {
	k.mu.Lock()
	defer k.mu.Unlock()
	clear(k.given)
}

// Passphrase passes the question on.
func (k *Keyring) Passphrase(ctx context.Context, file string) ([]byte, error) {
	if k.prompter == nil {
		return nil, errNobody
	}
	return k.prompter.Passphrase(ctx, file)
}

// Answers passes the question on.
func (k *Keyring) Answers(ctx context.Context, c Challenge) ([]string, error) {
	if k.prompter == nil {
		return nil, errNobody
	}
	return k.prompter.Answers(ctx, c)
}

// AcceptHostKey passes the question on.
func (k *Keyring) AcceptHostKey(ctx context.Context, e *HostKeyError) (bool, error) {
	if k.prompter == nil {
		return false, errNobody
	}
	return k.prompter.AcceptHostKey(ctx, e)
}

func (k *Keyring) signer(file string) (ssh.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.open[file], k.given[file]
}

// refuse keeps why a question was not answered, unless only the asking ended.
func (k *Keyring) refuse(ctx context.Context, id string, err error) error {
	if ctx.Err() == nil {
		k.mu.Lock()
		k.given[id] = err
		k.mu.Unlock()
	}
	return err
}

// maxTries is how often a wrong passphrase may be given.
const maxTries = 3

func (k *Keyring) unlock(ctx context.Context, file string, encrypted []byte) (ssh.Signer, error) {
	if s, err := k.signer(file); s != nil || err != nil {
		return s, err
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	if s, err := k.signer(file); s != nil || err != nil {
		return s, err
	}
	var err error
	for range maxTries {
		var pass []byte
		pass, err = k.Passphrase(ctx, file)
		if err != nil {
			return nil, k.refuse(ctx, file, fmt.Errorf("%s needs its passphrase: %w", file, err))
		}
		var s ssh.Signer
		s, err = ssh.ParsePrivateKeyWithPassphrase(encrypted, pass)
		clear(pass)
		if err == nil {
			k.mu.Lock()
			k.open[file] = s
			k.mu.Unlock()
			return s, nil
		}
	}
	return nil, k.refuse(ctx, file, fmt.Errorf("%s: wrong passphrase (%w)", file, err))
}

// answer gives the answers to a challenge: those that were good before, or a
// person's. again tells that the ones given a moment ago were refused.
func (k *Keyring) answer(ctx context.Context, c Challenge, again bool) ([]string, error) {
	id := c.ID()
	known := func() ([]string, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		if again {
			delete(k.answers, id)
		}
		return k.answers[id], k.given[id]
	}
	if a, err := known(); a != nil || err != nil {
		return a, err
	}
	k.asking.Lock()
	defer k.asking.Unlock()
	again = false
	if a, err := known(); a != nil || err != nil {
		return a, err
	}
	a, err := k.Answers(ctx, c)
	if err == nil && len(a) != len(c.Fields) {
		err = fmt.Errorf("%d answers to %d questions", len(a), len(c.Fields))
	}
	if err != nil {
		return nil, k.refuse(ctx, id, fmt.Errorf("%s asks %q: %w", c.Where, firstPrompt(c), err))
	}
	k.mu.Lock()
	k.answers[id] = a
	k.mu.Unlock()
	return a, nil
}

// forget drops answers that a server has refused. They are not asked for again
// by themselves: too many wrong ones could lock an account.
func (k *Keyring) forget(ids []string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		delete(k.answers, id)
		k.given[id] = err
	}
}

func firstPrompt(c Challenge) string {
	if len(c.Fields) == 0 {
		return ""
	}
	return strings.TrimRight(c.Fields[0].Prompt, ": ")
}
