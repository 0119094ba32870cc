// Package relay carries the memory and the mirrored disks of a move through
// this machine's own SSH connections, for nodes that do not reach each other.
//
// On the target QEMU listens on sockets in a folder that only it and root may
// enter. On the source sshd listens on sockets of the same names, and each
// connection that QEMU or libvirt opens there is carried to its namesake. Where
// sshd forwards no sockets, commands do. The connections are separate from those
// that control the move, so that a full line does not hold up an abort.
//
// It buffers no more than one block a direction: a side that does not take its
// data holds up the other one, as TCP would.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/transport"
)

// Execer runs commands on a host.
type Execer interface {
	Exec(ctx context.Context, argv []string, stdin io.Reader) (transport.Result, error)
}

// Node is what the package asks of a host; *fleet.Node is one.
type Node interface {
	Execer
	Name() model.NodeName
	// Login opens an SSH connection that is ours alone.
	Login(ctx context.Context) (*transport.Client, error)
}

// line is an SSH connection as far as it is used here.
type line interface {
	DialUnix(ctx context.Context, path string) (net.Conn, error)
	ListenUnix(ctx context.Context, path string) (net.Listener, error)
	Err() error // why it is gone
	Close() error
}

const (
	// block is what is carried at a time, bytes each way of each connection.
	block = 256 << 10
	// most bounds the connections of one move: QEMU opens one for each stream of
	// memory and one for each disk.
	most = 300
	// dialWithin is how long the target's socket is waited for.
	dialWithin = 15 * time.Second
	// closeWithin bounds the waiting for the last word of a connection.
	closeWithin = 2 * time.Second
	// owner is a folder of libvirt's that belongs to the user that QEMU runs as.
	owner = "/var/lib/libvirt/qemu"
)

// makeScript makes a folder for QEMU's user alone. It replaces nothing.
const makeScript = `umask 077 && mkdir -- "$1" && chown --reference="$2" -- "$1"`

// Relay is the way of one move. Its methods may be called from any goroutine.
type Relay struct {
	src, dst Node

	mu        sync.Mutex
	from, to  line
	listeners []net.Listener
	open      map[net.Conn]bool
	closed    bool
	err       error
	busy      sync.WaitGroup

	carried atomic.Uint64
}

// New makes a relay, which does nothing yet.
func New(src, dst Node) *Relay { return &Relay{src: src, dst: dst, open: map[net.Conn]bool{}} }

// Make makes the folder on both nodes. One that is there already is an error.
func (r *Relay) Make(ctx context.Context, dir string) error {
	if !path.IsAbs(dir) || path.Clean(dir) != dir {
		return fmt.Errorf("cannot make %q: not a clean absolute path", dir)
	}
	for _, n := range []Node{r.src, r.dst} {
		res, err := n.Exec(ctx, []string{"sh", "-c", makeScript, "horcrux", dir, owner}, nil)
		if err == nil {
			err = res.Failed("mkdir")
		}
		if err != nil {
			return fmt.Errorf("cannot make the folder for the sockets on %s: %w", n.Name(), err)
		}
	}
	return nil
}

// Login opens the two connections. Doing so before libvirt waits for anything
// keeps a slow login from being counted as silence.
func (r *Relay) Login(ctx context.Context) error {
	var (
		lines [2]*transport.Client
		errs  [2]error
		g     sync.WaitGroup
	)
	for i, n := range []Node{r.src, r.dst} {
		g.Go(func() { lines[i], errs[i] = n.Login(ctx) })
	}
	g.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		for _, l := range lines {
			if l != nil {
				_ = l.Close()
			}
		}
		return fmt.Errorf("cannot open the connections that carry the data: %w", err)
	}
	r.use(loggedIn(r.src, lines[0]), loggedIn(r.dst, lines[1]))
	return nil
}

func (r *Relay) use(from, to line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.from, r.to = from, to
}

// Listen opens the sockets on the source, and carries what comes in to the
// target's sockets of the same names until Close.
func (r *Relay) Listen(ctx context.Context, sockets ...string) error {
	for _, s := range sockets {
		l, err := r.from.ListenUnix(ctx, s)
		if err != nil {
			return err
		}
		r.mu.Lock()
		closed := r.closed
		if !closed {
			r.listeners = append(r.listeners, l)
			r.busy.Go(func() { r.accept(l, s) })
		}
		r.mu.Unlock()
		if closed {
			go l.Close()
			return errors.New("the relay is closed")
		}
	}
	return nil
}

// accept takes connections until the listener is closed; see ListenUnix of
// transport for why it never stops before.
//
// The target gets connections in the order in which the source opened them:
// QEMU before 8.0 takes the first for the one that leads the others.
func (r *Relay) accept(l net.Listener, socket string) {
	before := make(chan struct{})
	close(before)
	for {
		c, err := l.Accept()
		if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			r.fail(fmt.Errorf("%s: a connection to %s was not taken: %w", r.src.Name(), socket, err))
			continue
		}
		if !r.keep(c) {
			go c.Close()
			continue
		}
		turn, next := before, make(chan struct{})
		r.busy.Go(func() { r.carry(c, socket, turn, next) })
		before = next
	}
}

// keep notes a connection, so that Close ends it.
func (r *Relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || len(r.open) >= most {
		return false
	}
	r.open[c] = true
	return true
}

func (r *Relay) drop(c net.Conn) {
	r.mu.Lock()
	delete(r.open, c)
	r.mu.Unlock()
	_ = c.Close()
}

// carry joins one connection with the target's socket, once it is its turn, until
// both directions have ended, or one of them broke.
func (r *Relay) carry(c net.Conn, socket string, turn <-chan struct{}, next chan<- struct{}) {
	defer r.drop(c)
	<-turn
	ctx, cancel := context.WithTimeout(context.Background(), dialWithin)
	d, err := r.to.DialUnix(ctx, socket)
	cancel()
	close(next)
	if err != nil {
		r.fail(err)
		return
	}
	if !r.keep(d) {
		_ = d.Close()
		return
	}
	defer r.drop(d)
	ends := make(chan error, 2)
	go func() { ends <- r.pump(d, c) }()
	go func() { ends <- r.pump(c, d) }()
	if err := <-ends; err != nil {
		// The other direction may wait for ever on a side that is gone.
		_, _ = c.Close(), d.Close()
		r.fail(fmt.Errorf("the connection from %s to %s through this machine broke: %w", r.src.Name(), r.dst.Name(), err))
	}
	<-ends
}

// pump carries one direction, and hands its end on without ending the other.
func (r *Relay) pump(to, from net.Conn) error {
	buf := make([]byte, block)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return err
			}
			r.carried.Add(uint64(n))
		}
		if errors.Is(err, io.EOF) {
			half, ok := to.(interface{ CloseWrite() error })
			if !ok {
				return to.Close()
			}
			if err := half.CloseWrite(); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fail keeps the first thing that went wrong while the relay was wanted.
func (r *Relay) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil && !r.closed {
		r.err = err
	}
}

// Err is the first thing that went wrong, nil if nothing did. Connections that
// end in the middle of a block count; QEMU's own ends do not.
func (r *Relay) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return r.err
	}
	// To what was carried, a line that is lost looks like an ordinary end.
	for _, s := range []struct {
		l line
		n Node
	}{{r.from, r.src}, {r.to, r.dst}} {
		if s.l != nil && s.l.Err() != nil {
			return fmt.Errorf("the SSH connection to %s that carried the data is gone: %w", s.n.Name(), s.l.Err())
		}
	}
	return r.err
}

// Carried is how many bytes went through, both ways.
func (r *Relay) Carried() uint64 { return r.carried.Load() }

// Close ends all that runs. It may be called again.
func (r *Relay) Close() {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return
	}
	r.closed = true
	from, to := r.from, r.to
	for c := range r.open {
		go c.Close()
	}
	r.mu.Unlock()
	// With the connection sshd ends its sockets too, and every Accept returns.
	for _, l := range []line{from, to} {
		if l != nil {
			_ = l.Close()
		}
	}
	over := make(chan struct{})
	go func() { r.busy.Wait(); close(over) }()
	t := time.NewTimer(closeWithin)
	defer t.Stop()
	select {
	case <-over:
	case <-t.C: // a silent jump host; nothing of it is waited for
	}
}
