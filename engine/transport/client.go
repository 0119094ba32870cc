package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"horcrux/engine/pulse"
)

// Client is a login on one server. All methods may be called from any
// goroutine. It is never repaired: when it is gone, dial again.
type Client struct {
	target   Target
	ssh      *ssh.Client
	line     *heard
	sessions *sessions
	hostKey  string

	once sync.Once
	done chan struct{}

	mu       sync.Mutex
	err      error
	via      *Client // the jump host
	letGo    func()  // of it
	hostname string
	sockets  []string
	denied   []string
	noise    [][]byte // lines of stderr that come with every command
}

var (
	errClosed = errors.New("closed by us")
	errHangup = errors.New("the SSH server closed the connection")
)

func newClient(t Target, s *ssh.Client, line *heard) *Client {
	c := &Client{target: t, ssh: s, line: line, sessions: newSessions(), done: make(chan struct{})}
	go func() { c.fail(c.cause(s.Wait())) }()
	return c
}

// cause names the jump host where that is what ended: what goes through it may
// hear of it first.
func (c *Client) cause(err error) error {
	c.mu.Lock()
	via := c.via
	c.mu.Unlock()
	if via == nil {
		return err
	}
	t := time.NewTimer(farewell)
	defer t.Stop()
	select {
	case <-via.done:
		return viaGone(via)
	case <-t.C:
		return err
	}
}

func viaGone(via *Client) error {
	return fmt.Errorf("the jump host %s: %w", via.target.Name, via.Err())
}

// release binds the client to the jump host that it goes through, if any, and
// to what lets go of that one.
func (c *Client) release(via *Client, letGo func()) {
	if via == nil {
		return
	}
	c.mu.Lock()
	c.via, c.letGo = via, letGo
	gone := c.err != nil
	c.mu.Unlock()
	if gone {
		letGo()
		return
	}
	go func() {
		select {
		case <-via.done:
			c.fail(viaGone(via))
		case <-c.done:
		}
	}()
}

// suspect looks whether a jump host is still there, after something through it
// has failed, so that the next attempt does not wait for a dead one.
func (c *Client) suspect(patience time.Duration) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.Ping(ctx); err != nil {
			c.fail(fmt.Errorf("no sign of life for %v", patience))
		}
	}()
}

// fail ends the client; the first cause is kept.
func (c *Client) fail(err error) {
	c.once.Do(func() {
		if err == nil || errors.Is(err, io.EOF) {
			err = errHangup
		}
		c.mu.Lock()
		c.err = err
		letGo := c.letGo
		c.mu.Unlock()
		close(c.done)
		go func() {
			// Closing a channel of a jump host may have to write to a silent peer.
			c.ssh.Close()
		}()
		if letGo != nil {
			letGo()
		}
	})
}

// Close ends the connection and all that runs over it, at once.
func (c *Client) Close() error {
	c.fail(errClosed)
	return nil
}

// Done is closed when the connection is gone.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why it is gone, nil while it is there.
func (c *Client) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// RemoteAddr is the server's address; behind a jump host it may say little.
func (c *Client) RemoteAddr() net.Addr { return c.ssh.RemoteAddr() }

// Hostname is what the server calls itself, empty if it did not say.
func (c *Client) Hostname() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hostname
}

// Sockets are the sockets of libvirt that were there when last looked, best first.
func (c *Client) Sockets() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sockets
}

// maxHostname is HOST_NAME_MAX of POSIX with room for a domain.
const maxHostname = 255

// Denied are the sockets of libvirt that are there, and that the user may not use.
func (c *Client) Denied() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.denied
}

// HostKey is the key that the server showed and that was found good, as
// "type base64".
func (c *Client) HostKey() string { return c.hostKey }

// Target is the way that led here: of several addresses the one that answered.
func (c *Client) Target() Target { return c.target }

// probeScript prints the host's name and the sockets that exist, those that the
// user may not use with a sign. The names are the order of preference.
const probeScript = `uname -n; for s in /run/libvirt/libvirt-sock /var/run/libvirt/libvirt-sock ` +
	`/run/libvirt/virtqemud-sock /var/run/libvirt/virtqemud-sock ; do [ -S "$s" ] || continue; [ -w "$s" ] && echo "$s" || echo "-$s"; done; exit 0`

// Probe looks for the host's name and for libvirt's sockets. The first time,
// right after the login, it also makes sshd turn Nagle's algorithm off for the
// whole connection, without which large replies cost 40 ms more. A server that
// runs no commands is served all the same.
func (c *Client) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.target.ConnectTimeout)
	defer cancel()
	r, err := c.Exec(ctx, []string{"sh", "-c", probeScript}, nil)
	if err != nil {
		if errors.Is(err, ErrLost) || errors.Is(err, ErrTimeout) {
			return &Error{Doing: "reach", Where: where(c.target), Class: ErrUnreachable, Err: err}
		}
		return nil
	}
	lines := strings.Split(strings.TrimSpace(string(r.Stdout)), "\n")
	if r.Code != 0 {
		return nil
	}
	c.learnNoise(r.Stderr)
	var sockets, denied []string
	for _, l := range lines[1:min(len(lines), 9)] {
		// Nothing but these names is taken from a host.
		if no, ok := strings.CutPrefix(l, "-"); ok && strings.Contains(probeScript, " "+no+" ") {
			denied = append(denied, no)
		} else if strings.HasPrefix(l, "/") && strings.Contains(probeScript, " "+l+" ") {
			sockets = append(sockets, l)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := printable(lines[0])
	c.hostname, c.sockets, c.denied = name[:min(len(name), maxHostname)], sockets, denied
	return nil
}

// KeepAlive asks for a sign of life once nothing was heard for interval, or a
// sixteenth less where other timers end then, and ends
// the connection when none comes within timeout. It returns when the connection
// is gone.
func (c *Client) KeepAlive(interval, timeout time.Duration) {
	t := time.NewTimer(interval)
	defer t.Stop()
	slack := interval / 16
	for {
		select {
		case <-c.done:
			return
		case <-t.C:
		}
		if left := interval - c.line.silence(); left > slack {
			t.Reset(pulse.Together(left, slack))
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		err := c.Ping(ctx)
		cancel()
		if err != nil {
			c.fail(fmt.Errorf("no sign of life for %v", timeout))
			return
		}
		t.Reset(interval)
	}
}

// Ping asks the SSH server for a sign of life. It says nothing about libvirt.
func (c *Client) Ping(ctx context.Context) error {
	_, err := await(ctx, c, func() (struct{}, error) {
		_, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil)
		return struct{}{}, err
	}, nil)
	if err != nil {
		return c.failed("hear from", err)
	}
	return nil
}

// DialUnix opens a stream to a socket on the server. The stream knows no
// deadlines: closing it is the way to end a read.
func (c *Client) DialUnix(ctx context.Context, path string) (net.Conn, error) {
	conn, err := await(ctx, c, func() (net.Conn, error) { return c.ssh.Dial("unix", path) }, func(n net.Conn) { n.Close() })
	if err == nil {
		return conn, nil
	}
	var refused *ssh.OpenChannelError
	if errors.As(err, &refused) {
		// sshd gives the same answer for forbidden and for missing.
		return nil, &Error{
			Doing: "open " + path + " on", Where: c.target.Name, Class: ErrForwarding, Err: err,
			Hint: "see that it exists and that sshd has AllowTcpForwarding and AllowStreamLocalForwarding on",
		}
	}
	return nil, c.failed("open "+path+" on", err)
}

// farewell is how long the end of a channel waits for the news that all is over.
const farewell = 200 * time.Millisecond

// failed classifies what went wrong on an open connection.
func (c *Client) failed(doing string, err error) error {
	if said := new(Error); errors.As(err, &said) {
		return said
	}
	e := &Error{Doing: doing, Where: c.target.Name, Err: err}
	stopped := errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
	if !stopped {
		// A channel may end, in many words, a moment before the connection
		// that carried it.
		t := time.NewTimer(farewell)
		defer t.Stop()
		select {
		case <-c.done:
		case <-t.C:
		}
	}
	switch {
	case c.Err() != nil:
		e.Class, e.Err = ErrLost, c.Err()
	case stopped:
		e.Class = ErrTimeout
	}
	return e
}

// await runs something that knows no context. What comes after nobody waits
// any more is thrown away.
func await[T any](ctx context.Context, c *Client, run func() (T, error), discard func(T)) (T, error) {
	type outcome struct {
		v   T
		err error
	}
	ch := make(chan outcome, 1)
	go func() {
		v, err := run()
		ch <- outcome{v, err}
	}()
	var err error
	select {
	case o := <-ch:
		return o.v, o.err
	case <-c.done:
		err = ErrLost
	case <-ctx.Done():
		err = ctx.Err()
	}
	go func() {
		if o := <-ch; o.err == nil && discard != nil {
			discard(o.v)
		}
	}()
	var zero T
	return zero, err
}

// bounded keeps the first bytes and forgets the rest, so that a command's
// output cannot fill our memory; the command is not disturbed.
type bounded struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	limit int
	more  bool
}

func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if room := b.limit - b.buf.Len(); room < len(p) {
		b.more = true
		b.buf.Write(p[:max(room, 0)])
	} else {
		b.buf.Write(p)
	}
	return len(p), nil
}

func (b *bounded) take() ([]byte, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]byte(nil), b.buf.Bytes()...), b.more
}
