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
// ConnectTimeout, not counting the time in which a person types or touches a
// key. p is best a *Keyring, shared by all; nil means that nobody can be asked.
func Dial(ctx context.Context, t Target, p Prompter) (*Client, error) {
	keys, ok := p.(*Keyring)
	if !ok {
		keys = NewKeyring(p)
	}
	c, err := keys.dialOne(ctx, t.Jump, t)
	if err != nil {
		return nil, err
	}
	if err := c.Probe(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// dialOne logs in to one server behind a chain, at the first of its addresses
// where a server answers. An answer that is not good (a wrong host key, a
// refused login) ends it: the next address is for a way that is cut, not for a
// server that says no.
func (k *Keyring) dialOne(ctx context.Context, chain []Target, t Target) (*Client, error) {
	var errs []error
	for _, at := range t.all() {
		via, release, err := k.through(ctx, chain)
		if err != nil {
			return nil, err
		}
		c, err := dialHop(ctx, via, at, k)
		if err == nil {
			c.release(via, release)
			return c, nil
		}
		if via != nil && errors.Is(err, ErrUnreachable) {
			via.suspect(k.Patience)
		}
		release()
		errs = append(errs, err)
		if !errors.Is(err, ErrUnreachable) || ctx.Err() != nil {
			break
		}
	}
	if len(errs) == 1 {
		return nil, errs[0]
	}
	last := errs[len(errs)-1]
	if !errors.Is(last, ErrUnreachable) {
		return nil, last
	}
	var words []string
	for _, err := range errs {
		words = append(words, err.Error())
	}
	return nil, &Error{Doing: "reach", Where: t.Name, Class: ErrUnreachable, Err: errors.New(strings.Join(words, "; "))}
}

// dialHop logs in to one server, directly or through via.
func dialHop(ctx context.Context, via *Client, t Target, keys *Keyring) (*Client, error) {
	hostKeys, err := readHostKeys(t)
	if err != nil {
		return nil, &Error{Doing: "check the host key of", Where: t.Name, Err: err}
	}
	leave := turnstile(keys.Turns).pass(ctx, t.Address())
	defer leave()
	limit := newLimit(ctx, t.ConnectTimeout)
	defer limit.cancel()

	conn, err := dialTCP(limit.ctx, via, t.Address())
	if err != nil {
		return nil, &Error{Doing: "reach", Where: where(t), Class: ErrUnreachable, Err: limit.explain(err), Hint: viaHint(via, err)}
	}
	l := &login{ctx: limit.ctx, target: t, keys: keys, pause: limit.pause, resume: limit.resume}
	defer l.close()
	hostKeys.ask = l.acceptHostKey
	line := listenTo(conn)
	sshClient, err := handshake(limit, line, t, hostKeys, l)
	if err != nil {
		conn.Close()
		return nil, l.classify(limit.explain(err))
	}
	c := newClient(t, sshClient, line)
	if shown := hostKeys.accepted.Load(); shown != nil {
		c.hostKey = *shown
	}
	return c, nil
}

// viaHint says what a refusal of a jump host means.
func viaHint(via *Client, err error) string {
	var refused *ssh.OpenChannelError
	if via == nil || !errors.As(err, &refused) {
		return ""
	}
	if refused.Reason == ssh.Prohibited {
		return "the jump host " + via.target.Name + " forbids it: see AllowTcpForwarding and PermitOpen in its sshd_config"
	}
	return "the jump host " + via.target.Name + " does not get there"
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
			Auth:              l.methods(),
			AuthCallback:      l.next,
			HostKeyCallback:   keys.verify,
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
func (l *login) classify(err error) error {
	var hostKey *HostKeyError
	if errors.As(err, &hostKey) {
		return hostKey
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	text := err.Error()
	refused := strings.Contains(text, "unable to authenticate") || strings.Contains(text, "Too many authentication failures")
	for _, t := range l.trouble {
		refused = refused || errors.Is(err, t) || strings.Contains(text, t.Error())
	}
	if !refused && l.waited > time.Second {
		return &Error{
			Doing: "log in to", Where: where(l.target), Class: ErrLost, Err: err,
			Hint: fmt.Sprintf("that was after a wait of %v for an answer, and sshd ends a login after its LoginGraceTime, 2 minutes unless it is set; it is tried again",
				l.waited.Round(time.Second)),
		}
	}
	if !refused {
		return &Error{Doing: "reach", Where: where(l.target), Class: ErrUnreachable, Err: err}
	}
	trouble := errors.Join(l.trouble...)
	if trouble == nil {
		trouble = l.unaccepted()
	}
	if len(l.used) > 0 {
		l.keys.forget(l.used, trouble)
	}
	return &Error{
		Doing: "log in to", Where: where(l.target), Class: ErrAuth, Err: trouble,
		Hint: "try: ssh -p " + fmt.Sprint(l.target.Port) + " " + l.target.User + "@" + l.target.Host,
	}
}

// unaccepted says what was shown to a server that took nothing of it.
func (l *login) unaccepted() error {
	text := fmt.Sprintf("the server accepted none of %d keys for user %s", l.tried, l.target.User)
	if len(l.used) > 0 {
		text += ", nor the answers to its questions"
	}
	return errors.New(text)
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
