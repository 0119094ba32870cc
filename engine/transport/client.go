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
)

// Client is a login on one server. All methods may be called from any
// goroutine. It is never repaired: when it is gone, dial again.
type Client struct {
	target Target
	ssh    *ssh.Client
	via    *Client

	once sync.Once
	done chan struct{}

	mu       sync.Mutex
	err      error
	hostname string
	sockets  []string
}

var (
	errClosed = errors.New("closed by us")
	errHangup = errors.New("the SSH server closed the connection")
)

func newClient(t Target, s *ssh.Client, via *Client) *Client {
	c := &Client{target: t, ssh: s, via: via, done: make(chan struct{})}
	go func() { c.fail(s.Wait()) }()
	if via != nil {
		go func() {
			select {
			case <-via.done:
				c.fail(via.Err())
			case <-c.done:
			}
		}()
	}
	return c
}

// fail ends the client; the first cause is kept.
func (c *Client) fail(err error) {
	c.once.Do(func() {
		if err == nil || errors.Is(err, io.EOF) {
			err = errHangup
		}
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
		close(c.done)
		// Closing a channel of a jump host may have to write to a silent peer.
		go c.ssh.Close()
		if c.via != nil {
			c.via.Close()
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

// probeScript prints the host's name and the sockets that exist. The names
// are the order of preference.
const probeScript = `uname -n; for s in /run/libvirt/libvirt-sock /var/run/libvirt/libvirt-sock ` +
	`/run/libvirt/virtqemud-sock /var/run/libvirt/virtqemud-sock; do [ -S "$s" ] && echo "$s"; done; exit 0`

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
	var sockets []string
	for _, l := range lines[1:] {
		if strings.HasPrefix(l, "/") {
			sockets = append(sockets, l)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hostname, c.sockets = printable(lines[0]), sockets
	return nil
}

// KeepAlive asks for a sign of life every interval and ends the connection when
// none comes within timeout. It returns when the connection is gone.
func (c *Client) KeepAlive(interval, timeout time.Duration) {
	t := time.NewTicker(interval)
	defer t.Stop()
	for {
		select {
		case <-c.done:
			return
		case <-t.C:
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		err := c.Ping(ctx)
		cancel()
		if err != nil {
			c.fail(fmt.Errorf("no sign of life for %v", timeout))
			return
		}
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
