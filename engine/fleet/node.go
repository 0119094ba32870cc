package fleet

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"horcrux/config"
	"horcrux/engine/model"
	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// Node is one host and the line to it. All methods may be called from any
// goroutine.
type Node struct {
	name    model.NodeName
	cfg     config.Node
	target  transport.Target
	invalid error // the configuration leads nowhere
	keys    *transport.Keyring
	log     func(model.NodeName, string)

	changed *bell
	all     *bell // of the fleet

	mu     sync.Mutex
	state  model.NodeState
	reason string
	since  time.Time
	client *transport.Client
	poll   *virt.Conn
	route  *route // the way to libvirt that worked last

	actMu sync.Mutex // held while act is opened
	act   *virt.Conn

	retry chan struct{}
}

func newNode(cfg config.Config, nc config.Node, keys *transport.Keyring, all *bell, log func(model.NodeName, string)) *Node {
	n := &Node{
		name: model.NodeName(nc.Name), cfg: nc, keys: keys, log: log, changed: &bell{}, all: all,
		state: model.NodeConnecting, since: time.Now(), retry: make(chan struct{}, 1),
	}
	n.target, n.invalid = transport.Resolve(cfg, nc)
	return n
}

// DownError says that a node cannot be used now, and why.
type DownError struct {
	Node   model.NodeName
	State  model.NodeState
	Reason string
}

// Error reads "node node1 is unreachable: …".
func (e *DownError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("node %s is %s", e.Node, e.State)
	}
	return fmt.Sprintf("node %s is %s: %s", e.Node, e.State, e.Reason)
}

// Name is the node's name in the configuration.
func (n *Node) Name() model.NodeName { return n.name }

// Config is the node's part of the configuration.
func (n *Node) Config() config.Node { return n.cfg }

// Status says what can be said of the way to the node, why, and since when. For
// a host key or a login that is refused, the reason holds what to do.
func (n *Node) Status() (state model.NodeState, reason string, since time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.state, n.reason, n.since
}

// Changed is closed when the node's state changes next. Take it before looking
// at the state.
func (n *Node) Changed() <-chan struct{} { return n.changed.next() }

// Retry tries to connect now instead of after the pause between attempts, and
// lets a passphrase be asked for again.
func (n *Node) Retry() {
	n.keys.AskAgain()
	select {
	case n.retry <- struct{}{}:
	default:
	}
}

// Hostname is what the host calls itself, as long as we are logged in.
func (n *Node) Hostname() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client == nil {
		return ""
	}
	return n.client.Hostname()
}

func up(s model.NodeState) bool { return s == model.NodeUp || s == model.NodeBusy }

// Wait returns when libvirt on the node can be used. It gives up when ctx ends
// and at once when only a person can help (NodeRefused); the error says why.
func (n *Node) Wait(ctx context.Context) error {
	return n.until(ctx, func(s model.NodeState) bool { return up(s) || s == model.NodeRefused })
}

func (n *Node) until(ctx context.Context, settled func(model.NodeState) bool) error {
	for {
		change := n.Changed()
		state, _, _ := n.Status()
		if settled(state) {
			if up(state) {
				return nil
			}
			return n.down()
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", n.down(), ctx.Err())
		}
	}
}

func (n *Node) down() error {
	state, reason, _ := n.Status()
	return &DownError{n.name, state, reason}
}

// Poll gives the connection for reading. It waits only for the very first
// attempt to connect; when the node is down it says so at once.
func (n *Node) Poll(ctx context.Context) (*virt.Conn, error) {
	if err := n.until(ctx, func(s model.NodeState) bool { return s != model.NodeConnecting }); err != nil {
		return nil, err
	}
	n.mu.Lock()
	conn := n.poll
	n.mu.Unlock()
	if conn == nil || conn.Err() != nil {
		return nil, n.down()
	}
	return conn, nil
}

// Act gives the connection for acts, which do not wait behind the polling.
func (n *Node) Act(ctx context.Context) (*virt.Conn, error) {
	n.actMu.Lock()
	defer n.actMu.Unlock()
	if n.act != nil && n.act.Err() == nil {
		return n.act, nil
	}
	conn, err := n.Dial(ctx)
	if err == nil {
		n.act = conn
	}
	return conn, err
}

// Dial opens a connection of the caller's own, who closes it. For whatever is
// long, or has to be cancelled: closing it is the only sure way.
func (n *Node) Dial(ctx context.Context) (*virt.Conn, error) {
	client, err := n.loggedIn(ctx)
	if err != nil {
		return nil, err
	}
	return n.openLibvirt(ctx, client)
}

// Exec runs a command on the host. libvirt need not be up for it.
func (n *Node) Exec(ctx context.Context, argv []string, stdin io.Reader) (transport.Result, error) {
	client, err := n.loggedIn(ctx)
	if err != nil {
		return transport.Result{}, err
	}
	return client.Exec(ctx, argv, stdin)
}

// DialUnix opens a stream to a socket on the host.
func (n *Node) DialUnix(ctx context.Context, path string) (net.Conn, error) {
	client, err := n.loggedIn(ctx)
	if err != nil {
		return nil, err
	}
	return client.DialUnix(ctx, path)
}

// loggedIn gives the SSH connection; it waits only for the first attempt.
func (n *Node) loggedIn(ctx context.Context) (*transport.Client, error) {
	for {
		change := n.Changed()
		n.mu.Lock()
		client, state := n.client, n.state
		n.mu.Unlock()
		if client != nil && client.Err() == nil {
			return client, nil
		}
		if state != model.NodeConnecting {
			return nil, n.down()
		}
		select {
		case <-change:
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (%w)", n.down(), ctx.Err())
		}
	}
}

// MigrateAddress is where other nodes reach this one for the data of a move.
func (n *Node) MigrateAddress() string {
	if n.cfg.MigrateAddress != "" {
		return n.cfg.MigrateAddress
	}
	return n.target.Host
}
