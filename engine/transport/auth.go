package transport

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// locked is a key that is opened only when the server has said that it would
// take it.
type locked struct {
	file      string
	encrypted []byte
	public    ssh.PublicKey
	login     *login
}

func (l *locked) PublicKey() ssh.PublicKey { return l.public }

func (l *locked) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return l.SignWithAlgorithm(rand, data, "")
}

func (l *locked) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	s, err := l.login.unlock(l.file, l.encrypted)
	if err != nil {
		return nil, err
	}
	if a, ok := s.(ssh.AlgorithmSigner); ok {
		return a.SignWithAlgorithm(rand, data, algorithm)
	}
	return s.Sign(rand, data)
}

// login collects what one attempt can show to a server, and what went wrong
// on the way, for the error text.
type login struct {
	ctx    context.Context
	target Target
	keys   *Keyring
	pause  func() // stops the clock while a person types
	resume func()

	// The handshake's goroutine may outlive the attempt.
	mu      sync.Mutex
	trouble []error
	tried   int
	failed  map[string]bool // keys that could not sign
	again   bool            // there are others to try
	used    []string        // challenges that were answered, by ID
	waited  time.Duration   // for a person, all in all
	agent   net.Conn

	agentClient agent.ExtendedAgent
}

func (l *login) complain(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = append(l.trouble, err)
}

// methods are the ways to log in, in their order. What needs a person is left
// out where none can be asked.
func (l *login) methods() []ssh.AuthMethod {
	all := []ssh.AuthMethod{ssh.PublicKeysCallback(l.signers)}
	if l.keys.prompter == nil {
		return all
	}
	return append(all,
		ssh.RetryableAuthMethod(ssh.KeyboardInteractive(l.challenge), maxTries),
		ssh.RetryableAuthMethod(ssh.PasswordCallback(l.password), maxTries))
}

// next goes on with the other keys after one that could not sign (an agent's
// question answered no, a security key that was not touched). The library would
// give up all keys then.
func (l *login) next(ctx *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.again || !slices.Contains(ctx.AllowedMethods, "publickey") {
		return nil, nil
	}
	l.again = false
	return ssh.PublicKeysCallback(l.signers), nil
}

// waits stops the clock until what it returns is called.
func (l *login) waits() func() {
	l.pause()
	since := time.Now()
	return func() {
		l.resume()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.waited += time.Since(since)
	}
}

func (l *login) unlock(file string, encrypted []byte) (ssh.Signer, error) {
	defer l.waits()()
	s, err := l.keys.unlock(l.ctx, file, encrypted)
	if err != nil {
		l.complain(err)
	}
	return s, err
}

// challenge answers what the server asks.
func (l *login) challenge(name, instruction string, questions []string, echos []bool) ([]string, error) {
	if len(questions) == 0 {
		return nil, nil
	}
	if len(questions) > maxFields {
		return nil, fmt.Errorf("the server asks %d questions at once", len(questions))
	}
	c := Challenge{Where: where(l.target), User: l.target.User, Name: shortPrompt(name), Instruction: shortPrompt(instruction)}
	for i, q := range questions {
		c.Fields = append(c.Fields, Field{Prompt: shortPrompt(q), Hidden: !echos[i]})
	}
	return l.answer(c)
}

func (l *login) password() (string, error) {
	a, err := l.answer(Challenge{
		Where: where(l.target), User: l.target.User,
		Fields: []Field{{Prompt: "password of " + l.target.User, Hidden: true}},
	})
	if err != nil {
		return "", err
	}
	return a[0], nil
}

func (l *login) answer(c Challenge) ([]string, error) {
	id := c.ID()
	l.mu.Lock()
	again := slices.Contains(l.used, id)
	l.mu.Unlock()
	defer l.waits()()
	a, err := l.keys.answer(l.ctx, c, again)
	if err != nil {
		l.complain(err)
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !again {
		l.used = append(l.used, id)
	}
	return a, nil
}

// acceptHostKey asks about a server that is not known.
func (l *login) acceptHostKey(e *HostKeyError) error {
	defer l.waits()()
	return l.keys.acceptHostKey(l.ctx, l.target, e)
}

func (l *login) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.agent != nil {
		l.agent.Close()
	}
}
