package virt

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
)

// fakeDaemon answers calls as a table says; what is not in it is never answered.
type fakeDaemon struct {
	mu      sync.Mutex
	conn    net.Conn
	answers map[uint32]func(payload []byte) (status uint32, reply []byte)
	calls   map[uint32]int
	pongs   chan struct{}
}

const (
	procSuspend  = 34
	procFeature  = 60
	procAuthList = 66
	procLookup   = 24
	procDestroy  = 12
	procListAll  = 273
)

func newFakeDaemon() *fakeDaemon {
	ok := func(reply []byte) func([]byte) (uint32, []byte) {
		return func([]byte) (uint32, []byte) { return 0, reply }
	}
	return &fakeDaemon{
		calls: make(map[uint32]int), pongs: make(chan struct{}, 100),
		answers: map[uint32]func([]byte) (uint32, []byte){
			procAuthList:    ok([]byte{0, 0, 0, 0}),
			procConnectOpen: ok(nil),
			procFeature:     ok([]byte{0, 0, 0, 1}),
			procLibVersion:  ok([]byte{0, 0, 0, 0, 0, 0x89, 0x54, 0x40}),
		},
	}
}

func (f *fakeDaemon) dial(context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	f.mu.Lock()
	f.conn = there
	f.mu.Unlock()
	go f.serve(there)
	return here, nil
}

func (f *fakeDaemon) serve(c net.Conn) {
	defer c.Close()
	for {
		p, err := readPacket(c)
		if err != nil {
			return
		}
		if word(p, 1) == programKeepalive {
			f.pongs <- struct{}{}
			continue
		}
		proc := word(p, 3)
		f.mu.Lock()
		f.calls[proc]++
		answer := f.answers[proc]
		f.mu.Unlock()
		if answer == nil {
			continue
		}
		status, reply := answer(p[headerLen:])
		if _, err := c.Write(packet(programRemote, proc, typeReply, word(p, 5), status, reply)); err != nil {
			return
		}
	}
}

func (f *fakeDaemon) count(proc uint32) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[proc]
}

func packet(program, proc, kind, serial, status uint32, payload []byte) []byte {
	p := make([]byte, headerLen, headerLen+len(payload))
	for i, v := range []uint32{uint32(headerLen + len(payload)), program, 1, proc, kind, serial, status} {
		binary.BigEndian.PutUint32(p[4*i:], v)
	}
	return append(p, payload...)
}

func xdrString(s string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(s)))
	b = append(b, s...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// xdrError is remote_error with the fields that the library reads, and the rest empty.
func xdrError(code uint32, text string) []byte {
	b := binary.BigEndian.AppendUint32(nil, code)
	b = binary.BigEndian.AppendUint32(b, 10)
	b = binary.BigEndian.AppendUint32(b, 1)
	b = append(b, xdrString(text)...)
	return append(b, make([]byte, 40)...)
}

func openFake(t testing.TB, f *fakeDaemon) *Conn {
	t.Helper()
	c, err := Open(t.Context(), f.dial, "qemu:///system", Named("node1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// settles waits until no more goroutines run than before.
func settles(t *testing.T, before int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
		runtime.Gosched()
		<-time.After(10 * time.Millisecond)
	}
}

var _ io.Reader = (*wire)(nil)

var testUUID = libvirt.UUID{0x27, 0x54, 0x77, 0x65, 0xb6, 0xef, 0x4c, 0x65, 0x94, 0xe7, 0x25, 0x76, 0x66, 0x7b, 0x0d, 0x5a}
