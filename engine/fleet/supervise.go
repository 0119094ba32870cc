package fleet

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"horcrux/engine/model"
	"horcrux/engine/pulse"
	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// A host without power is shown unreachable within sshInterval + sshTimeout. The
// intervals are a little longer than the one at which the figures of nodes are read
// in a big cluster (three seconds), so that those are the sign of life. Where none
// are read, the answer of libvirt is, which comes before SSH is asked for one.
const (
	sshInterval = 5 * time.Second
	sshTimeout  = 5 * time.Second

	rpcInterval = 4500 * time.Millisecond
	rpcLate     = 2 * time.Second // then the node is busy
	rpcTimeout  = 8 * time.Second // then its daemon is down
	rpcSlack    = rpcInterval / 16

	// openTimeout bounds an attempt to open libvirt over a living login, unless
	// more patience is asked for.
	openTimeout = 8 * time.Second

	// farewell is how long the end of a libvirt connection waits for the news
	// that SSH is gone too, so that one cut is shown as one.
	farewell = 300 * time.Millisecond

	// refusedPause is between logins that were refused: more often would look
	// like an attack.
	refusedPause = 30 * time.Second
)

func newPause() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: 500 * time.Millisecond, Multiplier: 1.7, RandomizationFactor: 0.3,
		MaxInterval: 7 * time.Second, // a node that comes back shows within ten seconds
	}
}

// run keeps the node connected until ctx ends.
func (n *Node) run(ctx context.Context) {
	if n.invalid != nil {
		n.set(model.NodeRefused, n.invalid.Error())
		<-ctx.Done()
		return
	}
	pause := newPause()
	to := n.target.First(n.answered)
	for ctx.Err() == nil {
		client, err := transport.Dial(ctx, to, n.keys)
		to = n.target
		if err != nil {
			n.sleep(ctx, n.refused(err, pause.NextBackOff()), nil)
			continue
		}
		n.setClient(client)
		worked, err := n.serve(ctx, client)
		n.setClient(nil)
		if worked {
			pause.Reset()
		}
		if ctx.Err() == nil {
			n.set(model.NodeUnreachable, err.Error())
			n.sleep(ctx, pause.NextBackOff(), nil)
		}
	}
}

func (n *Node) setClient(c *transport.Client) {
	n.mu.Lock()
	n.client = c
	n.mu.Unlock()
	n.changed.ring()
}

// refused shows why there is no login and gives the pause before the next try.
func (n *Node) refused(err error, pause time.Duration) time.Duration {
	var key *transport.HostKeyError
	switch {
	case errors.As(err, &key):
		n.set(model.NodeRefused, err.Error())
		return pause // nothing was tried that could lock us out
	case errors.Is(err, transport.ErrAuth):
		n.set(model.NodeRefused, err.Error())
		return refusedPause
	}
	n.set(model.NodeUnreachable, err.Error())
	return pause
}

// serve keeps libvirt open over one login until the login is gone, and gives
// the reason. It reports whether libvirt could be used at all.
func (n *Node) serve(ctx context.Context, client *transport.Client) (worked bool, gone error) {
	stop := context.AfterFunc(ctx, func() {
		// While there is still a line to hear the last answers on. One that is being
		// opened has nothing to lose, and may take long.
		if n.actMu.TryLock() {
			n.drop()
			n.actMu.Unlock()
		}
		client.Close()
	})
	defer stop()
	defer client.Close()
	defer n.dropConns()
	go client.KeepAlive(sshInterval, n.patience)
	pause := newPause()
	for client.Err() == nil {
		open, cancel := context.WithTimeout(ctx, max(openTimeout, n.patience))
		conn, err := n.openLibvirt(open, client)
		cancel()
		if err == nil {
			worked = true
			pause.Reset()
			err = n.watch(ctx, client, conn)
		}
		if gone := stillThere(client, n.patience); gone != nil {
			return worked, gone
		}
		n.set(model.NodeDaemonDown, err.Error())
		n.sleep(ctx, pause.NextBackOff(), client.Done())
		if client.Err() == nil {
			client.Probe(ctx) //nolint:errcheck // only for the sockets; KeepAlive judges the line
		}
	}
	return worked, client.Err()
}

// watch shows a connection to the world and listens to its heart until it stops.
func (n *Node) watch(ctx context.Context, client *transport.Client, conn *virt.Conn) error {
	defer conn.Close()
	n.mu.Lock()
	n.poll = conn
	n.mu.Unlock()
	n.set(model.NodeUp, "")
	t := time.NewTimer(rpcInterval)
	defer t.Stop()
	for {
		select {
		case <-conn.Done():
			return conn.Err()
		case <-client.Done():
			return client.Err()
		case <-t.C:
		}
		// Whoever reads figures has heard the heart beat.
		if left := rpcInterval - conn.Silence(); left > rpcSlack {
			t.Reset(pulse.Together(left, rpcSlack))
			continue
		}
		if err := n.heartbeat(ctx, conn); err != nil {
			return err
		}
		t.Reset(rpcInterval)
	}
}

// heartbeat asks once; a late answer shows as busy before it shows as down.
func (n *Node) heartbeat(ctx context.Context, conn *virt.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, rpcTimeout)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- conn.Ping(ctx) }()
	late := time.NewTimer(rpcLate)
	defer late.Stop()
	for {
		select {
		case err := <-answer:
			if err == nil {
				n.set(model.NodeUp, "")
			}
			return err
		case <-late.C:
			n.set(model.NodeBusy, "libvirt answers late")
		}
	}
}

// stillThere tells a dead daemon (nil) from a dead host.
func stillThere(client *transport.Client, patience time.Duration) error {
	t := time.NewTimer(farewell)
	defer t.Stop()
	select {
	case <-client.Done():
		return client.Err()
	case <-t.C:
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return client.Ping(ctx)
}

func (n *Node) dropConns() {
	n.actMu.Lock()
	defer n.actMu.Unlock()
	n.drop()
}

// drop closes both connections, side by side; actMu is held.
func (n *Node) drop() {
	n.mu.Lock()
	poll := n.poll
	n.poll = nil
	n.mu.Unlock()
	var wg sync.WaitGroup
	defer wg.Wait()
	if poll != nil {
		wg.Go(func() { poll.Close() })
	}
	if act := n.act; act != nil {
		wg.Go(func() { act.Close() })
		n.act = nil
	}
}

func (n *Node) set(state model.NodeState, reason string) {
	n.mu.Lock()
	same, silent := n.state == state, n.reason == reason
	n.state, n.reason = state, reason
	if !same {
		n.since = time.Now()
	}
	n.mu.Unlock()
	if same && silent {
		return
	}
	n.changed.ring()
	n.all.ring()
	if n.log != nil && !same {
		text := string(state)
		if reason != "" {
			text += ": " + reason
		}
		n.log(n.name, text)
	}
}

func (n *Node) sleep(ctx context.Context, d time.Duration, also <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-also:
	case <-n.retry:
	case <-t.C:
	}
}
