package transport

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// testServer is an SSH server in this process: it runs commands with sh, opens
// streams to sockets and addresses, and can fall silent.
type testServer struct {
	t       *testing.T
	addr    string
	key     ssh.Signer
	allowed ssh.PublicKey
	forward bool
	silent  chan struct{} // closed: answers no more requests
	// configure changes what the server wants of a login.
	configure func(*ssh.ServerConfig)
	// maxSessions is as sshd's, 0 for no limit.
	maxSessions int
	// noise is what its shell complains of before each command.
	noise string

	mu       sync.Mutex
	refused  int
	logins   int
	sessions int
	streams  int
	tooMany  int // sessions refused
	conns    []net.Conn
}

func newKey(t *testing.T) (ed25519.PrivateKey, ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return private, s
}

func writeKey(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	block, err := ssh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "id")
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// lockKey puts a passphrase on a key file.
func lockKey(t *testing.T, path, passphrase string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.ParseRawPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// newServer starts one, and gives the target that leads to it.
func newServer(t *testing.T) (*testServer, Target) {
	t.Helper()
	return newServerAt(t, "127.0.0.1:0")
}

func newServerAt(t *testing.T, at string) (*testServer, Target) {
	t.Helper()
	t.Setenv("SSH_AUTH_SOCK", "")
	private, user := newKey(t)
	_, host := newKey(t)
	s := &testServer{t: t, key: host, allowed: user.PublicKey(), forward: true, silent: make(chan struct{})}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	t.Cleanup(func() { l.Close(); s.drop() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns = append(s.conns, c)
			s.mu.Unlock()
			go s.serve(c)
		}
	}()
	ip, port, _ := net.SplitHostPort(s.addr)
	n, _ := strconv.Atoi(port)
	known := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(known, []byte(xknownhosts.Line([]string{s.addr}, host.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return s, Target{
		Name: "node1", Host: ip, Port: n, User: "root", Identities: []string{writeKey(t, private)}, Explicit: true,
		KnownHosts: []string{known}, ConnectTimeout: 5 * time.Second,
	}
}

func (s *testServer) wants(f func(*ssh.ServerConfig)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configure = f
}

// drop cuts all connections, as a power failure would end them.
func (s *testServer) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

func (s *testServer) serve(c net.Conn) {
	cfg := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), s.allowed.Marshal()) {
			s.mu.Lock()
			s.refused++
			s.mu.Unlock()
			return nil, errors.New("no")
		}
		return nil, nil
	}}
	cfg.AddHostKey(s.key)
	s.mu.Lock()
	configure := s.configure
	s.mu.Unlock()
	if configure != nil {
		configure(cfg)
	}
	conn, chans, reqs, err := ssh.NewServerConn(c, cfg)
	if err != nil {
		c.Close()
		return
	}
	defer conn.Close()
	s.mu.Lock()
	s.logins++
	s.mu.Unlock()
	go func() {
		for r := range reqs {
			select {
			case <-s.silent:
			default:
				r.Reply(false, nil)
			}
		}
	}()
	for ch := range chans {
		select {
		case <-s.silent:
			continue
		default:
		}
		switch ch.ChannelType() {
		case "session":
			go s.session(ch)
		case "direct-streamlocal@openssh.com":
			var m struct {
				Path, Reserved string
				Port           uint32
			}
			ssh.Unmarshal(ch.ExtraData(), &m)
			go s.stream(ch, "unix", m.Path)
		case "direct-tcpip":
			var m struct {
				Host   string
				Port   uint32
				Origin string
				OPort  uint32
			}
			ssh.Unmarshal(ch.ExtraData(), &m)
			go s.stream(ch, "tcp", net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port))))
		}
	}
}

func (s *testServer) stream(n ssh.NewChannel, network, addr string) {
	if !s.forward {
		n.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	to, err := net.Dial(network, addr)
	if err != nil {
		n.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	ch, reqs, err := n.Accept()
	if err != nil {
		to.Close()
		return
	}
	s.mu.Lock()
	s.streams++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.streams--
		s.mu.Unlock()
	}()
	go ssh.DiscardRequests(reqs)
	go func() {
		io.Copy(to, ch)
		to.Close()
	}()
	io.Copy(ch, to)
	ch.Close()
}

func (s *testServer) session(n ssh.NewChannel) {
	s.mu.Lock()
	if s.sessions++; s.maxSessions > 0 && s.sessions > s.maxSessions {
		s.sessions--
		s.tooMany++
		s.mu.Unlock()
		n.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.sessions--
		s.mu.Unlock()
	}()
	ch, reqs, err := n.Accept()
	if err != nil {
		return
	}
	defer ch.Close()
	for r := range reqs {
		if r.Type != "exec" {
			r.Reply(false, nil)
			continue
		}
		var m struct{ Command string }
		ssh.Unmarshal(r.Payload, &m)
		r.Reply(true, nil)
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, "sh", "-c", m.Command)
		cmd.WaitDelay = time.Second
		in, _ := cmd.StdinPipe()
		cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
		_, _ = io.WriteString(ch.Stderr(), s.noise)
		go func() {
			io.Copy(in, ch)
			in.Close()
		}()
		go func() {
			for range reqs {
			}
			cancel()
		}()
		code := uint32(0)
		if err := cmd.Run(); err != nil {
			code = 255
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.ExitCode() >= 0 {
				code = uint32(exit.ExitCode())
			}
		}
		cancel()
		ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
		return
	}
}
