package virt

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

const (
	// quick, slow and probing bound calls whose context has no deadline of its
	// own. The first define after the start of a daemon took 32 s here, because
	// libvirt asks QEMU about itself.
	quick   = 15 * time.Second
	slow    = 45 * time.Second
	probing = 120 * time.Second
	// endless is for Perform, which lasts as long as the data.
	endless = 0

	// grace is how long an abandoned call may keep its place. It is longer than
	// the 30 s after which libvirt gives up waiting for its own job lock.
	grace = 40 * time.Second

	// parallel is how many calls may be on the way at once. The daemon serves
	// five per connection, and the heartbeat must never wait behind others.
	parallel = 3

	featureKeepalive = 10
)

// Conn is a connection to one libvirt daemon. All methods may be called from
// any goroutine.
type Conn struct {
	name  string
	l     *libvirt.Libvirt
	wire  *wire
	slots chan struct{}
	grace time.Duration
	way   *way
	lull  time.Duration

	names  sync.Map // model.UUID -> string, for libvirt's error texts
	roster *roster
	events *listeners

	cpuStats, memStats atomic.Int32 // how many there are
}

// Option adjusts Open.
type Option func(*Conn)

// Named gives the host's name for error texts.
func Named(name string) Option { return func(c *Conn) { c.name = name } }

// Open dials, says hello and opens uri, which is what the daemon at the other
// end opens (qemu:///system), not a way to it. Everything is bounded by ctx. It
// also asks the daemon to watch this connection: if we die without a word, the
// daemon knows within 30 seconds and lets go of what hangs on it.
func Open(ctx context.Context, dial func(context.Context) (net.Conn, error), uri string, opts ...Option) (*Conn, error) {
	c := &Conn{slots: make(chan struct{}, parallel), grace: grace, way: newWay(), lull: lull, events: newListeners(), roster: newRoster()}
	for _, o := range opts {
		o(c)
	}
	ctx, cancel := bounded(ctx, quick)
	defer cancel()
	inner, err := dial(ctx)
	if err != nil {
		return nil, &Error{Doing: "reach libvirt", Host: c.name, Err: err}
	}
	c.wire = newWire(inner, c.events.deliver)
	c.l = libvirt.NewWithDialer(ready{c.wire})

	opened := make(chan error, 1)
	go func() {
		err := c.l.ConnectToURI(libvirt.ConnectURI(uri))
		close(c.wire.opened)
		opened <- err
	}()
	select {
	case err = <-opened:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		// The library never asks for it, because it cannot answer; the wire can.
		_, err = call(ctx, c, "ask for keepalive", quick, func(l *libvirt.Libvirt) (int32, error) {
			return l.ConnectSupportsFeature(featureKeepalive)
		})
		if _, refused := Code(err); refused {
			err = nil
		}
	}
	if err != nil {
		failed := c.failed("open "+uri, err)
		c.Close()
		return nil, failed
	}
	return c, nil
}

type ready struct{ conn net.Conn }

func (r ready) Dial() (net.Conn, error) { return r.conn, nil }

// The wire is a net.Conn whose deadlines do nothing: a deadline would make the
// library's reader spin.
func (w *wire) LocalAddr() net.Addr              { return w.inner.LocalAddr() }
func (w *wire) RemoteAddr() net.Addr             { return w.inner.RemoteAddr() }
func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// Close ends the connection. It takes no new calls, gives those on the way a
// moment, since libvirtd was seen to die of a client that leaves in the middle
// of one, and then closes; calls that are not answered by then return
// ErrLost. It says no goodbye, which could wait for ever. The daemon lets go of
// what hangs on this connection (a migration that is not finished).
func (c *Conn) Close() error {
	c.way.shut(c.lull, c.wire.done)
	return c.wire.Close()
}

// Done is closed when the connection is gone, for whatever reason.
func (c *Conn) Done() <-chan struct{} { return c.wire.done }

// Err is why the connection is gone, nil while it is there.
func (c *Conn) Err() error { return c.wire.cause() }

// Silence is how long the daemon has answered no call.
func (c *Conn) Silence() time.Duration {
	return time.Since(c.wire.start) - time.Duration(c.wire.answered.Load())
}

// bounded gives ctx a deadline if it has none; limit 0 leaves it as it is.
func bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has || limit == endless {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, limit)
}

// call makes one request, never more: a second one could go out after the
// caller has given up. It returns when the answer is here, when the connection
// dies, or when ctx ends.
func call[T any](ctx context.Context, c *Conn, doing string, limit time.Duration, request func(*libvirt.Libvirt) (T, error)) (T, error) {
	var zero T
	patience := c.grace
	if limit == endless {
		patience = endless
	}
	ctx, cancel := bounded(ctx, limit)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
	case <-c.wire.done:
		return zero, &Error{Doing: doing, Host: c.name, Class: ErrLost, Err: c.Err()}
	case <-ctx.Done():
		return zero, &Error{Doing: doing, Host: c.name, Class: ErrTimeout, Err: ctx.Err()}
	}
	return send(ctx, c, doing, patience, request, func() { <-c.slots })
}

// send is call without its place in the queue; the heartbeat uses it. A call
// that is abandoned and not answered within patience ends the connection.
func send[T any](ctx context.Context, c *Conn, doing string, patience time.Duration, request func(*libvirt.Libvirt) (T, error), release func()) (T, error) {
	var zero T
	if err := c.Err(); err != nil {
		release()
		return zero, &Error{Doing: doing, Host: c.name, Class: ErrLost, Err: err}
	}
	if err := ctx.Err(); err != nil {
		release()
		return zero, &Error{Doing: doing, Host: c.name, Class: ErrTimeout, Err: err}
	}
	if !c.way.enter() {
		release()
		return zero, &Error{Doing: doing, Host: c.name, Class: ErrLost, Err: errClosed}
	}
	type answer struct {
		v   T
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		defer release()
		defer c.way.leave()
		var a answer
		defer func() {
			if r := recover(); r != nil {
				a.err = &answerError{fmt.Errorf("%v", r)}
			}
			answered <- a
		}()
		a.v, a.err = request(c.l)
	}()
	settle := func(a answer) (T, error) {
		if a.err != nil {
			return zero, c.failed(doing, a.err)
		}
		return a.v, nil
	}
	select {
	case a := <-answered:
		return settle(a)
	case <-c.wire.done:
		select {
		case a := <-answered:
			return settle(a)
		default:
			return zero, &Error{Doing: doing, Host: c.name, Sent: true, Class: ErrLost, Err: c.Err()}
		}
	case <-ctx.Done():
		if patience != endless {
			t := time.AfterFunc(patience, func() { c.wire.fail(errors.New("a call was not answered: " + doing)) })
			go func() {
				select {
				case <-answered:
				case <-c.wire.done:
				}
				t.Stop()
			}()
		}
		return zero, &Error{Doing: doing, Host: c.name, Sent: true, Class: ErrTimeout, Err: ctx.Err()}
	}
}

// act is call for requests that answer nothing.
func act(ctx context.Context, c *Conn, doing string, limit time.Duration, request func(*libvirt.Libvirt) error) error {
	_, err := call(ctx, c, doing, limit, func(l *libvirt.Libvirt) (struct{}, error) {
		return struct{}{}, request(l)
	})
	return err
}

// domain is what requests name a domain with. libvirt goes by the UUID alone;
// the name is for its error texts and is looked up once.
func (c *Conn) domain(ctx context.Context, uuid model.UUID) (libvirt.Domain, error) {
	raw, err := parseUUID(uuid)
	if err != nil {
		return libvirt.Domain{}, &Error{Doing: "find the domain", Host: c.name, Err: err}
	}
	if name, ok := c.names.Load(uuid); ok {
		return libvirt.Domain{Name: name.(string), UUID: raw, ID: -1}, nil
	}
	if name, ok := c.roster.named(raw); ok {
		return libvirt.Domain{Name: name, UUID: raw, ID: -1}, nil
	}
	d, err := call(ctx, c, "find the domain", quick, func(l *libvirt.Libvirt) (libvirt.Domain, error) {
		return l.DomainLookupByUUID(raw)
	})
	if err == nil {
		c.names.Store(uuid, d.Name)
	}
	return d, err
}

// onDomain makes one request about one domain.
func onDomain[T any](ctx context.Context, c *Conn, uuid model.UUID, doing string, limit time.Duration, request func(*libvirt.Libvirt, libvirt.Domain) (T, error)) (T, error) {
	d, err := c.domain(ctx, uuid)
	if err != nil {
		var e *Error
		if errors.As(err, &e) {
			e.Doing, e.Sent = doing, false // only the look-up was sent
		}
		var zero T
		return zero, err
	}
	return call(ctx, c, doing, limit, func(l *libvirt.Libvirt) (T, error) { return request(l, d) })
}

// actOn is onDomain for requests that answer nothing.
func actOn(ctx context.Context, c *Conn, uuid model.UUID, doing string, limit time.Duration, request func(*libvirt.Libvirt, libvirt.Domain) error) error {
	_, err := onDomain(ctx, c, uuid, doing, limit, func(l *libvirt.Libvirt, d libvirt.Domain) (struct{}, error) {
		return struct{}{}, request(l, d)
	})
	return err
}
