package transport

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
)

// A jump host that does not answer is given up within hopInterval + Patience.
const (
	hopInterval = 4 * time.Second
	hopPatience = 6 * time.Second // unless the Keyring says otherwise
)

// hops are the connections to jump hosts: one for each chain, used by all nodes
// behind it. So a jump host sees one login of a process, and asks one question.
type hops struct {
	mu   sync.Mutex
	open map[string]*sharedHop
}

type sharedHop struct {
	ready  chan struct{} // closed when client or err is set
	client *Client
	err    error
	users  int
	cancel context.CancelFunc
}

// chainID tells two ways apart: the same servers, users, keys and checks.
func chainID(chain []Target) string {
	var b strings.Builder
	for _, t := range chain {
		fmt.Fprintf(&b, "%s@%s %q %q %q %v %s\n", t.User, t.Address(), t.KeyAlias, t.Identities, t.KnownHosts, t.OnlyIdentities, t.Agent)
	}
	return b.String()
}

// through gives the connection to the last server of a chain, nil for an empty
// chain. release must be called once, when nothing goes through it any more.
func (k *Keyring) through(ctx context.Context, chain []Target) (c *Client, release func(), err error) {
	if len(chain) == 0 {
		return nil, func() {}, nil
	}
	id := chainID(chain)
	k.hops.mu.Lock()
	h := k.hops.open[id]
	if h == nil || h.dead() {
		dialing, cancel := context.WithCancel(context.WithoutCancel(ctx))
		h = &sharedHop{ready: make(chan struct{}), cancel: cancel}
		k.hops.open[id] = h
		go k.dialChain(dialing, id, h, chain)
	}
	h.users++
	k.hops.mu.Unlock()

	release = sync.OnceFunc(func() { k.hops.leave(id, h) })
	select {
	case <-h.ready:
	case <-ctx.Done():
		release()
		return nil, nil, ctx.Err()
	}
	if h.err != nil {
		release()
		return nil, nil, h.err
	}
	return h.client, release, nil
}

func (k *Keyring) dialChain(ctx context.Context, id string, h *sharedHop, chain []Target) {
	last := len(chain) - 1
	h.client, h.err = k.dialOne(ctx, chain[:last], chain[last])
	if h.err != nil {
		k.hops.mu.Lock()
		if k.hops.open[id] == h {
			delete(k.hops.open, id)
		}
		k.hops.mu.Unlock()
	}
	close(h.ready)
	if h.err == nil {
		h.client.KeepAlive(hopInterval, k.Patience)
	}
}

// dead tells that the connection was there and is gone; a new one is needed.
func (h *sharedHop) dead() bool {
	select {
	case <-h.ready:
		return h.err != nil || h.client.Err() != nil
	default:
		return false
	}
}

// leave ends the connection when its last user has gone.
func (hs *hops) leave(id string, h *sharedHop) {
	hs.mu.Lock()
	h.users--
	last := h.users == 0
	if last && hs.open[id] == h {
		delete(hs.open, id)
	}
	hs.mu.Unlock()
	if !last {
		return
	}
	h.cancel()
	go func() {
		<-h.ready
		if h.client != nil {
			h.client.Close()
		}
	}()
}
