package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

func dial(t *testing.T, target Target, p Prompter) *Client {
	t.Helper()
	c, err := Dial(t.Context(), target, p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestExec(t *testing.T) {
	_, target := newServer(t)
	c := dial(t, target, nil)
	here, _ := os.Hostname()
	if c.Hostname() != here {
		t.Errorf("hostname %q", c.Hostname())
	}
	r, err := c.Exec(t.Context(), []string{"printf", "%s|", "a b", "$HOME", "'", "\n;ls"}, nil)
	if err != nil || string(r.Stdout) != "a b|$HOME|'|\n;ls|" {
		t.Errorf("%q %v", r.Stdout, err)
	}
	r, err = c.Exec(t.Context(), []string{"sh", "-c", "cat; echo oops >&2; exit 3"}, strings.NewReader("in"))
	if err != nil || string(r.Stdout) != "in" || string(r.Stderr) != "oops\n" || r.Code != 3 {
		t.Errorf("%+v %v", r, err)
	}
	if err := r.Failed("the command"); err == nil || err.Error() != "the command ended with 3: oops" {
		t.Error(err)
	}
}

func TestExecDoesNotWaitForStdin(t *testing.T) {
	_, target := newServer(t)
	c := dial(t, target, nil)
	in, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if r, err := c.Exec(ctx, []string{"true"}, in); err != nil || r.Code != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestExecIsBounded(t *testing.T) {
	_, target := newServer(t)
	c := dial(t, target, nil)
	r, err := c.Exec(t.Context(), []string{"sh", "-c", "head -c 20000000 /dev/zero; head -c 1000000 /dev/zero >&2"}, nil)
	if err != nil || len(r.Stdout) != maxStdout || len(r.Stderr) != maxStderr || !r.Truncated || r.Code != 0 {
		t.Errorf("%d %d %v %v", len(r.Stdout), len(r.Stderr), r.Truncated, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, []string{"sleep", "60"}, nil); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
}

func TestDialUnix(t *testing.T) {
	s, target := newServer(t)
	c := dial(t, target, nil)
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go io.Copy(c, c)
		}
	}()
	conn, err := c.DialUnix(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte("hello"))
	got := make([]byte, 5)
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
		t.Errorf("%q %v", got, err)
	}
	conn.Close()
	s.forward = false
	if _, err := c.DialUnix(t.Context(), path); !errors.Is(err, ErrForwarding) || !strings.Contains(err.Error(), "AllowTcpForwarding") {
		t.Error(err)
	}
	p, err := c.Start(t.Context(), []string{"cat"})
	if err != nil {
		t.Fatal(err)
	}
	var asConn net.Conn = p
	asConn.Write([]byte("again"))
	if _, err := io.ReadFull(asConn, got); err != nil || string(got) != "again" {
		t.Errorf("%q %v", got, err)
	}
	asConn.Close()
}

func TestUnknownHostKey(t *testing.T) {
	s, target := newServer(t)
	target.KnownHosts = []string{filepath.Join(t.TempDir(), "known hosts")}
	_, err := Dial(t.Context(), target, nil)
	var e *HostKeyError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Fingerprint != ssh.FingerprintSHA256(s.key.PublicKey()) || len(e.Known) != 0 {
		t.Errorf("%+v", e)
	}
	// The command that is offered does what it says.
	shell(t, e.Accept)
	dial(t, target, nil)
}

func TestChangedHostKey(t *testing.T) {
	s, target := newServer(t)
	_, other := newKey(t)
	line := xknownhosts.Line([]string{s.addr}, other.PublicKey()) + "\n"
	if err := os.WriteFile(target.KnownHosts[0], []byte("# mine\n"+line), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(t.Context(), target, nil)
	var e *HostKeyError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	want := KnownKey{ssh.FingerprintSHA256(other.PublicKey()), "ssh-ed25519", target.KnownHosts[0] + ":2"}
	if len(e.Known) != 1 || e.Known[0] != want || !strings.Contains(err.Error(), "CHANGED") {
		t.Errorf("%+v", e)
	}
	shell(t, e.Accept)
	dial(t, target, nil)
}

func TestRevokedHostKey(t *testing.T) {
	s, target := newServer(t)
	line := "@revoked * ssh-ed25519 " + strings.Fields(xknownhosts.Line([]string{"x"}, s.key.PublicKey()))[2] + "\n"
	if err := os.WriteFile(target.KnownHosts[0], []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Dial(t.Context(), target, nil)
	var e *HostKeyError
	if !errors.As(err, &e) || !e.Revoked || e.Accept != "" {
		t.Errorf("%v", err)
	}
}

func shell(t *testing.T, command string) {
	t.Helper()
	_, target := newServer(t)
	r, err := dial(t, target, nil).Exec(t.Context(), []string{"sh", "-c", command}, nil)
	if err != nil || r.Code != 0 {
		t.Fatalf("%s: %v %d %s", command, err, r.Code, r.Stderr)
	}
}

func TestAuthRefused(t *testing.T) {
	_, target := newServer(t)
	stranger, _ := newKey(t)
	target.Identities = []string{writeKey(t, stranger), "/does/not/exist"}
	_, err := Dial(t.Context(), target, nil)
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "/does/not/exist") || !strings.Contains(err.Error(), "try: ssh") {
		t.Error(err)
	}
}

type prompter struct {
	mu    sync.Mutex
	words []string
	asked int

	challenges []Challenge
	shown      []*HostKeyError
	yes        bool
}

func (p *prompter) Passphrase(context.Context, string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if len(p.words) == 0 {
		return nil, errors.New("cancelled by the user")
	}
	w := p.words[0]
	p.words = p.words[1:]
	return []byte(w), nil
}

func (p *prompter) Answers(_ context.Context, c Challenge) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.challenges = append(p.challenges, c)
	if len(p.words) < len(c.Fields) {
		return nil, errors.New("cancelled by the user")
	}
	a := p.words[:len(c.Fields)]
	p.words = p.words[len(c.Fields):]
	return a, nil
}

func (p *prompter) AcceptHostKey(_ context.Context, e *HostKeyError) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown = append(p.shown, e)
	return p.yes, nil
}

func TestPassphrase(t *testing.T) {
	s, target := newServer(t)
	private, user := newKey(t)
	s.allowed = user.PublicKey()
	target.Identities = []string{lockKey(t, writeKey(t, private), "secret")}

	_, err := Dial(t.Context(), target, nil)
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "ssh-agent") {
		t.Errorf("without anybody to ask: %v", err)
	}
	p := &prompter{words: []string{"wrong", "secret"}}
	keys := NewKeyring(p)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { dial(t, target, keys) })
	}
	wg.Wait()
	if p.asked != 2 {
		t.Errorf("asked %d times", p.asked)
	}
	declined := &prompter{}
	keys = NewKeyring(declined)
	for range 3 {
		if _, err := Dial(t.Context(), target, keys); !errors.Is(err, ErrAuth) || declined.asked != 1 {
			t.Errorf("asked %d times: %v", declined.asked, err)
		}
	}
	declined.words = []string{"secret"}
	keys.AskAgain()
	dial(t, target, keys)
	_, err = Dial(t.Context(), target, &prompter{})
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "cancelled by the user") {
		t.Error(err)
	}
	// A key that the server would not take is not asked for.
	s.allowed = s.key.PublicKey()
	none := &prompter{words: []string{"secret"}}
	if _, err := Dial(t.Context(), target, none); !errors.Is(err, ErrAuth) || none.asked != 0 {
		t.Errorf("asked %d times: %v", none.asked, err)
	}
}

func TestPromptStopsTheClock(t *testing.T) {
	s, target := newServer(t)
	private, user := newKey(t)
	s.allowed = user.PublicKey()
	target.Identities = []string{lockKey(t, writeKey(t, private), "secret")}
	target.ConnectTimeout = 300 * time.Millisecond
	dial(t, target, slowPrompter{d: time.Second})
}

type slowPrompter struct {
	d time.Duration
	Prompter
}

func (p slowPrompter) Passphrase(context.Context, string) ([]byte, error) {
	<-time.After(p.d)
	return []byte("secret"), nil
}

func TestJump(t *testing.T) {
	_, inner := newServer(t)
	first, outer := newServer(t)
	second, middle := newServer(t)
	_, _ = first, second
	inner.Jump = []Target{outer, middle}
	c := dial(t, inner, nil)
	if r, err := c.Exec(t.Context(), []string{"echo", "through"}, nil); err != nil || string(r.Stdout) != "through\n" {
		t.Errorf("%q %v", r.Stdout, err)
	}
	first.drop()
	select {
	case <-c.Done():
	case <-time.After(5 * time.Second):
		t.Error("the loss of a jump host was not noticed")
	}
}

func TestUnreachable(t *testing.T) {
	_, target := newServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts by the kernel, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	target.Port, _ = strconv.Atoi(port)
	target.ConnectTimeout = 100 * time.Millisecond
	began := time.Now()
	_, err = Dial(t.Context(), target, nil)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "no answer within 100ms") || time.Since(began) > 3*time.Second {
		t.Error(err)
	}
	l.Close()
	if _, err = Dial(t.Context(), target, nil); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
	via := target
	_, target = newServer(t)
	target.Jump = []Target{via}
	if _, err = Dial(t.Context(), target, nil); !errors.Is(err, ErrUnreachable) {
		t.Error(err)
	}
}

func TestSilentServer(t *testing.T) {
	s, target := newServer(t)
	c := dial(t, target, nil)
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(s.silent)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.DialUnix(ctx, "/x"); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	if _, err := c.Exec(ctx, []string{"true"}, nil); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	c.KeepAlive(20*time.Millisecond, 50*time.Millisecond)
	if c.Err() == nil {
		t.Error("still open")
	}
	if _, err := c.Exec(t.Context(), []string{"true"}, nil); !errors.Is(err, ErrLost) {
		t.Error(err)
	}
}

func TestLostConnection(t *testing.T) {
	s, target := newServer(t)
	c := dial(t, target, nil)
	got := make(chan error, 1)
	go func() {
		_, err := c.Exec(t.Context(), []string{"sleep", "60"}, nil)
		got <- err
	}()
	for len(s.connsNow()) == 0 {
		runtime.Gosched()
	}
	s.drop()
	if err := <-got; !errors.Is(err, ErrLost) {
		t.Error(err)
	}
}

func (s *testServer) connsNow() []net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// openFiles counts this process's descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

// TestNothingLeaks opens and closes thousands of channels of all kinds, and then
// logins: goroutines, descriptors, and the server's channels come back to what
// they were.
func TestNothingLeaks(t *testing.T) {
	s, target := newServer(t)
	path := filepath.Join(t.TempDir(), "sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	c := dial(t, target, nil)
	one := func() {
		conn, err := c.DialUnix(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte("x"))
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
	one()
	settle(t, runtime.NumGoroutine())
	before, files := runtime.NumGoroutine(), openFiles(t)
	for range 5000 {
		one()
	}
	for range 50 {
		if _, err := c.Exec(t.Context(), []string{"true"}, nil); err != nil {
			t.Fatal(err)
		}
		p, err := c.Start(t.Context(), []string{"cat"})
		if err != nil {
			t.Fatal(err)
		}
		p.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.Exec(ctx, []string{"true"}, nil) //nolint:errcheck // nobody waits
	}
	settle(t, before)
	channels := 0
	for deadline := time.Now().Add(10 * time.Second); ; {
		s.mu.Lock()
		channels = s.streams + s.sessions
		s.mu.Unlock()
		if channels == 0 || time.Now().After(deadline) {
			break
		}
		<-time.After(5 * time.Millisecond)
	}
	if channels != 0 {
		t.Errorf("%d channels are left at the server", channels)
	}
	if n := openFiles(t); n > files+2 {
		t.Errorf("%d descriptors, %d before", n, files)
	}
	_, behind := newServer(t)
	behind.Jump = []Target{target}
	for range 20 {
		d, err := Dial(t.Context(), behind, nil)
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	s.mu.Lock()
	s.conns = s.conns[:1]
	s.mu.Unlock()
	settle(t, before+2) // the second server listens
}

func settle(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		<-time.After(10 * time.Millisecond)
	}
}

func TestBoundedKeepsTheFirstBytes(t *testing.T) {
	b := &bounded{limit: 5}
	for _, s := range []string{"abc", "def", "ghi"} {
		if n, err := b.Write([]byte(s)); n != 3 || err != nil {
			t.Error(n, err)
		}
	}
	if got, more := b.take(); !bytes.Equal(got, []byte("abcde")) || !more {
		t.Errorf("%q %v", got, more)
	}
}
