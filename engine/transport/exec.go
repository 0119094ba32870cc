package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	maxStdout = 16 << 20
	maxStderr = 256 << 10
)

// Result is what a command said and how it ended.
type Result struct {
	Stdout, Stderr []byte
	Code           int // 128 + the signal if one ended it
	// Truncated tells that there was more output than is kept.
	Truncated bool
}

// Failed makes an error of a result that is not success, with the command's
// own words; nil for success.
func (r Result) Failed(what string) error {
	if r.Code == 0 {
		return nil
	}
	words := printable(string(r.Stderr))
	if words == "" {
		words = printable(string(r.Stdout))
	}
	return fmt.Errorf("%s ended with %d: %s", what, r.Code, words)
}

// Exec runs a command without a shell's reading of its arguments, with stdin
// (nil for none), to its end. A command that ran is not an error, whatever its
// code. When ctx ends, its channel is closed and the server sends it a hangup:
// that it has stopped is not certain. A stdin that blocks in Read keeps one
// goroutine until it returns.
func (c *Client) Exec(ctx context.Context, argv []string, stdin io.Reader) (Result, error) {
	doing := "run " + name(argv) + " on"
	command, err := Quote(argv)
	if err != nil {
		return Result{}, &Error{Doing: doing, Where: c.target.Name, Err: err}
	}
	s, err := c.session(ctx, 0)
	if err != nil {
		return Result{}, c.failed(doing, err)
	}
	defer c.sessions.give()
	out, errs := &bounded{limit: maxStdout}, &bounded{limit: maxStderr}
	s.Stdout, s.Stderr = out, errs
	_, err = await(ctx, c, func() (struct{}, error) {
		defer s.Close()
		return struct{}{}, runWith(s, command, stdin)
	}, nil)
	var exit *ssh.ExitError
	if err != nil && !errors.As(err, &exit) {
		go s.Close()
		return Result{}, c.failed(doing, err)
	}
	var r Result
	var more [2]bool
	r.Stdout, more[0] = out.take()
	r.Stderr, more[1] = errs.take()
	r.Stderr = c.news(r.Stderr)
	r.Truncated = more[0] || more[1]
	if exit != nil {
		r.Code = exit.ExitStatus()
	}
	return r, nil
}

func name(argv []string) string {
	if len(argv) == 0 {
		return "nothing"
	}
	return printable(argv[0])
}

// runWith feeds stdin by itself: the library would wait for the end of stdin
// even after the command has ended.
func runWith(s *ssh.Session, command string, stdin io.Reader) error {
	if stdin == nil {
		return s.Run(command)
	}
	in, err := s.StdinPipe()
	if err != nil {
		return err
	}
	if err := s.Start(command); err != nil {
		return err
	}
	go func() {
		io.Copy(in, stdin) //nolint:errcheck // a command may stop reading; its code tells
		in.Close()
	}()
	return s.Wait()
}

// Process is a command that runs; its stdin and stdout are a net.Conn. Closing
// it hangs up on the command.
type Process struct {
	client  *Client
	session *ssh.Session
	stdin   io.WriteCloser
	stdout  io.Reader
	stderr  *bounded
	give    func()
}

// Stream is a command that runs: Read is its stdout, Write its stdin, Close
// hangs up. *Process is one.
type Stream interface {
	io.ReadWriteCloser
	// CloseWrite ends the command's stdin.
	CloseWrite() error
	// Stderr is what the command has complained of so far.
	Stderr() string
}

// Start runs a command and returns with its pipes.
func (c *Client) Start(ctx context.Context, argv []string) (*Process, error) {
	doing := "run " + name(argv) + " on"
	command, err := Quote(argv)
	if err != nil {
		return nil, &Error{Doing: doing, Where: c.target.Name, Err: err}
	}
	s, err := c.session(ctx, keepFree)
	if err != nil {
		return nil, c.failed(doing, err)
	}
	p := &Process{client: c, session: s, give: sync.OnceFunc(c.sessions.give), stderr: &bounded{limit: maxStderr}}
	s.Stderr = p.stderr
	if p.stdin, err = s.StdinPipe(); err == nil {
		p.stdout, err = s.StdoutPipe()
	}
	if err == nil {
		_, err = await(ctx, c, func() (struct{}, error) {
			return struct{}{}, s.Start(command)
		}, nil)
	}
	if err != nil {
		p.give()
		go s.Close()
		return nil, c.failed(doing, err)
	}
	return p, nil
}

// Read reads the command's stdout.
func (p *Process) Read(b []byte) (int, error) { return p.stdout.Read(b) }

// Write writes to the command's stdin.
func (p *Process) Write(b []byte) (int, error) { return p.stdin.Write(b) }

// CloseWrite ends the command's stdin.
func (p *Process) CloseWrite() error { return p.stdin.Close() }

// Close hangs up.
func (p *Process) Close() error {
	defer p.give()
	return p.session.Close()
}

// Stderr is what the command has complained of so far.
func (p *Process) Stderr() string {
	b, _ := p.stderr.take()
	return printable(string(p.client.news(b)))
}

// LocalAddr and RemoteAddr are those of the SSH connection.
func (p *Process) LocalAddr() net.Addr { return p.client.ssh.LocalAddr() }

// RemoteAddr is the server's address.
func (p *Process) RemoteAddr() net.Addr { return p.client.ssh.RemoteAddr() }

// SetDeadline does nothing: an SSH channel has no deadlines.
func (p *Process) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (p *Process) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (p *Process) SetWriteDeadline(time.Time) error { return nil }
