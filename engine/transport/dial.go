package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Dial logs in to a server, through its jump hosts. Each hop has the target's
// ConnectTimeout, not counting the time in which a person types a passphrase.
// p is best a *Keyring, shared by all; nil means that nobody can be asked.
func Dial(ctx context.Context, t Target, p Prompter) (*Client, error) {
	keys, ok := p.(*Keyring)
	if !ok {
		keys = NewKeyring(p)
	}
	var via *Client
	for _, hop := range append(append([]Target{}, t.Jump...), t) {
		c, err := dialHop(ctx, via, hop, keys)
		if err != nil {
			if via != nil {
				via.Close()
			}
			return nil, err
		}
		via = c
	}
	if err := via.Probe(ctx); err != nil {
		via.Close()
		return nil, err
	}
	return via, nil
}

// dialHop logs in to one server, directly or through via, and owns via then.
func dialHop(ctx context.Context, via *Client, t Target, keys *Keyring) (*Client, error) {
	hostKeys, err := readHostKeys(t)
	if err != nil {
		return nil, &Error{Doing: "check the host key of", Where: t.Name, Err: err}
	}
	limit := newLimit(ctx, t.ConnectTimeout)
	defer limit.cancel()

	conn, err := dialTCP(limit.ctx, via, t.Address())
	if err != nil {
		return nil, &Error{Doing: "reach", Where: where(t), Class: ErrUnreachable, Err: limit.explain(err)}
	}
	l := &login{ctx: limit.ctx, target: t, keys: keys, pause: limit.pause, resume: limit.resume}
	defer l.close()
	sshClient, err := handshake(limit, conn, t, hostKeys, l)
	if err != nil {
		conn.Close()
		return nil, l.classify(limit.explain(err), hostKeys)
	}
	return newClient(t, sshClient, via), nil
}

func where(t Target) string {
	if t.Name == t.Host || t.Name == "" {
		return t.Address()
	}
	return t.Name + " (" + t.Address() + ")"
}

func dialTCP(ctx context.Context, via *Client, addr string) (net.Conn, error) {
	if via == nil {
		return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	}
	return await(ctx, via, func() (net.Conn, error) { return via.ssh.Dial("tcp", addr) }, func(c net.Conn) { c.Close() })
}

// handshake returns when the limit is reached even if the connection does not
// (one through a jump host knows no deadline).
func handshake(limit *limit, conn net.Conn, t Target, keys *hostKeys, l *login) (*ssh.Client, error) {
	type outcome struct {
		client *ssh.Client
		err    error
	}
	done := make(chan outcome, 1)
	go func() {
		c, chans, reqs, err := ssh.NewClientConn(conn, t.Address(), &ssh.ClientConfig{
			User:              t.User,
			Auth:              []ssh.AuthMethod{ssh.PublicKeysCallback(l.signers)},
			HostKeyCallback:   keys.check,
			HostKeyAlgorithms: keys.algorithms,
			ClientVersion:     "SSH-2.0-horcrux",
		})
		if err != nil {
			done <- outcome{err: err}
			return
		}
		done <- outcome{client: ssh.NewClient(c, chans, reqs)}
	}()
	select {
	case o := <-done:
		return o.client, o.err
	case <-limit.ctx.Done():
		conn.Close()
		go func() {
			if o := <-done; o.client != nil {
				o.client.Close()
			}
		}()
		return nil, limit.ctx.Err()
	}
}

// classify turns the error of a handshake into one that says what to do.
func (l *login) classify(err error, keys *hostKeys) error {
	var hostKey *HostKeyError
	if errors.As(err, &hostKey) {
		return hostKey
	}
	var none *ssh.AlgorithmNegotiationError
	if errors.As(err, &none) && strings.Contains(err.Error(), "host key") && keys.known {
		return keys.noCommonType()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text := err.Error()
	refused := strings.Contains(text, "unable to authenticate") || strings.Contains(text, "Too many authentication failures")
	for _, t := range l.trouble {
		refused = refused || errors.Is(err, t) || strings.Contains(text, t.Error())
	}
	if refused {
		trouble := errors.Join(l.trouble...)
		if trouble == nil {
			trouble = fmt.Errorf("the server accepted none of %d keys for user %s", l.tried, l.target.User)
		}
		return &Error{
			Doing: "log in to", Where: where(l.target), Class: ErrAuth, Err: trouble,
			Hint: "try: ssh -p " + fmt.Sprint(l.target.Port) + " " + l.target.User + "@" + l.target.Host,
		}
	}
	return &Error{Doing: "reach", Where: where(l.target), Class: ErrUnreachable, Err: err}
}

// limit is a time limit whose clock can stand still.
type limit struct {
	ctx    context.Context
	stop   context.CancelCauseFunc
	timer  *time.Timer
	length time.Duration
}

func newLimit(parent context.Context, d time.Duration) *limit {
	ctx, stop := context.WithCancelCause(parent)
	l := &limit{ctx: ctx, stop: stop, length: d}
	l.timer = time.AfterFunc(d, func() { stop(fmt.Errorf("no answer within %v", d)) })
	return l
}

func (l *limit) cancel() {
	l.timer.Stop()
	l.stop(nil)
}

func (l *limit) pause()  { l.timer.Stop() }
func (l *limit) resume() { l.timer.Reset(l.length) }

// explain gives the reason of the limit instead of what it did to the connection.
func (l *limit) explain(err error) error {
	if cause := context.Cause(l.ctx); cause != nil {
		return cause
	}
	return err
}
