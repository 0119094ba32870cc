package inventory

import (
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
)

// Procedures of libvirt's protocol that the fake daemons know.
const (
	procOpen       = 1
	procVersion    = 4
	procXML        = 14
	procLookup     = 24
	procFeature    = 60
	procAuthList   = 66
	procLibVersion = 157
	procList       = 273
	procPools      = 281
	procStats      = 344
	procRegister   = 316
	procEvent      = 318 // a lifecycle event
)

func be(vs ...uint32) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

func xdr(s string) []byte {
	b := append(be(uint32(len(s))), s...)
	return append(b, make([]byte, (4-len(b)%4)%4)...)
}

func message(proc, kind, serial, status uint32, payload []byte) []byte {
	return append(be(uint32(28+len(payload)), 0x20008086, 1, proc, kind, serial, status), payload...)
}

// fakeLibvirt answers calls by a table; what is not in it is an error of libvirt.
type fakeLibvirt map[uint32]func() []byte

func (f fakeLibvirt) serve(c io.ReadWriteCloser) {
	for {
		head := make([]byte, 28)
		if _, err := io.ReadFull(c, head); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(head)
		if n < 28 || n > 32<<20 {
			return
		}
		if _, err := io.CopyN(io.Discard, c, int64(n-28)); err != nil {
			return
		}
		proc, serial := binary.BigEndian.Uint32(head[12:]), binary.BigEndian.Uint32(head[20:])
		answer, known := f[proc]
		reply := message(proc, 1, serial, 1, append(append(be(3, 10, 1), xdr("not supported")...), make([]byte, 40)...))
		if known {
			reply = message(proc, 1, serial, 0, answer())
		}
		if _, err := c.Write(reply); err != nil {
			return
		}
	}
}

func just(b []byte) func() []byte { return func() []byte { return b } }

func domain(name string, id byte) []byte {
	return append(append(xdr(name), append(make([]byte, 15), id)...), be(uint32(id))...)
}

// sane answers as a daemon with one domain does.
func sane(name string) fakeLibvirt {
	return fakeLibvirt{
		procAuthList: just(be(0)), procOpen: just(nil), procFeature: just(be(1)), procLibVersion: just(be(0, 9000000)), procVersion: just(be(0, 7002000)),
		procList:     just(append(append(be(1), domain(name, 1)...), be(1)...)),
		procLookup:   just(domain(name, 1)),
		procRegister: just(be(0)),
		procXML:      just(xdr("<domain type='qemu'><name>" + name + "</name><vcpu>2</vcpu></domain>")),
		procStats:    just(be(0)),
	}
}

// but changes one answer of a sane daemon.
func but(name string, proc uint32, answer func() []byte) fakeLibvirt {
	f := sane(name)
	f[proc] = answer
	return f
}

func listOf(n int, each func(i int) []byte) []byte {
	b := be(uint32(n))
	for i := range n {
		b = append(b, each(i)...)
	}
	return append(b, be(uint32(n))...)
}

// drip writes slowly, for ever.
func drip(c io.ReadWriteCloser, b []byte) {
	for {
		for i := range b {
			if _, err := c.Write(b[i : i+1]); err != nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
	}
}

// attacks are what a broken or hostile daemon may send.
func attacks() map[string]host {
	garbage := []byte(strings.Repeat("\x1b]0;owned\x07GET / HTTP/1.1\r\n\x00\xff", 1000))
	of := func(f fakeLibvirt) host { return host{libvirt: f.serve} }
	return map[string]host{
		"garbage":    {libvirt: func(c io.ReadWriteCloser) { c.Write(garbage) }},
		"silent":     {libvirt: func(c io.ReadWriteCloser) { io.Copy(io.Discard, c) }},
		"hugelength": {libvirt: func(c io.ReadWriteCloser) { c.Write(be(0xfffffff0)); io.Copy(io.Discard, c) }},
		"bigpacket":  {libvirt: func(c io.ReadWriteCloser) { drip(c, be(32<<20)) }},
		"drip":       {libvirt: func(c io.ReadWriteCloser) { drip(c, message(procAuthList, 1, 0, 0, be(0))) }},
		"hangup":     {libvirt: func(c io.ReadWriteCloser) { c.Close() }},
		"endless":    of(but("x", procList, just(be(0xffffffff)))),
		"longlist":   of(but("x", procList, just(listOf(20000, func(i int) []byte { return domain(fmt.Sprint("x", i), byte(i)) })))),
		"longname":   of(but("x", procList, just(listOf(1, func(int) []byte { return domain(strings.Repeat("n", 5<<20), 1) })))),
		"deepxml":    of(but("x", procXML, just(xdr(strings.Repeat("<a>", 1<<20))))),
		"entities":   of(but("x", procXML, just(xdr(`<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><domain><name>&b;</name></domain>`)))),
		"manydisks":  of(but("x", procXML, just(xdr("<domain type='qemu'><name>x</name><devices>"+strings.Repeat("<disk type='file'><target dev='vda'/></disk>", 90000)+"</devices></domain>")))),
		"escapes":    of(but("\x1b[2J\x1b]0;owned\x07\u202eevil", procStats, just(be(0)))),
		"pools":      of(but("x", procPools, just(be(0x7fffffff)))),
		"statsbomb": of(but("x", procStats, func() []byte {
			return append(be(1), append(domain("x", 1), be(0x00ffffff)...)...)
		})),
		"events": {libvirt: func(c io.ReadWriteCloser) {
			c = &oneAtATime{ReadWriteCloser: c}
			go func() {
				e := message(procEvent, 2, 0, 0, append(append(be(1), domain("x", 1)...), be(2, 0)...))
				for {
					if _, err := c.Write(e); err != nil {
						return
					}
				}
			}()
			sane("x").serve(c)
		}},
		"commands": {libvirt: sane("x").serve, output: func(_ string, to ssh.Channel) {
			for range 1 << 14 {
				if _, err := to.Write(garbage); err != nil {
					return
				}
			}
		}},
	}
}

// oneAtATime keeps the packets of two writers apart.
type oneAtATime struct {
	io.ReadWriteCloser
	mu sync.Mutex
}

func (o *oneAtATime) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.ReadWriteCloser.Write(b)
}

// TestHostileDaemons: each attack spoils the view of its own node, and of no
// other; nothing that reaches a screen has a control character; memory stays
// bounded; everything can be closed.
func TestHostileDaemons(t *testing.T) {
	hosts := attacks()
	names := []string{"good"}
	for name := range hosts {
		names = append(names, name)
	}
	hosts["good"] = host{libvirt: sane("web").serve}
	before := runtime.NumGoroutine()
	f := fleet.Open(startHosts(t, names, hosts), fleet.Options{})
	inv := New(f, 100*time.Millisecond)
	closed := false
	defer func() {
		if !closed {
			inv.Close()
			f.Close()
		}
	}()

	var peak uint64
	seen := map[model.NodeName]bool{}
	var last time.Time
	looks := 0
	deadline := time.Now().Add(12 * time.Second) // longer than every timeout of the fleet
	for time.Now().Before(deadline) {
		<-time.After(100 * time.Millisecond)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
		c := inv.Snapshot()
		for _, n := range c.Nodes {
			clean(t, string(n.Name), n.Reason, n.Hostname, n.Libvirt)
			if n.Name == "good" && n.State == model.NodeUp {
				seen["good"] = true
				if !n.Seen.Equal(last) {
					last = n.Seen
					looks++
				}
			} else if n.Name == "good" && n.State != model.NodeBusy && seen["good"] {
				t.Fatalf("the good node is %s: %s", n.State, n.Reason)
			}
		}
		for _, v := range c.VMs {
			clean(t, string(v.Node), v.Name)
			if v.Node == "good" && v.Name != "web" {
				t.Errorf("the good node has %q", v.Name)
			}
		}
	}
	c := inv.Snapshot()
	good := 0
	for _, v := range c.VMs {
		if v.Node == "good" && v.VCPUs == 2 {
			good++
		}
	}
	if good != 1 || looks < 5 {
		t.Errorf("the good node shows %d VMs after %d looks", good, looks)
	}
	for _, n := range c.Nodes {
		t.Logf("%-10s %-12s %3d VMs  %.100s", n.Name, n.State, n.Defined, n.Reason)
		if n.Defined > 16384 {
			t.Errorf("%s has %d VMs", n.Name, n.Defined)
		}
	}
	t.Logf("heap at most %d MiB, %d looks at the good node", peak>>20, looks)
	if peak > 1<<30 {
		t.Errorf("%d MiB of memory", peak>>20)
	}
	inv.Close()
	f.Close()
	closed = true
	end := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before+2*len(names) && time.Now().Before(end) {
		<-time.After(20 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before+2*len(names) {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines are left of %d:\n%s", n, before, buf[:runtime.Stack(buf, true)])
	}
}

func clean(t *testing.T, node string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		if len(s) > 40<<10 {
			t.Errorf("%s shows %d bytes", node, len(s))
		}
		for _, r := range s {
			if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\u202e' {
				t.Errorf("%s shows %q", node, s)
				return
			}
		}
	}
}
