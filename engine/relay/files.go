package relay

import (
	"context"
	"fmt"
	"sync"

	"horcrux/engine/model"
)

// Files is the way of files from node to node: for each attempt of a copy a
// tunnel of its own, since an attempt ends with a connection that was lost.
type Files struct {
	job model.JobID
	src Node
	dst Target

	mu   sync.Mutex
	t    *Tunnel
	next int
}

// NewFiles makes a way, which does nothing yet.
func NewFiles(job model.JobID, src Node, dst Target) *Files {
	return &Files{job: job, src: src, dst: dst}
}

// Open makes the tunnel. What an earlier one left is taken away first.
func (f *Files) Open(ctx context.Context) error {
	f.Close()
	for _, n := range []Node{f.src, f.dst} {
		if err := Remove(ctx, n, f.job); err != nil {
			return fmt.Errorf("cannot remove what an earlier attempt left on %s: %w", n.Name(), err)
		}
	}
	t := NewTunnel(f.job, f.src, f.dst)
	if err := t.Make(ctx, model.RelayDir(f.job)); err != nil {
		return err
	}
	if err := t.Login(ctx); err != nil {
		return err
	}
	f.mu.Lock()
	f.t, f.next = t, 0
	f.mu.Unlock()
	return t.Share(ctx)
}

// Socket names the next socket, the same on both nodes.
func (f *Files) Socket() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next++
	return fmt.Sprintf("%s/c%d", model.RelayDir(f.job), f.next)
}

// Listen opens the socket on the source.
func (f *Files) Listen(ctx context.Context, socket string) error {
	t := f.tunnel()
	if t == nil {
		return errClosed
	}
	return t.Listen(ctx, socket)
}

// Leave stops listening at the socket.
func (f *Files) Leave(socket string) {
	if t := f.tunnel(); t != nil {
		t.Leave(socket)
	}
}

// Err is what went wrong, nil if nothing did.
func (f *Files) Err() error {
	if t := f.tunnel(); t != nil {
		return t.Err()
	}
	return nil
}

// Close ends what runs on the source. The key and the folders stay for Remove.
func (f *Files) Close() {
	if t := f.tunnel(); t != nil {
		t.Close()
	}
}

func (f *Files) tunnel() *Tunnel {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.t
}
