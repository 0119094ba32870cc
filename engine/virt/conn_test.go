package virt

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"horcrux/engine/model"
)

func TestOpenAsksForKeepalive(t *testing.T) {
	f := newFakeDaemon()
	c := openFake(t, f)
	if f.count(procFeature) != 1 {
		t.Error("keepalive was not asked for")
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	go f.conn.Write(packet(programKeepalive, keepalivePing, typeMessage, 0, 0, nil))
	select {
	case <-f.pongs:
	case <-time.After(5 * time.Second):
		t.Error("a ping was not answered")
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenIsBounded(t *testing.T) {
	for _, silent := range []uint32{procAuthList, procConnectOpen, procFeature} {
		f := newFakeDaemon()
		delete(f.answers, silent)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, err := Open(ctx, f.dial, "qemu:///system")
		cancel()
		if !errors.Is(err, ErrTimeout) {
			t.Errorf("without an answer to %d: %v", silent, err)
		}
	}
}

func TestOpenRefused(t *testing.T) {
	f := newFakeDaemon()
	f.answers[procConnectOpen] = func([]byte) (uint32, []byte) { return 1, xdrError(CodeOperationDenied, "not\x1b[31m for you") }
	_, err := Open(t.Context(), f.dial, "qemu:///system", Named("node1"))
	if !IsCode(err, CodeOperationDenied) || Unknown(err) {
		t.Error(err)
	}
	if want := "cannot open qemu:///system on node1: not for you"; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestOpenCannotDial(t *testing.T) {
	cause := errors.New("no way")
	_, err := Open(t.Context(), func(context.Context) (net.Conn, error) { return nil, cause }, "qemu:///system")
	if !errors.Is(err, cause) || Unknown(err) {
		t.Error(err)
	}
}

func lookup(f *fakeDaemon) {
	f.answers[procLookup] = func([]byte) (uint32, []byte) {
		return 0, binary.BigEndian.AppendUint32(append(xdrString("web"), testUUID[:]...), 7)
	}
}

func TestTimeoutOfAMutatingCallIsUnknown(t *testing.T) {
	f := newFakeDaemon()
	lookup(f)
	c := openFake(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := c.Destroy(ctx, formatUUID(testUUID))
	if !errors.Is(err, ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) || !Unknown(err) {
		t.Error(err)
	}
	if c.Err() != nil {
		t.Error("the connection was closed at once")
	}
	if want := "cannot force the domain off on node1: no answer from libvirt in time"; err.Error() != want {
		t.Error(err)
	}
}

func TestAbandonedCallEndsTheConnection(t *testing.T) {
	f := newFakeDaemon()
	lookup(f)
	c := openFake(t, f)
	c.grace = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := c.Destroy(ctx, formatUUID(testUUID)); !errors.Is(err, ErrTimeout) {
		t.Error(err)
	}
	select {
	case <-c.Done():
	case <-time.After(5 * time.Second):
		t.Error("the connection is still used")
	}
}

func TestAbandonedPerformDoesNot(t *testing.T) {
	f := newFakeDaemon()
	lookup(f)
	c := openFake(t, f)
	c.grace = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.MigratePerform(ctx, formatUUID(testUUID), MigrateParams{}, nil, 0); !errors.Is(err, ErrTimeout) || !Unknown(err) {
		t.Error(err)
	}
	select {
	case <-c.Done():
		t.Error(c.Err())
	case <-time.After(100 * time.Millisecond):
	}
}

func TestEventsReachAllListeners(t *testing.T) {
	f := newFakeDaemon()
	f.answers[316] = func([]byte) (uint32, []byte) { return 0, []byte{0, 0, 0, 1} }
	c := openFake(t, f)
	one, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if n := f.count(316); n != len(subscribed) {
		t.Errorf("%d registrations", n)
	}
	event := append(append([]byte{0, 0, 0, 1}, xdrString("web")...), make([]byte, 28)...)
	for range 2 * eventQueue { // a reader that is too slow loses some, and holds up nobody
		f.conn.Write(packet(programRemote, 318, typeMessage, 0, 0, event))
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e, f := <-one, <-two; e.Name != "web" || f != e {
		t.Errorf("%+v %+v", e, f)
	}
	c.Close()
	for range one {
	}
	for range two {
	}
}

func TestNoSecondRequestAfterGivingUp(t *testing.T) {
	f := newFakeDaemon()
	release := make(chan struct{})
	answered := make(chan struct{})
	f.answers[procLookup] = func([]byte) (uint32, []byte) {
		<-release
		defer close(answered)
		return 0, binary.BigEndian.AppendUint32(append(xdrString("web"), testUUID[:]...), 7)
	}
	c := openFake(t, f)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err := c.Destroy(ctx, formatUUID(testUUID))
	if !errors.Is(err, ErrTimeout) || Unknown(err) {
		t.Errorf("only the look-up was sent: %v", err)
	}
	close(release)
	<-answered
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if n := f.count(procDestroy); n != 0 {
		t.Errorf("destroy was sent %d times after its caller had given up", n)
	}
}

func TestLostLink(t *testing.T) {
	f := newFakeDaemon()
	lookup(f)
	c := openFake(t, f)
	f.answers[procDestroy] = func([]byte) (uint32, []byte) { f.conn.Close(); return 0, nil }
	err := c.Destroy(t.Context(), formatUUID(testUUID))
	if !errors.Is(err, ErrLost) || !Unknown(err) {
		t.Error(err)
	}
	<-c.Done()
	if err := c.Resume(t.Context(), formatUUID(testUUID)); !errors.Is(err, ErrLost) || Unknown(err) {
		t.Errorf("after the end: %v", err)
	}
	s, err := c.Status(t.Context(), formatUUID(testUUID))
	if s.State != model.StateUnreachable || s.Err == "" || err == nil {
		t.Errorf("%+v %v", s, err)
	}
}

func TestMissingDomainIsAnAnswer(t *testing.T) {
	f := newFakeDaemon()
	f.answers[procLookup] = func([]byte) (uint32, []byte) { return 1, xdrError(CodeNoDomain, "Domain not found") }
	c := openFake(t, f)
	s, err := c.Status(t.Context(), formatUUID(testUUID))
	if s.State != model.StateMissing || err != nil {
		t.Errorf("%+v %v", s, err)
	}
	if err := c.Resume(t.Context(), formatUUID(testUUID)); !IsNoDomain(err) || Unknown(err) {
		t.Error(err)
	}
}

func TestUnsupported(t *testing.T) {
	f := newFakeDaemon()
	f.answers[procListAll] = func([]byte) (uint32, []byte) { return 1, xdrError(1, "unknown procedure: 273") }
	_, err := openFake(t, f).Domains(t.Context())
	if !errors.Is(err, ErrUnsupported) || !IsUnsupported(err) || Unknown(err) {
		t.Error(err)
	}
}

func TestHostileAnswerIsNoPanic(t *testing.T) {
	f := newFakeDaemon()
	f.answers[procListAll] = func([]byte) (uint32, []byte) { return 0, []byte{0xff, 0xff, 0xff, 0xff} }
	c := openFake(t, f)
	if _, err := c.Domains(t.Context()); !errors.Is(err, ErrLost) || !strings.Contains(err.Error(), "protocol") {
		t.Error(err)
	}
}

func TestCloseEndsCallsSoon(t *testing.T) {
	f := newFakeDaemon()
	lookup(f)
	c := openFake(t, f)
	var wg sync.WaitGroup
	for range 2 * parallel {
		wg.Go(func() {
			if err := c.Suspend(t.Context(), formatUUID(testUUID)); !errors.Is(err, ErrLost) {
				t.Error(err)
			}
		})
	}
	for f.count(procSuspend) < parallel {
		runtime.Gosched()
	}
	c.Close()
	wg.Wait()
}

func TestHeartbeatDoesNotQueue(t *testing.T) {
	f := newFakeDaemon()
	lookup(f)
	c := openFake(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 * parallel {
		wg.Go(func() { c.Suspend(ctx, formatUUID(testUUID)) }) //nolint:errcheck // cut off below
	}
	for f.count(procSuspend) < parallel {
		runtime.Gosched()
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if n := f.count(procSuspend); n != parallel {
		t.Errorf("%d calls at once", n)
	}
	cancel()
	wg.Wait()
}

func TestNothingLeaks(t *testing.T) {
	before := runtime.NumGoroutine()
	for i := range 500 {
		f := newFakeDaemon()
		lookup(f)
		c, err := Open(t.Context(), f.dial, "qemu:///system", func(c *Conn) { c.lull = time.Millisecond })
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			if err := c.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		events, cancel := context.WithCancel(t.Context())
		f.mu.Lock()
		f.answers[316] = func([]byte) (uint32, []byte) { return 0, []byte{0, 0, 0, 1} }
		f.mu.Unlock()
		ch, err := c.Events(events)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			short, stop := context.WithTimeout(t.Context(), time.Millisecond)
			c.Suspend(short, formatUUID(testUUID)) //nolint:errcheck // never answered
			stop()
		}
		if i%3 == 0 {
			cancel()
		}
		c.Close()
		for range ch {
		}
		cancel()
	}
	settles(t, before)
}

func TestErrorTexts(t *testing.T) {
	e := &Error{Doing: "define the domain", Host: "node1", Class: ErrLost, Err: errors.New("EOF\x1b]0;x\x07")}
	if want := "cannot define the domain on node1: connection to libvirt lost (EOF)"; e.Error() != want {
		t.Error(e)
	}
	if !strings.Contains((&QMPError{Class: "GenericError", Desc: "no\nway"}).Error(), "no way") {
		t.Error("QMP error")
	}
}
