package relay

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"slices"
	"strings"
	"sync"

	"horcrux/engine/tether"
	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// Scripts for a node whose sshd forwards no sockets.
var (
	//go:embed join.sh
	joinScript string
	//go:embed listen.sh
	listenScript string
)

// forwarded is an SSH connection over which sockets are reached as sshd forwards
// them or, where it does not, by commands there. Each command has a login of its
// own: MaxSessions may be 1, and the ciphers of several use several cores.
type forwarded struct {
	line
	login func(context.Context) (starter, error)

	mu       sync.Mutex
	commands bool // sshd has refused once
	closed   bool
	more     []starter
	broken   error
}

// starter is an SSH connection that runs a command.
type starter interface {
	Start(ctx context.Context, argv []string) (stream, error)
	Err() error
	Close() error
}

// stream is a command's input and output.
type stream interface {
	net.Conn
	CloseWrite() error
}

// loggedIn is a connection to a node, with others as they are needed.
func loggedIn(n Node, c *transport.Client) *forwarded {
	return &forwarded{line: c, login: func(ctx context.Context) (starter, error) {
		c, err := n.Login(ctx)
		if err != nil {
			return nil, err
		}
		return client{c}, nil
	}}
}

type client struct{ *transport.Client }

func (c client) Start(ctx context.Context, argv []string) (stream, error) {
	return c.Client.Start(ctx, argv)
}

// try calls by while sshd has refused nothing; done tells that no command is needed.
func (f *forwarded) try(by func() error) (done bool, err error) {
	f.mu.Lock()
	commands := f.commands
	f.mu.Unlock()
	if commands {
		return false, nil
	}
	if err := by(); !errors.Is(err, transport.ErrForwarding) {
		return true, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commands = true
	return false, nil
}

// start runs a command with a login of its own, and reads the letter that says
// that it has done what it is for.
func (f *forwarded) start(ctx context.Context, letter byte, argv ...string) (s *command, err error) {
	c, err := f.login(ctx)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	closed := f.closed
	if !closed {
		f.more = append(f.more, c)
	}
	f.mu.Unlock()
	if closed {
		_ = c.Close()
		return nil, net.ErrClosed
	}
	ctx, cancel := context.WithTimeout(ctx, dialWithin)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	out, err := c.Start(ctx, argv)
	if err != nil {
		_ = f.let(c)
		return nil, err
	}
	s = &command{stream: out, of: f, login: c}
	if err := s.expect(letter); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// DialUnix opens a stream to a socket on the node.
func (f *forwarded) DialUnix(ctx context.Context, p string) (conn net.Conn, err error) {
	done, err := f.try(func() (err error) {
		conn, err = f.line.DialUnix(ctx, p)
		return err
	})
	if done {
		return conn, err
	}
	return f.join(ctx, p)
}

func (f *forwarded) join(ctx context.Context, p string) (net.Conn, error) {
	s, err := f.start(ctx, 'j', "sh", "-c", joinScript, "horcrux", p, "j", "")
	if err != nil {
		return nil, fmt.Errorf("cannot open %s by a command: %w", p, err)
	}
	return s, nil
}

// ListenUnix has a socket on the node whose connections come here.
func (f *forwarded) ListenUnix(ctx context.Context, p string) (l net.Listener, err error) {
	done, err := f.try(func() (err error) {
		l, err = f.line.ListenUnix(ctx, p)
		return err
	})
	if done {
		return l, err
	}
	other := path.Dir(p) + "/t" + path.Base(p)[:1]
	s, err := f.start(ctx, 'l', tether.Command("sh", "-c", listenScript, "horcrux", p, other)...)
	if err != nil {
		return nil, fmt.Errorf("cannot listen at %s by a command: %w", p, err)
	}
	return &knocks{command: s, other: other, stop: tether.Feed(s)}, nil
}

// Err is why one of the connections is gone.
func (f *forwarded) Err() error {
	if err := f.line.Err(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return f.broken
	}
	for _, c := range f.more {
		if err := c.Err(); err != nil {
			return err
		}
	}
	return nil
}

// failed keeps why a command ended while it was wanted.
func (f *forwarded) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.closed && f.broken == nil {
		f.broken = err
	}
}

// Close ends all of them.
func (f *forwarded) Close() error {
	f.mu.Lock()
	f.closed = true
	all := f.more
	f.more = nil
	f.mu.Unlock()
	for _, c := range all {
		_ = c.Close()
	}
	return f.line.Close()
}

// let closes a connection that has done its work.
func (f *forwarded) let(c starter) error {
	f.mu.Lock()
	f.more = slices.DeleteFunc(f.more, func(m starter) bool { return m == c })
	f.mu.Unlock()
	return c.Close()
}

// command is one that runs, as a connection.
type command struct {
	stream
	of    *forwarded
	login starter
}

// Close hangs up.
func (c *command) Close() error {
	_ = c.stream.Close()
	return c.of.let(c.login)
}

// mostWhy bounds what a command says of why it cannot.
const mostWhy = 400

// expect reads the letter that a script says when it has got so far.
func (c *command) expect(letter byte) error {
	var b [1]byte
	switch n, err := c.Read(b[:]); {
	case n == 1 && b[0] == letter:
		return nil
	case n == 1 && b[0] == 'x':
		why, _ := bufio.NewReader(io.LimitReader(c.stream, mostWhy)).ReadString('\n')
		return errors.New(virt.Clean(strings.TrimSpace(why)))
	case n == 1:
		return fmt.Errorf("it said %q where %q was expected", b[0], letter)
	case errors.Is(err, io.EOF):
		return errors.New("it ended without a word")
	default:
		return err
	}
}

// knocks says of each connection that the node has taken that it is there.
type knocks struct {
	*command
	other string
	stop  context.CancelFunc
}

// Accept fetches the next connection.
func (k *knocks) Accept() (net.Conn, error) {
	if err := k.expect('c'); err != nil {
		k.of.failed(fmt.Errorf("nothing listens at the sockets any more: %w", err))
		return nil, net.ErrClosed
	}
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	defer cancel()
	return k.of.join(ctx, k.other)
}

// Close ends the waiting.
func (k *knocks) Close() error {
	k.stop()
	return k.command.Close()
}

// Addr is that of the node's own socket.
func (k *knocks) Addr() net.Addr { return &net.UnixAddr{Net: "unix", Name: k.other} }
