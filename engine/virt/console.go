package virt

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/model"
)

const (
	procOpenConsole = 201
	statusOK        = 0
	statusError     = 1
	statusContinue  = 2
	// consoleBuffer is what a console may say before somebody reads it; more
	// waits in the daemon.
	consoleBuffer = 256 << 10
	// consoleChunk is the most that goes into one packet.
	consoleChunk = 32 << 10
)

// Console is the serial console of a running domain: what the guest says can be
// read, what is written is typed. It has a connection of its own and ends it.
type Console struct {
	conn   *Conn
	serial atomic.Uint32

	mu   sync.Mutex
	wake sync.Cond
	buf  []byte
	err  error // why no more will come; io.EOF for an orderly end
}

// OpenConsole connects to the first console of a domain. The connection must be
// the caller's own (Dial), and belongs to the console from now on. Force takes
// the console from whoever has it.
func (c *Conn) OpenConsole(ctx context.Context, uuid model.UUID, force bool) (*Console, error) {
	con := &Console{conn: c}
	con.wake.L = &con.mu
	c.wire.console.Store(con)
	var flags uint32 // safe: refuse where libvirt cannot make sure that nobody else has it
	if force {
		flags = uint32(libvirt.DomainConsoleForce)
	}
	err := actOn(ctx, c, uuid, "open the console", slow, func(l *libvirt.Libvirt, d libvirt.Domain) error {
		return l.DomainOpenConsole(d, nil, nil, flags)
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	go func() {
		<-c.Done()
		con.end(c.Err())
	}()
	return con, nil
}

// arrived takes a stream packet; the reader of the wire calls it. It holds that
// up while too much waits to be read, which holds up nothing but this console.
func (c *Console) arrived(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	payload := p[headerLen:]
	switch {
	case word(p, 3) != procOpenConsole || c.err != nil:
		return
	case word(p, 6) == statusError:
		c.err = streamError(payload)
	case word(p, 6) == statusOK, len(payload) == 0:
		c.err = io.EOF
	default:
		for len(c.buf) > consoleBuffer && c.err == nil {
			c.wake.Wait()
		}
		c.buf = append(c.buf, payload...)
	}
	c.wake.Broadcast()
}

// streamError reads the words of a remote_error: code, domain, an optional text.
func streamError(p []byte) error {
	if rest, ok := walk("iii", p); ok && binary.BigEndian.Uint32(p[8:]) == 1 {
		if n, ok := stringLen(rest); ok && n <= len(rest) {
			length := binary.BigEndian.Uint32(rest)
			return errors.New(Clean(string(rest[4 : 4+length])))
		}
	}
	return errors.New("the daemon ended the console")
}

func (c *Console) end(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	c.wake.Broadcast()
}

// Read gives what the guest says.
func (c *Console) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.buf) == 0 && c.err == nil {
		c.wake.Wait()
	}
	if len(c.buf) == 0 {
		return 0, c.err
	}
	n := copy(b, c.buf)
	if c.buf = c.buf[n:]; len(c.buf) == 0 {
		c.buf = nil
	}
	c.wake.Broadcast()
	return n, nil
}

// Write types.
func (c *Console) Write(b []byte) (int, error) {
	done := 0
	for done < len(b) {
		part := b[done:min(len(b), done+consoleChunk)]
		p := make([]byte, headerLen, headerLen+len(part))
		for i, v := range []uint32{uint32(headerLen + len(part)), programRemote, 1, procOpenConsole, typeStream, c.serial.Load(), statusContinue} {
			binary.BigEndian.PutUint32(p[4*i:], v)
		}
		if _, err := c.conn.wire.Write(append(p, part...)); err != nil {
			return done, err
		}
		done += len(part)
	}
	return done, nil
}

// Close leaves the console and ends its connection; the daemon lets go of the
// console with it.
func (c *Console) Close() error {
	c.end(io.EOF)
	return c.conn.Close()
}
