package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

// host is a line to a folder of this machine.
type host struct{ dir string }

func (h host) at(p string) string { return filepath.Join(h.dir, filepath.Base(p)) }

func (h host) DialUnix(ctx context.Context, p string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "unix", h.at(p))
}

func (h host) ListenUnix(ctx context.Context, p string) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "unix", h.at(p))
}

func (h host) Close() error { return nil }
func (h host) Err() error   { return nil }

// named is a node that is asked for its name only.
type named struct{ Node }

func (named) Name() model.NodeName { return "node1" }

// answer lets serve have each connection, until the listener is closed.
func answer(l net.Listener, serve func(*net.UnixConn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go serve(c.(*net.UnixConn))
	}
}

// joined is a relay between two folders, and what waits on the target.
func joined(t *testing.T, serve func(*net.UnixConn)) (r *Relay, dial func() *net.UnixConn) {
	t.Helper()
	src, dst := host{t.TempDir()}, host{t.TempDir()}
	r = New(named{}, named{})
	r.use(src, dst)
	if serve != nil {
		l, err := dst.ListenUnix(t.Context(), "/m")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go answer(l, serve)
	}
	if err := r.Listen(t.Context(), "/m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, l := range r.listeners {
			l.Close()
		}
		r.Close()
	})
	return r, func() *net.UnixConn {
		c, err := src.DialUnix(t.Context(), "/m")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		return c.(*net.UnixConn)
	}
}

func TestEndOfOneDirectionLeavesTheOther(t *testing.T) {
	r, dial := joined(t, func(c *net.UnixConn) {
		defer c.Close()
		b, _ := io.ReadAll(c) // returns only once the other side has ended its direction
		_, _ = c.Write(bytes.ToUpper(b))
	})
	big := strings.Repeat("memory ", 1<<18)
	for range 3 {
		c := dial()
		go func() {
			_, _ = io.WriteString(c, big)
			_ = c.CloseWrite()
		}()
		got, err := io.ReadAll(c)
		if err != nil || string(got) != strings.ToUpper(big) {
			t.Fatalf("%d bytes back of %d: %v", len(got), len(big), err)
		}
	}
	if r.Err() != nil || r.Carried() != uint64(6*len(big)) {
		t.Errorf("carried %d, %v", r.Carried(), r.Err())
	}
}

func TestOrderIsKept(t *testing.T) {
	got := make(chan byte, 64)
	first := true
	src, dst := host{t.TempDir()}, slowFirst{host{t.TempDir()}, &first}
	l, err := dst.ListenUnix(t.Context(), "/m")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 1)
			_, _ = io.ReadFull(c, b)
			got <- b[0]
			c.Close()
		}
	}()
	r := New(named{}, named{})
	r.use(src, dst)
	if err := r.Listen(t.Context(), "/m"); err != nil {
		t.Fatal(err)
	}
	defer func() { r.listeners[0].Close(); r.Close() }()
	for i := range byte(8) {
		c, err := src.DialUnix(t.Context(), "/m")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte{i}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range byte(8) {
		if b := <-got; b != i {
			t.Fatalf("connection %d came as number %d", b, i)
		}
	}
}

// slowFirst lets the first connection take longer than the next.
type slowFirst struct {
	host
	first *bool
}

func (h slowFirst) DialUnix(ctx context.Context, p string) (net.Conn, error) {
	if *h.first {
		*h.first = false
		time.Sleep(50 * time.Millisecond)
	}
	return h.host.DialUnix(ctx, p)
}

// lost is a line that was there.
type lost struct{ host }

func (lost) Err() error { return errors.New("no sign of life") }

func TestALostLineIsNamed(t *testing.T) {
	r := New(named{}, named{})
	r.use(host{}, lost{})
	if err := r.Err(); err == nil || !strings.Contains(err.Error(), "node1") || !strings.Contains(err.Error(), "no sign of life") {
		t.Errorf("got %v", err)
	}
}

func TestNobodyAtTheTarget(t *testing.T) {
	r, dial := joined(t, nil)
	if _, err := dial().Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the source was told %v", err)
	}
	if r.Err() == nil {
		t.Error("nothing is known of it")
	}
}

func TestTheTargetGoesAway(t *testing.T) {
	_, dial := joined(t, func(c *net.UnixConn) { _ = c.Close() })
	c := dial()
	var err error
	for err == nil {
		_, err = c.Write(make([]byte, 64<<10))
	}
	if errors.Is(err, context.DeadlineExceeded) {
		t.Error("the source goes on sending to nobody")
	}
}

func TestASlowTargetHoldsTheSourceUp(t *testing.T) {
	goOn := make(chan struct{})
	_, dial := joined(t, func(c *net.UnixConn) {
		<-goOn
		_, _ = io.Copy(io.Discard, c)
		_ = c.Close()
	})
	c := dial()
	_ = c.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	n, err := c.Write(make([]byte, 64<<20))
	if err == nil || n > 8<<20 {
		t.Errorf("%d bytes were taken while nobody reads: %v", n, err)
	}
	close(goOn)
}

func TestCloseEndsAll(t *testing.T) {
	r, dial := joined(t, func(c *net.UnixConn) { _, _ = io.Copy(io.Discard, c) })
	c := dial()
	if _, err := c.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for r.Carried() == 0 {
		time.Sleep(time.Millisecond) // a condition, with the test's own deadline
	}
	for _, l := range r.listeners {
		l.Close() // as sshd does when its connection ends
	}
	r.Close()
	r.Close()
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the source was told %v", err)
	}
	if err := r.Listen(t.Context(), "/n"); err == nil {
		t.Error("it listens again")
	}
	if r.Err() != nil {
		t.Errorf("its own end counts as a failure: %v", r.Err())
	}
}
