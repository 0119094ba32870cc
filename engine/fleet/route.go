package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"

	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// usualSockets are tried when the host could not be asked which there are.
var usualSockets = []string{"/run/libvirt/libvirt-sock", "/var/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"}

// route is one way from a login to libvirt: a socket, or a command whose stdin
// and stdout lead to one.
type route struct {
	socket string
	argv   []string
}

// routes lists the ways, best first. Sockets are far cheaper, and do not count
// against sshd's MaxSessions; but a host whose sshd forbids forwarding has only
// the commands.
func (n *Node) routes(client *transport.Client) []route {
	sockets := client.Sockets()
	if len(sockets) == 0 && len(client.Denied()) == 0 {
		sockets = usualSockets
	}
	var all []route
	for _, s := range sockets {
		all = append(all, route{socket: s})
	}
	all = append(all, route{argv: []string{"virt-ssh-helper", n.uri()}})
	for _, s := range sockets {
		all = append(all, route{argv: []string{"nc", "-U", s}})
	}
	if n.sudo {
		all = append(all, route{argv: append(slices.Clone(sudoCommand), "virt-ssh-helper", n.uri())})
		for _, s := range client.Denied() {
			all = append(all, route{argv: append(slices.Clone(sudoCommand), "nc", "-U", s)})
		}
	}
	n.mu.Lock()
	known := n.route
	n.mu.Unlock()
	if known != nil {
		all = append([]route{*known}, slices.DeleteFunc(all, func(r route) bool {
			return r.socket == known.socket && slices.Equal(r.argv, known.argv)
		})...)
	}
	return all
}

func (n *Node) uri() string {
	if n.cfg.URI != "" {
		return n.cfg.URI
	}
	return "qemu:///system"
}

// openLibvirt opens a new connection, by the way that worked last if there is
// one. Another way is tried only when this one leads nowhere; a daemon that
// does not answer, or refuses, would do the same on every way.
func (n *Node) openLibvirt(ctx context.Context, client *transport.Client) (*virt.Conn, error) {
	var firstErr error
	for _, r := range n.routes(client) {
		conn, nowhere, err := n.openBy(ctx, client, r)
		if err == nil {
			n.mu.Lock()
			n.route = &r
			n.mu.Unlock()
			return conn, nil
		}
		if firstErr == nil {
			firstErr = err
		}
		if !nowhere {
			return nil, err
		}
	}
	if denied := client.Denied(); len(denied) > 0 && len(client.Sockets()) == 0 {
		return nil, fmt.Errorf("user %s may not use %s on %s: add it to the group that owns the socket (usermod -aG libvirt %s), or set sudo = true (%w)",
			n.target.User, denied[0], n.name, n.target.User, firstErr)
	}
	if len(client.Sockets()) == 0 && client.Hostname() != "" {
		return nil, fmt.Errorf("no socket of libvirt on %s: is libvirtd (or virtqemud.socket) running there? (%w)", n.name, firstErr)
	}
	return nil, firstErr
}

func (n *Node) openBy(ctx context.Context, client *transport.Client, r route) (conn *virt.Conn, nowhere bool, err error) {
	var process *transport.Process
	conn, err = virt.Open(ctx, func(ctx context.Context) (net.Conn, error) {
		if r.socket != "" {
			return client.DialUnix(ctx, r.socket)
		}
		p, err := client.Start(ctx, r.argv)
		if err != nil {
			return nil, err
		}
		process = p
		return p, nil
	}, n.uri(), virt.Named(string(n.name)))
	switch {
	case err == nil:
		return conn, false, nil
	case errors.Is(err, transport.ErrForwarding):
		return nil, true, err
	case process != nil && errors.Is(err, virt.ErrLost) && client.Err() == nil:
		// The command ended before libvirt spoke: not there, or no socket.
		return nil, true, fmt.Errorf("%w; %s: %s", err, r.argv[0], process.Stderr())
	}
	return nil, false, err
}
