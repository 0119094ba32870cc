package transport

import (
	"context"
	"errors"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ListenUnix has the server listen on a socket there. Who accepts must go on
// accepting until the listener is closed: a stream that nobody takes holds up
// the whole connection. The server leaves the socket's file behind.
func (c *Client) ListenUnix(ctx context.Context, path string) (net.Listener, error) {
	l, err := await(ctx, c, func() (net.Listener, error) { return c.ssh.ListenUnix(path) }, func(l net.Listener) { l.Close() })
	if err == nil {
		return l, nil
	}
	doing := "listen on " + path + " on"
	if strings.Contains(err.Error(), "denied by peer") {
		// sshd gives the same answer for forbidden and for a bad path.
		return nil, &Error{
			Doing: doing, Where: c.target.Name, Class: ErrForwarding, Err: err,
			Hint: "see that sshd there has AllowStreamLocalForwarding and AllowTcpForwarding on",
		}
	}
	return nil, c.failed(doing, err)
}

// Reach is whether a server gets through to an address.
type Reach int

// What is known of it.
const (
	ReachUnknown Reach = iota
	ReachYes
	// ReachRefused: something at that address says that nobody listens there: the
	// host itself, or a firewall in its name.
	ReachRefused
	ReachNo
)

// Reaches has the server open a TCP connection to host:port, and closes it at
// once. It needs nothing on the server but sshd, and words say what was seen.
func (c *Client) Reaches(ctx context.Context, address string) (r Reach, words string) {
	conn, err := await(ctx, c, func() (net.Conn, error) { return c.ssh.Dial("tcp", address) }, func(n net.Conn) { n.Close() })
	if err == nil {
		conn.Close()
		return ReachYes, "it answers"
	}
	return judge(err)
}

// judge reads the answer of an SSH server that did not open a connection.
func judge(err error) (Reach, string) {
	var no *ssh.OpenChannelError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return ReachNo, "no answer"
	case !errors.As(err, &no):
		return ReachUnknown, printable(err.Error())
	}
	said := printable(no.Message)
	switch low := strings.ToLower(said); {
	case no.Reason != ssh.ConnectionFailed, low == "open failed", low == "":
		return ReachUnknown, "sshd there opens no TCP connections"
	case strings.Contains(low, "refused"):
		return ReachRefused, "connections are refused"
	}
	return ReachNo, said
}
