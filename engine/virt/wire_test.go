package virt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// stuck is a connection whose Read does not return when it is closed, as that
// of an SSH channel to a silent peer.
type stuck struct{ net.Conn }

func (stuck) Read([]byte) (int, error)        { select {} }
func (stuck) Close() error                    { return nil }
func (stuck) Write(b []byte) (int, error)     { return len(b), nil }
func (stuck) LocalAddr() net.Addr             { return nil }
func (stuck) SetReadDeadline(time.Time) error { return nil }

func TestCloseEndsAReaderThatHangs(t *testing.T) {
	w := newWire(stuck{}, nil)
	ended := make(chan error, 1)
	go func() {
		_, err := w.Read(make([]byte, 4))
		ended <- err
	}()
	w.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("still reading")
	}
}

func TestFraming(t *testing.T) {
	for name, in := range map[string][]byte{
		"too short": {0, 0, 0, 27},
		"zero":      {0, 0, 0, 0},
		"too long":  {0x7f, 0xff, 0xff, 0xff},
		"unknown":   packet(programRemote, 9999, typeReply, 1, 0, nil),
		"bad reply": packet(programRemote, 14, typeReply, 1, 0, []byte{0xff, 0xff, 0xff, 0xff}),
		"cut":       packet(programRemote, 1, typeReply, 1, 0, []byte("1234"))[:30],
	} {
		here, there := net.Pipe()
		w := newWire(here, nil)
		w.mu.Lock()
		w.waiting[1] = nil
		w.mu.Unlock()
		go func() {
			there.Write(in)
			there.Close()
		}()
		if _, err := io.ReadAll(w); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		<-w.done
		if w.cause() == nil || errors.Is(w.cause(), errHangup) {
			t.Errorf("%s: %v", name, w.cause())
		}
	}
}

// TestOnlyAnswersPass: what nobody asked for does not reach the library, whose
// reader would wait for ever for somebody to take it.
func TestOnlyAnswersPass(t *testing.T) {
	here, there := net.Pipe()
	var events int
	w := newWire(here, func(proc uint32, _ []byte) { events++ })
	reply := packet(programRemote, 60, typeReply, 5, 0, []byte("good"))
	go func() {
		readPacket(there)
		for _, p := range [][]byte{
			packet(programRemote, 60, typeReply, 4, 0, []byte("good")), // not asked
			packet(programRemote, 318, typeMessage, 0, 0, nil),
			packet(programRemote, 209, 3, 5, 2, []byte("data")),
			packet(programKeepalive, keepalivePong, typeMessage, 0, 0, nil),
			reply,
			reply, // twice
		} {
			there.Write(p)
		}
		there.Close()
	}()
	if _, err := w.Write(packet(programRemote, 60, typeCall, 5, 0, nil)); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(w)
	if !bytes.Equal(got, reply) || events != 1 {
		t.Errorf("%q, %d events", got, events)
	}
}

// TestPongKeepsOffPackets writes a request in pieces while pings come in.
func TestPongKeepsOffPackets(t *testing.T) {
	here, there := net.Pipe()
	w := newWire(here, nil)
	defer w.Close()
	const pings = 50
	go func() {
		for range pings {
			there.Write(packet(programKeepalive, keepalivePing, typeMessage, 0, 0, nil))
		}
	}()
	request := packet(programRemote, 9, typeCall, 1, 0, bytes.Repeat([]byte("x"), 999))
	const requests = 20
	go func() {
		for range requests {
			for rest := request; len(rest) > 0; {
				n := min(len(rest), 100)
				w.Write(rest[:n])
				rest = rest[n:]
			}
		}
	}()
	calls, pongs := 0, 0
	for calls < requests || pongs == 0 {
		p, err := readPacket(there)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case bytes.Equal(p, request):
			calls++
		case bytes.Equal(p, pongPacket()):
			pongs++
		default:
			t.Fatalf("mixed up: %q", p)
		}
	}
}

func FuzzWire(f *testing.F) {
	f.Add(packet(programRemote, 1, typeReply, 1, 0, []byte("1234")))
	f.Add(packet(programKeepalive, keepalivePing, typeMessage, 0, 0, nil))
	f.Add(packet(programRemote, 318, typeMessage, 0, 0, append([]byte{0, 0, 0, 1}, xdrString("web")...)))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		here, there := net.Pipe()
		w := newWire(here, newListeners().deliver)
		w.mu.Lock()
		w.waiting[1] = nil
		w.mu.Unlock()
		close(w.opened)
		go io.Copy(io.Discard, there)
		go func() {
			there.Write(in)
			there.Close()
		}()
		got, _ := io.ReadAll(w)
		for len(got) > 0 { // whole packets, or nothing
			n := binary.BigEndian.Uint32(got)
			if n < headerLen || int(n) > len(got) {
				t.Fatalf("a packet of %d in %d bytes", n, len(got))
			}
			got = got[n:]
		}
	})
}

func FuzzEvent(f *testing.F) {
	f.Add(append(append([]byte{0, 0, 0, 1}, xdrString("web")...), make([]byte, 28)...))
	f.Fuzz(func(t *testing.T, in []byte) {
		if e, ok := decodeEvent(EventLifecycle, in); ok && (len(e.UUID) != 36 || e.Name != Clean(e.Name)) {
			t.Errorf("%+v", e)
		}
	})
}

func TestEvent(t *testing.T) {
	in := append([]byte{0, 0, 0, 1}, xdrString("web")...)
	in = append(in, testUUID[:]...)
	in = append(in, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 5, 0, 0, 0, 4)
	e, ok := decodeEvent(EventLifecycle, in)
	want := Event{Kind: EventLifecycle, UUID: "27547765-b6ef-4c65-94e7-2576667b0d5a", Name: "web", Detail: 5}
	if !ok || e != want {
		t.Errorf("%+v", e)
	}
}
