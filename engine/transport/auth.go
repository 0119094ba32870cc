package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// Prompter asks a person for the passphrase of a private key file.
type Prompter interface {
	Passphrase(ctx context.Context, file string) ([]byte, error)
}

// Keyring asks for each passphrase once and keeps the opened keys in memory,
// so that sixty nodes with one key do not mean sixty questions.
type Keyring struct {
	prompter Prompter
	mu       sync.Mutex // held while a person is asked: one question at a time
	open     map[string]ssh.Signer
	given    map[string]error // questions that were not answered well
}

// NewKeyring makes an empty one; p may be nil if nobody can be asked.
func NewKeyring(p Prompter) *Keyring {
	return &Keyring{prompter: p, open: make(map[string]ssh.Signer), given: make(map[string]error)}
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
		return nil, errors.New("nobody can be asked for it here; add the key to ssh-agent")
	}
	return k.prompter.Passphrase(ctx, file)
}

// maxTries is how often a wrong passphrase may be given.
const maxTries = 3

func (k *Keyring) unlock(ctx context.Context, file string, encrypted []byte) (ssh.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if s := k.open[file]; s != nil {
		return s, nil
	}
	if err := k.given[file]; err != nil {
		return nil, err
	}
	var err error
	for range maxTries {
		var pass []byte
		pass, err = k.Passphrase(ctx, file)
		if err != nil {
			err = fmt.Errorf("%s needs its passphrase: %w", file, err)
			if ctx.Err() == nil {
				k.given[file] = err
			}
			return nil, err
		}
		var s ssh.Signer
		s, err = ssh.ParsePrivateKeyWithPassphrase(encrypted, pass)
		clear(pass)
		if err == nil {
			k.open[file] = s
			return s, nil
		}
	}
	k.given[file] = fmt.Errorf("%s: wrong passphrase (%w)", file, err)
	return nil, k.given[file]
}

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
	agent   net.Conn
}

func (l *login) complain(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trouble = append(l.trouble, err)
}

func (l *login) unlock(file string, encrypted []byte) (ssh.Signer, error) {
	l.pause()
	defer l.resume()
	s, err := l.keys.unlock(l.ctx, file, encrypted)
	if err != nil {
		l.complain(err)
	}
	return s, err
}

func (l *login) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.agent != nil {
		l.agent.Close()
	}
}

// signers lists the keys in the order in which they are shown: those that a
// configuration names, then the agent's, then the usual files. Servers cut the
// line after a few wrong ones.
func (l *login) signers() ([]ssh.Signer, error) {
	agents := l.agentSigners()
	held := make(map[string]ssh.Signer)
	for _, s := range agents {
		held[string(s.PublicKey().Marshal())] = s
	}
	var files []ssh.Signer
	named := make(map[string]bool)
	for _, path := range l.target.Identities {
		s, err := l.fileSigner(path)
		if err != nil {
			l.complain(err)
			continue
		}
		id := string(s.PublicKey().Marshal())
		named[id] = true
		if a := held[id]; a != nil {
			s = a // the agent can sign without a passphrase
		}
		files = append(files, s)
	}
	var others []ssh.Signer
	for _, s := range agents {
		if !named[string(s.PublicKey().Marshal())] && !l.target.OnlyIdentities {
			others = append(others, s)
		}
	}
	all := append(others, files...)
	if l.target.Explicit {
		all = append(files, others...)
	}
	l.mu.Lock()
	l.tried = len(all)
	l.mu.Unlock()
	return all, nil
}

func (l *login) agentSigners() []ssh.Signer {
	sock := os.Getenv("SSH_AUTH_SOCK")
	if sock == "" {
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(l.ctx, "unix", sock)
	if err != nil {
		l.complain(fmt.Errorf("ssh-agent: %w", err))
		return nil
	}
	l.mu.Lock()
	l.agent = conn
	l.mu.Unlock()
	signers, err := agent.NewClient(conn).Signers()
	if err != nil {
		l.complain(fmt.Errorf("ssh-agent: %w", err))
	}
	return signers
}

func (l *login) fileSigner(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := ssh.ParsePrivateKey(text)
	var missing *ssh.PassphraseMissingError
	if errors.As(err, &missing) {
		public := missing.PublicKey
		if public == nil {
			public = readPublic(path + ".pub")
		}
		if public == nil {
			return l.unlock(path, text)
		}
		s, err = &locked{file: path, encrypted: text, public: public, login: l}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if cert, ok := readPublic(path + "-cert.pub").(*ssh.Certificate); ok && bytes.Equal(cert.Key.Marshal(), s.PublicKey().Marshal()) {
		return ssh.NewCertSigner(cert, s)
	}
	return s, nil
}

func readPublic(path string) ssh.PublicKey {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return key
}
