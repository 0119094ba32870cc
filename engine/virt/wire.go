package virt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// The packet format of libvirt's RPC: a length that counts itself, six words
// of header, then the payload.
const (
	headerLen = 28
	maxPacket = 32 << 20 // the server's own limit

	programRemote    = 0x20008086
	programQEMU      = 0x20008087
	programKeepalive = 0x6b656570
	keepalivePing    = 1
	keepalivePong    = 2

	typeCall    = 0
	typeReply   = 1
	typeMessage = 2
	typeStream  = 3

	procConnectOpen = 1
)

var (
	errClosed = errors.New("closed by us")
	errHangup = errors.New("the daemon closed the connection")
)

// wire stands between the byte stream and the wire library, which trusts its
// peer. It checks the framing, answers the daemon's keepalive, takes events for
// itself, drops packets that answer nothing, and ends its reader when it is
// closed, even if the stream below does not (a channel of a silent SSH peer
// stays readable after Close).
type wire struct {
	inner   net.Conn
	packets chan []byte
	done    chan struct{}
	onEvent func(proc uint32, payload []byte)
	// opened is closed when the library has finished its handshake. The
	// library writes a field after the last reply of it that its reader reads
	// when the stream ends; so the end of the stream waits for it.
	opened    chan struct{}
	sawOpen   bool // reader only
	unasked   int  // packets that answer nothing since unaskedAt; pump only
	unaskedAt time.Time
	unread    []byte
	pong      chan struct{}
	closeOnce sync.Once

	writeMu sync.Mutex
	out     []byte

	// console takes the stream packets of the one console that a connection of
	// its own may carry; the library would hold up everything behind them.
	console atomic.Pointer[Console]

	mu      sync.Mutex
	err     error
	waiting map[uint32]chan []byte // by the serials of calls without a reply; nil for those of the library

	own atomic.Uint32 // calls that go past the library

	start    time.Time
	answered atomic.Int64 // the last answer to a call, after start
}

func newWire(inner net.Conn, onEvent func(uint32, []byte)) *wire {
	w := &wire{
		inner: inner, packets: make(chan []byte), done: make(chan struct{}), opened: make(chan struct{}),
		onEvent: onEvent, pong: make(chan struct{}, 1), waiting: make(map[uint32]chan []byte), start: time.Now(),
	}
	go w.pump()
	go w.answerPings()
	return w
}

// fail closes the wire for good; the first cause is kept.
func (w *wire) fail(err error) {
	if err == io.EOF { //nolint:errorlint // only the bare one means an orderly end
		err = errHangup
	}
	w.closeOnce.Do(func() {
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
		close(w.done)
		// Closing may have to write to a peer that does not read.
		go w.inner.Close()
	})
}

func (w *wire) cause() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// pump reads whole packets and passes on those that the library asked for.
func (w *wire) pump() {
	for {
		p, err := readPacket(w.inner)
		if err != nil {
			w.fail(err)
			return
		}
		if word(p, 4) == typeStream {
			if c := w.console.Load(); c != nil {
				c.arrived(p)
				continue
			}
		}
		asked, own := w.wanted(p)
		if !asked {
			if w.flooded() {
				w.fail(fmt.Errorf("the daemon sends more than %d packets a second that nobody asked for", maxUnasked))
				return
			}
			continue
		}
		if own != nil && word(p, 6) == statusOK {
			own <- p // its reader checks as it goes
			continue
		}
		if !fitsReply(p) {
			w.fail(fmt.Errorf("not libvirt's protocol: the reply to call %d", word(p, 3)))
			return
		}
		if own != nil {
			own <- p
			continue
		}
		select {
		case w.packets <- p:
		case <-w.done:
			return
		}
	}
}

// maxUnasked is far above what events of ten thousand domains come to.
const maxUnasked = 20000

// flooded counts packets that nobody asked for, so that a daemon cannot keep
// our processors busy with them.
func (w *wire) flooded() bool {
	if now := time.Now(); now.Sub(w.unaskedAt) > time.Second {
		w.unasked, w.unaskedAt = 0, now
	}
	w.unasked++
	return w.unasked > maxUnasked
}

// readPacket reads one packet and checks what the library does not.
func readPacket(r io.Reader) ([]byte, error) {
	var head [headerLen]byte
	if _, err := io.ReadFull(r, head[:4]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < headerLen || n > maxPacket {
		return nil, fmt.Errorf("not libvirt's protocol: a packet of %d bytes", n)
	}
	if _, err := io.ReadFull(r, head[4:]); err != nil {
		return nil, noEOF(err)
	}
	p, err := readBody(r, int(n))
	if err != nil {
		return nil, noEOF(err)
	}
	copy(p, head[:])
	return p, nil
}

// readBody allocates as the bytes come, so that a length alone costs nothing.
func readBody(r io.Reader, n int) ([]byte, error) {
	const step = 1 << 20
	p := make([]byte, min(n, step))
	for at := headerLen; ; {
		m, err := io.ReadFull(r, p[at:])
		if err != nil {
			return nil, err
		}
		if at += m; at == n {
			return p, nil
		}
		p = append(p, make([]byte, min(n-at, step))...)
	}
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func word(p []byte, i int) uint32 { return binary.BigEndian.Uint32(p[4*i:]) }

// wanted deals with a packet that answers nothing, and otherwise says yes, and
// who waits for it if that is not the library.
func (w *wire) wanted(p []byte) (yes bool, own chan []byte) {
	program, proc, kind, serial := word(p, 1), word(p, 3), word(p, 4), word(p, 5)
	switch {
	case program == programKeepalive:
		if proc == keepalivePing {
			select {
			case w.pong <- struct{}{}:
			default: // one answer is on its way
			}
		}
		return false, nil
	case kind == typeMessage:
		if program == programRemote && w.onEvent != nil {
			w.onEvent(proc, p[headerLen:])
		}
		return false, nil
	case kind != typeReply:
		return false, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if own, yes = w.waiting[serial]; yes {
		w.answered.Store(int64(time.Since(w.start)))
	}
	delete(w.waiting, serial)
	return yes, own
}

func (w *wire) answerPings() {
	for {
		select {
		case <-w.done:
			return
		case <-w.pong:
			w.writeMu.Lock()
			_, err := w.inner.Write(pongPacket())
			w.writeMu.Unlock()
			if err != nil {
				w.fail(err)
				return
			}
		}
	}
}

func pongPacket() []byte {
	p := make([]byte, headerLen)
	for i, v := range []uint32{headerLen, programKeepalive, 1, keepalivePong, typeMessage, 0, 0} {
		binary.BigEndian.PutUint32(p[4*i:], v)
	}
	return p
}

// Read gives the library its packets.
func (w *wire) Read(b []byte) (int, error) {
	if len(w.unread) == 0 {
		if w.sawOpen {
			<-w.opened
		}
		select {
		case w.unread = <-w.packets:
			w.sawOpen = w.sawOpen || (word(w.unread, 1) == programRemote && word(w.unread, 3) == procConnectOpen && word(w.unread, 6) == 0)
		case <-w.done:
			return 0, io.EOF
		}
	}
	n := copy(b, w.unread)
	w.unread = w.unread[n:]
	return n, nil
}

// Write collects until a packet is whole and sends it in one piece, so that
// nothing of ours can come between its parts.
func (w *wire) Write(b []byte) (int, error) {
	w.writeMu.Lock()
	defer w.writeMu.Unlock()
	w.out = append(w.out, b...)
	for len(w.out) >= headerLen {
		n := int(binary.BigEndian.Uint32(w.out))
		if n < headerLen || n > maxPacket {
			err := fmt.Errorf("request of %d bytes is too large for libvirt", n)
			w.fail(err)
			return 0, err
		}
		if len(w.out) < n {
			break
		}
		if word(w.out, 4) == typeCall {
			if c := w.console.Load(); c != nil && word(w.out, 3) == procOpenConsole {
				c.serial.Store(word(w.out, 5))
			}
			w.mu.Lock()
			w.waiting[word(w.out, 5)] = nil
			w.mu.Unlock()
		}
		if _, err := w.inner.Write(w.out[:n]); err != nil {
			w.fail(err)
			return 0, err
		}
		if w.out = w.out[n:]; len(w.out) == 0 {
			w.out = nil
		}
	}
	return len(b), nil
}

// Close ends the reader and every call at once.
func (w *wire) Close() error {
	w.fail(errClosed)
	return nil
}
