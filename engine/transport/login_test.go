package transport

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// asking makes a server that asks two questions instead of taking a key.
func asking(s *testServer, code string) {
	s.wants(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = nil
		c.KeyboardInteractiveCallback = func(_ ssh.ConnMetadata, ask ssh.KeyboardInteractiveChallenge) (*ssh.Permissions, error) {
			a, err := ask("Two\x1b[2Jfactor", "", []string{"Password: ", "Code: "}, []bool{false, true})
			if err != nil || len(a) != 2 || a[0] != "pw" || a[1] != code {
				return nil, errors.New("no")
			}
			return nil, nil
		}
	})
}

func TestKeyboardInteractive(t *testing.T) {
	s, target := newServer(t)
	asking(s, "123")
	p := &prompter{words: []string{"pw", "000", "pw", "123"}}
	keys := NewKeyring(p)
	dial(t, target, keys)
	if len(p.challenges) != 2 {
		t.Fatalf("asked %d times", len(p.challenges))
	}
	c := p.challenges[0]
	if c.Name != "Two[2Jfactor" || !c.Fields[0].Hidden || c.Fields[1].Hidden || !strings.Contains(c.Where, "node1") {
		t.Errorf("%+v", c)
	}
	// Answers that were good are given again without a question.
	dial(t, target, keys)
	if len(p.challenges) != 2 {
		t.Error("asked again")
	}
	// When they are refused, one reconnection asks; declined, no other does.
	asking(s, "456")
	for range 3 {
		if _, err := Dial(t.Context(), target, keys); !errors.Is(err, ErrAuth) {
			t.Error(err)
		}
	}
	if len(p.challenges) != 3 {
		t.Errorf("asked %d times", len(p.challenges))
	}
	p.words = []string{"pw", "456"}
	keys.AskAgain()
	dial(t, target, keys)
	// A process that was told the answers needs nobody.
	if _, err := Dial(t.Context(), target, nil); !errors.Is(err, ErrAuth) {
		t.Error(err)
	}
}

func TestPassword(t *testing.T) {
	s, target := newServer(t)
	s.wants(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = nil
		c.PasswordCallback = func(_ ssh.ConnMetadata, pw []byte) (*ssh.Permissions, error) {
			if string(pw) != "pw" {
				return nil, errors.New("no")
			}
			return nil, nil
		}
	})
	dial(t, target, &prompter{words: []string{"wrong", "pw"}})
}

// serveAgent makes an agent with keys, and the environment that leads to it.
func serveAgent(t *testing.T, a agent.Agent) {
	t.Helper()
	sock := filepath.Join(t.TempDir(), "agent")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go agent.ServeAgent(a, c)
		}
	}()
	t.Setenv("SSH_AUTH_SOCK", sock)
}

// confirming is an agent that asks before some keys sign, slowly.
type confirming struct {
	agent.Agent
	refuses ssh.PublicKey
	slow    time.Duration
}

func (c *confirming) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	if c.refuses != nil && keyID(key) == keyID(c.refuses) {
		return nil, errors.New("refused")
	}
	<-time.After(c.slow)
	return c.Agent.Sign(key, data)
}

func TestAgentThatAsks(t *testing.T) {
	s, target := newServer(t)
	private1, first := newKey(t)
	private2, second := newKey(t)
	s.wants(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if keyID(key) != keyID(first.PublicKey()) && keyID(key) != keyID(second.PublicKey()) {
				return nil, errors.New("no")
			}
			return nil, nil
		}
	})
	ring := agent.NewKeyring()
	for _, k := range []any{private1, private2} {
		if err := ring.Add(agent.AddedKey{PrivateKey: k}); err != nil {
			t.Fatal(err)
		}
	}
	target.Identities, target.Explicit = nil, false
	target.ConnectTimeout = time.Second
	a := &confirming{Agent: ring, slow: 1500 * time.Millisecond, refuses: first.PublicKey()}
	serveAgent(t, a)
	// The first key is declined in the agent, the second takes its time.
	dial(t, target, nil)

	a.slow = 0
	s.wants(func(c *ssh.ServerConfig) {
		c.PublicKeyCallback = func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
			if keyID(key) != keyID(first.PublicKey()) {
				return nil, errors.New("no")
			}
			return nil, nil
		}
	})
	if _, err := Dial(t.Context(), target, nil); !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "did not sign") {
		t.Error(err)
	}
	// A key of which only the public half is on disk is the agent's.
	a.refuses = nil
	pub := filepath.Join(t.TempDir(), "id_sk.pub")
	if err := os.WriteFile(pub, ssh.MarshalAuthorizedKey(first.PublicKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	target.OnlyIdentities, target.Explicit = true, true
	for _, path := range []string{pub, strings.TrimSuffix(pub, ".pub")} {
		target.Identities = []string{path}
		dial(t, target, nil)
	}
	target.Agent = "none"
	if _, err := Dial(t.Context(), target, nil); !errors.Is(err, ErrAuth) {
		t.Error(err)
	}
}

func certify(t *testing.T, ca ssh.Signer, key ssh.PublicKey, kind uint32, principals ...string) *ssh.Certificate {
	t.Helper()
	c := &ssh.Certificate{
		Key: key, CertType: kind, ValidPrincipals: principals,
		ValidAfter: uint64(time.Now().Add(-time.Hour).Unix()), ValidBefore: uint64(time.Now().Add(time.Hour).Unix()),
	}
	if err := c.SignCert(rand.Reader, ca); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestUserCertificate(t *testing.T) {
	s, target := newServer(t)
	_, ca := newKey(t)
	private, user := newKey(t)
	checker := &ssh.CertChecker{IsUserAuthority: func(k ssh.PublicKey) bool { return keyID(k) == keyID(ca.PublicKey()) }}
	s.wants(func(c *ssh.ServerConfig) { c.PublicKeyCallback = checker.Authenticate })
	path := writeKey(t, private)
	cert := ssh.MarshalAuthorizedKey(certify(t, ca, user.PublicKey(), ssh.UserCert, "root"))
	target.Identities = []string{path}
	if _, err := Dial(t.Context(), target, nil); !errors.Is(err, ErrAuth) {
		t.Error(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "c.pub")
	if err := os.WriteFile(elsewhere, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	target.Certificates = []string{elsewhere}
	dial(t, target, nil)
	target.Certificates = nil
	if err := os.WriteFile(path+"-cert.pub", cert, 0o600); err != nil {
		t.Fatal(err)
	}
	dial(t, target, nil)
}

func TestHostCertificate(t *testing.T) {
	s, target := newServer(t)
	_, ca := newKey(t)
	_, other := newKey(t)
	show := func(by ssh.Signer, principal string) {
		host, err := ssh.NewCertSigner(certify(t, by, s.key.PublicKey(), ssh.HostCert, principal), s.key)
		if err != nil {
			t.Fatal(err)
		}
		s.wants(func(c *ssh.ServerConfig) { c.AddHostKey(host) })
	}
	line := "@cert-authority * " + strings.TrimSpace(string(ssh.MarshalAuthorizedKey(ca.PublicKey()))) + "\n"
	if err := os.WriteFile(target.KnownHosts[0], []byte(line), 0o600); err != nil {
		t.Fatal(err)
	}
	show(ca, target.Host)
	dial(t, target, nil)
	p := &prompter{yes: true}
	for what, try := range map[string]func(){
		"another authority": func() { show(other, target.Host) },
		"another name":      func() { show(ca, "elsewhere") },
		"no certificate":    func() { s.wants(nil) },
	} {
		try()
		_, err := Dial(t.Context(), target, p)
		var e *HostKeyError
		if !errors.As(err, &e) || e.Certificate == "" || len(p.shown) > 0 {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestUnknownHostIsAskedOnce: five logins at once ask one question, the yes is
// written down, and the next process knows.
func TestUnknownHostIsAskedOnce(t *testing.T) {
	s, target := newServer(t)
	target.ConnectTimeout = 2 * time.Second
	dir := filepath.Join(t.TempDir(), "new")
	target.KnownHosts = []string{filepath.Join(dir, "known_hosts")}
	no := &prompter{}
	keys := NewKeyring(no)
	for range 3 {
		var e *HostKeyError
		if _, err := Dial(t.Context(), target, keys); !errors.As(err, &e) || len(no.shown) != 1 {
			t.Fatalf("asked %d times: %v", len(no.shown), err)
		}
	}
	if _, err := os.Stat(target.KnownHosts[0]); err == nil {
		t.Fatal("written without a yes")
	}
	yes := &prompter{yes: true}
	keys = NewKeyring(yes)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() { dial(t, target, keys) })
	}
	wg.Wait()
	if len(yes.shown) != 1 || yes.shown[0].Fingerprint != ssh.FingerprintSHA256(s.key.PublicKey()) {
		t.Errorf("asked %d times", len(yes.shown))
	}
	for path, want := range map[string]os.FileMode{dir: 0o700, target.KnownHosts[0]: 0o600} {
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, st.Mode(), err)
		}
	}
	dial(t, target, nil)
}

// TestChangedHostIsNeverAsked: not even somebody who would say yes to all.
func TestChangedHostIsNeverAsked(t *testing.T) {
	s, target := newServer(t)
	_, other := newKey(t)
	if err := os.WriteFile(target.KnownHosts[0], []byte(xknownhosts.Line([]string{s.addr}, other.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &prompter{yes: true, words: []string{"secret"}}
	_, err := Dial(t.Context(), target, p)
	var e *HostKeyError
	if !errors.As(err, &e) || len(p.shown) != 0 || s.refused != 0 || s.logins != 0 {
		t.Fatalf("%v; asked %d times, %d logins", err, len(p.shown), s.logins+s.refused)
	}
	for _, want := range []string{ssh.FingerprintSHA256(s.key.PublicKey()), ssh.FingerprintSHA256(other.PublicKey()), target.KnownHosts[0] + ":1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

func TestHashedKnownHosts(t *testing.T) {
	s, target := newServer(t)
	hashed := func(key ssh.PublicKey) string {
		return keyLine(xknownhosts.HashHostname(xknownhosts.Normalize(s.addr)), key) + "\n"
	}
	file := target.KnownHosts[0]
	if err := os.WriteFile(file, []byte(hashed(s.key.PublicKey())), 0o600); err != nil {
		t.Fatal(err)
	}
	dial(t, target, nil)
	_, other := newKey(t)
	if err := os.WriteFile(file, []byte(hashed(other.PublicKey())), 0o600); err != nil {
		t.Fatal(err)
	}
	var e *HostKeyError
	if _, err := Dial(t.Context(), target, nil); !errors.As(err, &e) || len(e.Known) != 1 {
		t.Error(err)
	}
	// A file with hashed names gets hashed ones.
	if err := remember(file, "node9", other.PublicKey()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), "node9") || strings.Count(string(text), "|1|") != 2 {
		t.Errorf("%s %v", text, err)
	}
}

func TestRememberRefusesLinks(t *testing.T) {
	_, key := newKey(t)
	dir := t.TempDir()
	real := filepath.Join(dir, "real")
	if err := os.WriteFile(real, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(real, link); err != nil {
		t.Fatal(err)
	}
	if err := remember(link, "node1", key.PublicKey()); err == nil || !strings.Contains(err.Error(), "link") {
		t.Error(err)
	}
	if text, _ := os.ReadFile(real); string(text) != "mine" {
		t.Errorf("%q", text)
	}
	if err := remember(real, "node1", key.PublicKey()); err != nil {
		t.Fatal(err)
	}
	text, _ := os.ReadFile(real)
	if !strings.HasPrefix(string(text), "mine\nnode1 ssh-ed25519 ") {
		t.Errorf("%q", text)
	}
	if st, _ := os.Stat(real); st.Mode().Perm() != 0o600 {
		t.Error(st.Mode())
	}
}

// TestJumpHostsAreShared: nodes behind one jump host log in to it once, and it
// is left when the last of them goes.
func TestJumpHostsAreShared(t *testing.T) {
	outer, far := newServer(t)
	middle, near := newServer(t)
	_, one := newServer(t)
	_, two := newServer(t)
	one.Jump, two.Jump = []Target{far, near}, []Target{far, near}
	keys := NewKeyring(nil)
	var clients [6]*Client
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			target := one
			if i%2 == 1 {
				target = two
			}
			clients[i] = dial(t, target, keys)
		})
	}
	wg.Wait()
	if outer.logins != 1 || middle.logins != 1 {
		t.Errorf("%d and %d logins", outer.logins, middle.logins)
	}
	for _, c := range clients[1:] {
		c.Close()
	}
	if _, err := clients[0].Exec(t.Context(), []string{"true"}, nil); err != nil {
		t.Error(err)
	}
	clients[0].Close()
	keys.hops.mu.Lock()
	left := len(keys.hops.open)
	keys.hops.mu.Unlock()
	for _, s := range []*testServer{middle, outer} {
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			s.mu.Lock()
			c := s.conns[0]
			s.mu.Unlock()
			for {
				if err := c.SetReadDeadline(time.Now().Add(time.Hour)); err != nil {
					return
				}
				<-time.After(5 * time.Millisecond)
			}
		}()
		select {
		case <-closed:
		case <-time.After(5 * time.Second):
			t.Errorf("the jump host is still held (%d in the list)", left)
		}
	}
	// A chain that has gone is dialed anew, for all that come.
	again := dial(t, one, keys)
	outer.drop()
	<-again.Done()
	if !strings.Contains(again.Err().Error(), "jump host") {
		t.Error(again.Err())
	}
	dial(t, one, keys)
}

func TestEachHopIsChecked(t *testing.T) {
	outer, far := newServer(t)
	inner, target := newServer(t)
	_, other := newKey(t)
	far.Name = "bastion"
	if err := os.WriteFile(far.KnownHosts[0], []byte(xknownhosts.Line([]string{outer.addr}, other.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	target.Jump = []Target{far}
	_, err := Dial(t.Context(), target, nil)
	var e *HostKeyError
	if !errors.As(err, &e) || e.Host != xknownhosts.Normalize(outer.addr) || len(inner.connsNow()) != 0 {
		t.Errorf("%v", err)
	}
}

func TestSeveralAddresses(t *testing.T) {
	s, target := newServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := target
	dead.Port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	dead.Others = []Target{target}
	c := dial(t, dead, nil)
	if c.Target().Port != target.Port {
		t.Errorf("%+v", c.Target())
	}
	// What answered can be asked first; nothing is lost by it.
	again := dead.First(target.Address())
	if again.Port != target.Port || len(again.Others) != 1 || again.Others[0].Port != dead.Port || again.Others[0].Others != nil {
		t.Errorf("%+v", again)
	}
	if got := dead.First("192.0.2.9:22"); got.Port != dead.Port || len(got.Others) != 1 {
		t.Errorf("%+v", got)
	}
	// A wrong key is an answer: the next address is not tried.
	_, other := newKey(t)
	wrong := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(wrong, []byte(xknownhosts.Line([]string{s.addr}, other.PublicKey())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bad := target
	bad.KnownHosts, bad.Others = []string{wrong}, []Target{target}
	var e *HostKeyError
	if _, err := Dial(t.Context(), bad, nil); !errors.As(err, &e) {
		t.Error(err)
	}
	dead.Others = []Target{dead}
	if _, err := Dial(t.Context(), dead, nil); !errors.Is(err, ErrUnreachable) || strings.Count(err.Error(), "refused") < 2 {
		t.Error(err)
	}
}

func TestIPv6(t *testing.T) {
	_, target := newServerAt(t, "[::1]:0")
	c := dial(t, target, nil)
	_, behind := newServerAt(t, "[::1]:0")
	behind.Jump = []Target{target}
	dial(t, behind, nil)
	if c.Target().Address() != net.JoinHostPort("::1", c.Target().Address()[len("[::1]:"):]) {
		t.Error(c.Target().Address())
	}
}

// TestMaxSessions: no command fails because the server allows fewer sessions
// than are wanted.
func TestMaxSessions(t *testing.T) {
	s, target := newServer(t)
	s.maxSessions = 3
	c := dial(t, target, nil)
	p, err := c.Start(t.Context(), []string{"cat"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			if r, err := c.Exec(t.Context(), []string{"sleep", "0.02"}, nil); err != nil || r.Code != 0 {
				t.Error(r, err)
			}
		})
	}
	wg.Wait()
	s.mu.Lock()
	if s.tooMany > maxSessions {
		t.Errorf("%d sessions too many were asked for", s.tooMany)
	}
	s.mu.Unlock()
	p.Close()
	for left := 1; left > 0; {
		s.mu.Lock()
		left = s.sessions
		if left == 0 { // the probe and the commands have ended
			s.maxSessions, s.sessions = 1, 1
		}
		s.mu.Unlock()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := c.Exec(ctx, []string{"true"}, nil); !errors.Is(err, ErrSessions) || !strings.Contains(err.Error(), "MaxSessions") {
		t.Error(err)
	}
}

// A server that did not wait for a person is not one that nobody reaches.
func TestServerThatDidNotWait(t *testing.T) {
	target := Target{Name: "node1", Host: "192.0.2.1", Port: 22}
	for _, c := range []struct {
		waited time.Duration
		class  error
	}{{0, ErrUnreachable}, {2 * time.Minute, ErrLost}} {
		err := (&login{target: target, waited: c.waited}).classify(io.EOF)
		if !errors.Is(err, c.class) || strings.Contains(err.Error(), "after a wait of 2m0s") != (c.waited > 0) {
			t.Errorf("after %v: %v", c.waited, err)
		}
	}
}
