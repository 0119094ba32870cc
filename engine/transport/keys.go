package transport

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// maxKeyFile bounds what is read of a key file: an RSA key of 16384 bits has 13 KB.
const maxKeyFile = 1 << 20

// signers lists the keys in the order in which they are shown: those that a
// configuration names, then the agent's, then the usual files. Servers cut the
// line after a few wrong ones.
func (l *login) signers() ([]ssh.Signer, error) {
	agents := l.agentSigners()
	held := make(map[string]ssh.Signer)
	for _, s := range agents {
		held[keyID(s.PublicKey())] = s
	}
	var files []ssh.Signer
	named := make(map[string]bool)
	for _, path := range l.target.Identities {
		s, err := l.fileSigner(path, held)
		if err != nil {
			l.complain(err)
			continue
		}
		named[plainID(s.PublicKey())] = true
		if a := held[keyID(s.PublicKey())]; a != nil {
			s = a // the agent can sign without a passphrase
		}
		files = append(files, s)
	}
	files = append(l.certificates(append(files, agents...)), files...)
	var own, others []ssh.Signer
	for _, s := range agents {
		switch {
		case named[keyID(s.PublicKey())]: // it is among the files
		case named[plainID(s.PublicKey())]: // a certificate for one of the files
			own = append(own, s)
		case !l.target.OnlyIdentities:
			others = append(others, s)
		}
	}
	files = append(own, files...)
	all := append(others, files...)
	if l.target.Explicit {
		all = append(files, others...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var left []ssh.Signer
	for _, s := range all {
		if !l.failed[keyID(s.PublicKey())] {
			left = append(left, &watched{s, l})
		}
	}
	l.tried = len(left)
	return left, nil
}

// keyID tells keys and certificates apart; plainID is that of the key in a
// certificate.
func keyID(k ssh.PublicKey) string { return string(k.Marshal()) }

func plainID(k ssh.PublicKey) string {
	if c, ok := k.(*ssh.Certificate); ok {
		return keyID(c.Key)
	}
	return keyID(k)
}

// watched is a key whose signature may wait for a person: for the agent's
// question, or for a touch. Meanwhile the clock of the login stands still; the
// server has one of its own.
type watched struct {
	ssh.Signer
	l *login
}

func (w *watched) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	w.l.pause()
	defer w.l.resume()
	var (
		sig *ssh.Signature
		err error
	)
	if a, ok := w.Signer.(ssh.AlgorithmSigner); ok {
		sig, err = a.SignWithAlgorithm(rand, data, algorithm)
	} else {
		sig, err = w.Sign(rand, data)
	}
	if err != nil {
		err = fmt.Errorf("the key %s (%s) did not sign: %w", ssh.FingerprintSHA256(w.PublicKey()), w.PublicKey().Type(), err)
		w.l.complain(err)
		w.l.mu.Lock()
		if w.l.failed == nil {
			w.l.failed = make(map[string]bool)
		}
		w.l.failed[keyID(w.PublicKey())] = true
		w.l.again = true
		w.l.mu.Unlock()
	}
	return sig, err
}

func (l *login) agentSigners() []ssh.Signer {
	sock := l.target.Agent
	switch sock {
	case "none":
		return nil
	case "", "SSH_AUTH_SOCK":
		sock = os.Getenv("SSH_AUTH_SOCK")
	}
	if sock == "" {
		return nil
	}
	l.mu.Lock()
	client := l.agentClient
	l.mu.Unlock()
	if client == nil {
		conn, err := (&net.Dialer{}).DialContext(l.ctx, "unix", sock)
		if err != nil {
			l.complain(fmt.Errorf("ssh-agent: %w", err))
			return nil
		}
		client = agent.NewClient(conn) // one for a connection: it reads ahead
		l.mu.Lock()
		l.agent, l.agentClient = conn, client
		l.mu.Unlock()
	}
	signers, err := client.Signers()
	if err != nil {
		l.complain(fmt.Errorf("ssh-agent: %w", err))
	}
	return signers
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxKeyFile))
}

// fileSigner makes a key of a file: a private key, or the public half of one
// that the agent holds (a security key, or a key that is in the agent alone).
func (l *login) fileSigner(path string, held map[string]ssh.Signer) (ssh.Signer, error) {
	text, err := readBounded(path)
	if err != nil {
		if s := heldBy(held, path+".pub"); s != nil {
			return s, nil
		}
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
		for _, p := range []string{path, path + ".pub"} {
			if s := heldBy(held, p); s != nil {
				return s, nil
			}
		}
		if public := readPublic(path + ".pub"); public != nil && strings.HasPrefix(public.Type(), "sk-") {
			return nil, fmt.Errorf("%s is that of a security key, which only the agent can use: ssh-add %s", path, path)
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if cert, ok := readPublic(path + "-cert.pub").(*ssh.Certificate); ok && bytes.Equal(cert.Key.Marshal(), s.PublicKey().Marshal()) {
		return ssh.NewCertSigner(cert, s)
	}
	return s, nil
}

// heldBy finds the agent's key whose public half is in a file.
func heldBy(held map[string]ssh.Signer, path string) ssh.Signer {
	if public := readPublic(path); public != nil {
		return held[keyID(public)]
	}
	return nil
}

// certificates joins the certificates that ssh_config names with their keys.
func (l *login) certificates(keys []ssh.Signer) []ssh.Signer {
	var all []ssh.Signer
	for _, path := range l.target.Certificates {
		cert, ok := readPublic(path).(*ssh.Certificate)
		if !ok {
			l.complain(fmt.Errorf("%s holds no certificate", path))
			continue
		}
		for _, k := range keys {
			if keyID(k.PublicKey()) != keyID(cert.Key) {
				continue
			}
			if s, err := ssh.NewCertSigner(cert, k); err == nil {
				all = append(all, s)
				break
			}
		}
	}
	return all
}

func readPublic(path string) ssh.PublicKey {
	text, err := readBounded(path)
	if err != nil {
		return nil
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return key
}
