package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"horcrux/engine/transport"
)

// forbidding is a line to an sshd that forwards no sockets.
type forbidding struct{ host }

func (forbidding) DialUnix(context.Context, string) (net.Conn, error) {
	return nil, &transport.Error{Doing: "open", Class: transport.ErrForwarding}
}

func (forbidding) ListenUnix(context.Context, string) (net.Listener, error) {
	return nil, &transport.Error{Doing: "listen", Class: transport.ErrForwarding}
}

// shell is a login to this machine, in which a folder has another name.
type shell struct {
	env        []string
	name, real string

	mu  sync.Mutex
	all []*running
}

func (s *shell) Err() error { return nil }

func (s *shell) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.all {
		_ = r.Close()
	}
	return nil
}

// Start runs a command as sshd does, with a socket for its input and output.
func (s *shell) Start(_ context.Context, argv []string) (stream, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	r := &running{UnixConn: conn.(*net.UnixConn), ended: make(chan struct{})}
	for i := range argv {
		argv[i] = strings.ReplaceAll(argv[i], s.name, s.real)
	}
	cmd := exec.CommandContext(context.Background(), argv[0], argv[1:]...) //nolint:gosec // the package's own
	cmd.Env, cmd.Stdin, cmd.Stdout = append(os.Environ(), s.env...), theirs, theirs
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() { _ = cmd.Wait(); close(r.ended) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, r)
	return r, nil
}

// running is a command.
type running struct {
	*net.UnixConn
	ended chan struct{}
}

// forbidden is a relay between two folders of this machine, whose sshd forwards
// nothing.
func forbidden(t *testing.T, env []string) (r *Relay, src, dst string, shells *[]*shell) {
	t.Helper()
	src, dst = t.TempDir(), t.TempDir()
	var mu sync.Mutex
	shells = new([]*shell)
	at := func(dir string) *forwarded {
		return &forwarded{line: forbidding{}, login: func(context.Context) (starter, error) {
			s := &shell{env: env, name: src, real: dir}
			mu.Lock()
			defer mu.Unlock()
			*shells = append(*shells, s)
			return s, nil
		}}
	}
	r = New(named{}, named{})
	r.use(at(src), at(dst))
	t.Cleanup(r.Close)
	return r, src, dst, shells
}

// perlFails is a PATH whose perl does nothing.
func perlFails(t *testing.T) []string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Symlink("/bin/false", filepath.Join(dir, "perl")); err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
}

func TestCommandsJoinWhatSSHDoesNot(t *testing.T) {
	for name, env := range map[string][]string{"perl": nil, "python": perlFails(t)} {
		t.Run(name, func(t *testing.T) {
			r, src, dst, shells := forbidden(t, env)
			l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(dst, "m"))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go answer(l, func(c *net.UnixConn) {
				defer c.Close()
				b, _ := io.ReadAll(c) // returns only once the other side has ended its direction
				_, _ = c.Write(bytes.ToUpper(b))
			})
			if err := r.Listen(t.Context(), filepath.Join(src, "m")); err != nil {
				t.Fatal(err)
			}
			big := strings.Repeat("memory ", 1<<18)
			for range 3 {
				c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(src, "m"))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
					t.Fatal(err)
				}
				go func() {
					_, _ = io.WriteString(c, big)
					_ = c.(*net.UnixConn).CloseWrite()
				}()
				if got, err := io.ReadAll(c); err != nil || string(got) != strings.ToUpper(big) {
					t.Fatalf("%d bytes back of %d: %v; %v", len(got), len(big), err, r.Err())
				}
			}
			if r.Err() != nil || r.Carried() != uint64(6*len(big)) {
				t.Errorf("carried %d, %v", r.Carried(), r.Err())
			}
			r.Close()
			for _, s := range *shells {
				for _, p := range s.all {
					select {
					case <-p.ended:
					case <-time.After(20 * time.Second):
						t.Fatal("a command runs on")
					}
				}
			}
		})
	}
}

func TestCommandThatCannot(t *testing.T) {
	r, src, _, _ := forbidden(t, nil)
	if err := r.Listen(t.Context(), filepath.Join(src, "m")); err != nil {
		t.Fatal(err)
	}
	c, err := (&net.Dialer{}).DialContext(t.Context(), "unix", filepath.Join(src, "m"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("nobody listens on the target: %v", err)
	}
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "cannot open the socket of the move: No such file") {
		t.Errorf("%v", err)
	}
	if err := r.Listen(t.Context(), filepath.Join(src, "none", "m")); err == nil || !strings.Contains(err.Error(), "No such file") {
		t.Errorf("%v", err)
	}
}
