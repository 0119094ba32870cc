package fleet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
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
	sudo    bool

	patience time.Duration
	answered string // where another process was answered; empty if not known
	log      func(model.NodeName, string)

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

	retry   chan struct{}
	reached reached
}

func newNode(cfg config.Config, nc config.Node, keys *transport.Keyring, all *bell, log func(model.NodeName, string)) *Node {
	n := &Node{
		name: model.NodeName(nc.Name), cfg: nc, keys: keys, log: log, changed: &bell{}, all: all,
		state: model.NodeConnecting, since: time.Now(), retry: make(chan struct{}, 1),
	}
	n.target, n.invalid = transport.Resolve(cfg, nc)
	n.sudo = cfg.SSH.Sudo
	if nc.Sudo != nil {
		n.sudo = *nc.Sudo
	}
	n.sudo = n.sudo && n.target.User != "root"
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

// Exec runs a command on the host, by sudo if the configuration says so. libvirt
// need not be up for it.
func (n *Node) Exec(ctx context.Context, argv []string, stdin io.Reader) (transport.Result, error) {
	client, err := n.loggedIn(ctx)
	if err != nil {
		return transport.Result{}, err
	}
	if !n.sudo {
		return client.Exec(ctx, argv, stdin)
	}
	r, err := client.Exec(ctx, append(slices.Clone(sudoCommand), argv...), stdin)
	if err == nil && r.Code == 1 && bytes.HasPrefix(r.Stderr, []byte("sudo: ")) {
		// Not the command's own 1, which may mean "is not there".
		return transport.Result{}, &SudoError{Node: n.name, User: n.target.User, Words: virt.Clean(string(r.Stderr))}
	}
	return r, err
}

// sudoCommand never asks: there is nobody to answer.
var sudoCommand = []string{"sudo", "-n", "--"}

// SudoError says that sudo did not run a command.
type SudoError struct {
	Node        model.NodeName
	User, Words string
}

// Error names what to change.
func (e *SudoError) Error() string {
	return fmt.Sprintf("sudo on %s refuses %s: %s; allow it without a password (NOPASSWD) or leave out sudo = true", e.Node, e.User, e.Words)
}

// Sudo tells whether commands are run through sudo.
func (n *Node) Sudo() bool { return n.sudo }

// User is who we log in as.
func (n *Node) User() string { return n.target.User }

// Way says how libvirt is reached now: the address that answered, the number of
// jump hosts, and the command that leads to libvirt where sshd forbids the
// direct way. ok is false while the node is not reached.
func (n *Node) Way() (w Way, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.client == nil || n.route == nil {
		return Way{}, false
	}
	t := n.client.Target()
	return Way{
		Address: t.Address(), Second: t.Address() != n.target.Address(), Jumps: len(n.target.Jump),
		Socket: n.route.socket, Command: n.route.argv, Denied: n.client.Denied(),
	}, true
}

// Way is how libvirt on a node is reached.
type Way struct {
	Address string
	Second  bool // not the first address of the configuration
	Jumps   int
	Socket  string   // empty if a command leads there
	Command []string // empty if a socket does
	Denied  []string // sockets that the user may not use
}

// Start runs a command on the host, by sudo if the configuration says so, and
// gives its pipes; closing them hangs up.
func (n *Node) Start(ctx context.Context, argv []string) (transport.Stream, error) {
	client, err := n.loggedIn(ctx)
	if err != nil {
		return nil, err
	}
	if n.sudo {
		argv = append(slices.Clone(sudoCommand), argv...)
	}
	p, err := client.Start(ctx, argv)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// DialUnix opens a stream to a socket on the host.
func (n *Node) DialUnix(ctx context.Context, path string) (net.Conn, error) {
	client, err := n.loggedIn(ctx)
	if err != nil {
		return nil, err
	}
	return client.DialUnix(ctx, path)
}

// Login opens an SSH connection of the caller's own, who closes it: for what
// would fill the shared one, whose signs of life must not wait behind it. It goes
// to the address that the shared one was answered at first.
func (n *Node) Login(ctx context.Context) (*transport.Client, error) {
	to := n.target
	if w, ok := n.Way(); ok {
		to = to.First(w.Address)
	}
	c, err := transport.Dial(ctx, to, n.keys)
	if err != nil {
		return nil, err
	}
	go c.KeepAlive(sshInterval, 3*n.patience)
	return c, nil
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

// MigratePort is where sshd of the node is reached at that address, as far as
// we know: where we reach it.
func (n *Node) MigratePort() int { return n.target.Port }
