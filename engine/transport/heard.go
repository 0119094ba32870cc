package transport

import (
	"net"
	"sync/atomic"
	"time"
)

// heard is the stream below a login; it knows when the peer was heard last.
type heard struct {
	net.Conn
	start time.Time
	at    atomic.Int64 // after start
}

func listenTo(c net.Conn) *heard { return &heard{Conn: c, start: time.Now()} }

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	if n > 0 {
		h.at.Store(int64(time.Since(h.start)))
	}
	return n, err
}

// silence is how long nothing was heard.
func (h *heard) silence() time.Duration { return time.Since(h.start) - time.Duration(h.at.Load()) }
