package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// hashScript answers each pair of lines (a file; a way to read and extents)
// with the sha256 of the extents' bytes, or with what went wrong, and a dot.
// The ways: c as it comes, from memory if it is there; d from the disk, past
// the cache; n from the disk, after the cache was emptied of the file.
const hashScript = `case $1 in openssl) h() { openssl dgst -sha256 -r; };; *) h() { sha256sum; };; esac
while IFS= read -r f && read -r line; do
set -- $line
way=$1; shift
flags=skip_bytes,count_bytes,fullblock
case $way in
d) flags=$flags,direct;;
n) dd if="$f" iflag=nocache count=0 status=none;;
esac
{ while [ $# -gt 1 ]; do
dd if="$f" bs=1M iflag=$flags skip=$1 count=$2 status=none 2>&4 || break
shift 2
done | h; } 4>&1
echo .
done`

// way is how a window is read for its hash.
type way string

const (
	readCached way = "c"
	readDirect way = "d"
	readFresh  way = "n"
)

// hashers is a pool of sessions on one node that hash windows.
type hashers struct {
	node   Node
	tool   string
	script string
	free   chan *hasher // nil entries are sessions not yet open
}

type hasher struct {
	stream transport.Stream
	in     *bufio.Reader
}

func newHashers(n Node, t Tools, many int) *hashers {
	h := &hashers{node: n, tool: "sha256sum", script: hashScript, free: make(chan *hasher, many)}
	if t.Has("openssl") {
		h.tool = "openssl"
	}
	for range many {
		h.free <- nil
	}
	return h
}

// close ends the sessions that nobody uses.
func (h *hashers) close() {
	for range cap(h.free) {
		select {
		case one := <-h.free:
			one.close()
		default:
		}
	}
}

func (h *hasher) close() {
	if h != nil {
		_ = h.stream.Close()
	}
}

// sum reads a window on the node and gives the sha256 of its bytes.
func (h *hashers) sum(ctx context.Context, file string, w window, by way) (string, error) {
	if by == readDirect && !w.aligned() {
		by = readFresh
	}
	return h.request(ctx, fmt.Sprintf("hash %s at %d", file, w.off()), fmt.Sprintf("%s\n%s%s\n", file, by, w.list()))
}

// request has a free session answer, and gives the sha256 that it says.
func (h *hashers) request(ctx context.Context, what, lines string) (string, error) {
	var one *hasher
	select {
	case one = <-h.free:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if one == nil {
		s, err := h.node.Start(ctx, []string{"sh", "-c", h.script, "horcrux-copy", h.tool})
		if err != nil {
			h.free <- nil
			return "", &lineError{what, string(h.node.Name()), err}
		}
		one = &hasher{stream: s, in: bufio.NewReader(s)}
	}
	sum, err := one.ask(ctx, lines)
	if err != nil {
		one.close()
		h.free <- nil
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		if text := virt.Clean(one.stream.Stderr()); text != "" {
			return "", fmt.Errorf("cannot %s on %s: %w: %s", what, h.node.Name(), errHelper, text)
		}
		return "", &lineError{what, string(h.node.Name()), err}
	}
	h.free <- one
	if !isSum(sum) {
		return "", &runError{what, string(h.node.Name()), virt.Clean(sum), 1}
	}
	return sum, nil
}

func (w window) aligned() bool {
	for _, e := range w.extents {
		if e.off%block != 0 || e.len%block != 0 {
			return false
		}
	}
	return true
}

func (h *hasher) ask(ctx context.Context, lines string) (string, error) {
	// Closing the session is the way to end a read.
	stop := context.AfterFunc(ctx, h.close)
	defer stop()
	if _, err := io.WriteString(h.stream, lines); err != nil {
		return "", err
	}
	var said []string
	for {
		line, err := h.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		line = strings.TrimSpace(line)
		if line == "." {
			break
		}
		if len(said) < 8 {
			said = append(said, line)
		}
	}
	if len(said) == 1 {
		sum, _, _ := strings.Cut(said[0], " ")
		return sum, nil
	}
	// Errors come before the hash of what was read up to them.
	return strings.Join(said[:max(len(said)-1, 0)], "; ") + "!", nil
}

// list writes the extents as the scripts take them: " off len off len".
func (w window) list() string {
	var b strings.Builder
	for _, e := range w.extents {
		b.WriteString(" " + strconv.FormatInt(e.off, 10) + " " + strconv.FormatInt(e.len, 10))
	}
	return b.String()
}

// id names a window by what it covers.
func (w window) id() string {
	sum := sha256.Sum256([]byte(w.list()))
	return hex.EncodeToString(sum[:8])
}

func isSum(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
