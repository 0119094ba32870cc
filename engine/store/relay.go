package store

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/zstd"

	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// readScript sends the extents of each pair of lines: a file, and offsets and
// lengths. It ends at the first error.
const readScript = `while IFS= read -r f && read -r line; do
set -- $line
while [ $# -gt 1 ]; do
dd if="$f" bs=1M iflag=skip_bytes,count_bytes,fullblock skip=$1 count=$2 status=none || exit 1
shift 2
done
done`

// writeScript takes the same lines, each pair followed by the bytes of its
// extents, and says ok when they are on the disk.
const writeScript = `while IFS= read -r f && read -r line; do
set -- $line
while [ $# -gt 1 ]; do
dd of="$f" bs=1M iflag=count_bytes,fullblock oflag=seek_bytes seek=$1 count=$2 conv=notrunc,nocreat status=none || exit 1
shift 2
done
sync -d "$f" || exit 1
echo ok
done`

// The same with compression: the scripts above are the second argument.
const (
	packScript   = `sh -c "$1" "$0" | zstd -1 -cq`
	unpackScript = `zstd -dcq | sh -c "$1" "$0"`
)

// relay carries data through this machine: one SSH session reads on the
// source, one writes on the target.
type relay struct {
	c    *Copy
	pack bool // zstd on both ways
	free chan *pair
}

// pair is an open way from source to target.
type pair struct {
	from, to transport.Stream
	read     io.Reader
	write    io.Writer
	flush    func() error
	acks     *bufio.Reader
	unpack   *zstd.Decoder
}

func newRelay(c *Copy, streams int) *relay {
	r := &relay{c: c, free: make(chan *pair, streams)}
	for range streams {
		r.free <- nil
	}
	return r
}

func (r *relay) words() string {
	s := fmt.Sprintf("from %s through this machine's SSH connections to %s", r.c.src.Name(), r.c.dst.Name())
	if r.pack {
		s += ", compressed by zstd"
	}
	return s
}

func (r *relay) open(_ context.Context, f *file) (carrier, error) { return &relayFile{r, f}, nil }

func (r *relay) end() {
	for range cap(r.free) {
		select {
		case p := <-r.free:
			p.close()
		default:
		}
	}
}

func (p *pair) close() {
	if p == nil {
		return
	}
	_ = p.from.Close()
	_ = p.to.Close()
	if p.unpack != nil {
		go p.unpack.Close()
	}
}

func (r *relay) connect(ctx context.Context) (*pair, error) {
	ours := token(r.c.plan.Job)
	read, write := []string{"sh", "-c", readScript, ours}, []string{"sh", "-c", writeScript, ours}
	if r.pack {
		read = []string{"sh", "-c", packScript, ours, readScript}
		write = []string{"sh", "-c", unpackScript, ours, writeScript}
	}
	from, err := r.c.src.Start(ctx, read)
	if err != nil {
		return nil, &lineError{"read the files", string(r.c.src.Name()), err}
	}
	to, err := r.c.dst.Start(ctx, write)
	if err != nil {
		_ = from.Close()
		return nil, &lineError{"write the files", string(r.c.dst.Name()), err}
	}
	p := &pair{from: from, to: to, read: from, write: to, flush: func() error { return nil }, acks: bufio.NewReader(to)}
	if r.pack {
		enc, err1 := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		dec, err2 := zstd.NewReader(from, zstd.WithDecoderConcurrency(1))
		if err := errors.Join(err1, err2); err != nil {
			p.close()
			return nil, err
		}
		// zstd on the target reads whole buffers: only the end of its input
		// makes it give the last bytes.
		p.flush = func() error { return errors.Join(enc.Close(), to.CloseWrite()) }
		p.write, p.read, p.unpack = enc, dec, dec
	}
	return p, nil
}

type relayFile struct {
	*relay
	file *file
}

func (f *relayFile) close() {}

// put carries a window and hashes it as it comes from the source.
func (f *relayFile) put(ctx context.Context, w window, _ bool) (string, error) {
	var p *pair
	select {
	case p = <-f.free:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if p == nil {
		var err error
		if p, err = f.connect(ctx); err != nil {
			f.free <- nil
			return "", err
		}
	}
	stop := context.AfterFunc(ctx, p.close)
	defer stop()
	sum, err := f.carry(ctx, p, w)
	if err == nil && f.pack {
		// zstd gives its last bytes only at its end, on both nodes: a pair
		// carries one window.
		p.close()
		p = nil
	}
	if err != nil {
		p.close()
		f.free <- nil
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", f.explain(p, w, err)
	}
	f.free <- p
	return sum, nil
}

// explain finds the words of the side that ended.
func (f *relayFile) explain(p *pair, w window, err error) error {
	if text := virt.Clean(p.to.Stderr()); text != "" {
		failed := &runError{"write " + f.file.partial, string(f.c.dst.Name()), text, 1}
		if full(text) {
			return fmt.Errorf("%w: %w", errFull, failed)
		}
		return fmt.Errorf("%w: %w", errHelper, failed)
	}
	if text := virt.Clean(p.from.Stderr()); text != "" {
		return &runError{fmt.Sprintf("read %s at %d", f.file.Source, w.off()), string(f.c.src.Name()), text, 1}
	}
	return fmt.Errorf("cannot carry %s at %d from %s to %s: %w: %w", f.file.Source, w.off(), f.c.src.Name(), f.c.dst.Name(), errHelper, err)
}

const relayBuffer = 256 << 10

func (f *relayFile) carry(ctx context.Context, p *pair, w window) (string, error) {
	list := strings.TrimSpace(w.list())
	if _, err := fmt.Fprintf(p.from, "%s\n%s\n", f.file.Source, list); err != nil {
		return "", fmt.Errorf("the source: %w", err)
	}
	if f.pack {
		if err := p.from.CloseWrite(); err != nil {
			return "", fmt.Errorf("the source: %w", err)
		}
	}
	if _, err := fmt.Fprintf(p.write, "%s\n%s\n", f.file.partial, list); err != nil {
		return "", fmt.Errorf("the target: %w", err)
	}
	h := sha256.New()
	buf := make([]byte, relayBuffer)
	for left := w.bytes(); left > 0; {
		n, err := p.read.Read(buf[:min(int64(len(buf)), left)])
		if n > 0 {
			h.Write(buf[:n])
			if err := f.c.pace.pay(ctx, n); err != nil {
				return "", err
			}
			if _, err := p.write.Write(buf[:n]); err != nil {
				return "", fmt.Errorf("the target: %w", err)
			}
			left -= int64(n)
			f.c.copied(f.file, int64(n))
		}
		if err != nil && left > 0 {
			return "", fmt.Errorf("the source: %w", err)
		}
	}
	if err := p.flush(); err != nil {
		return "", fmt.Errorf("the target: %w", err)
	}
	line, err := p.acks.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("the target: %w", err)
	}
	if strings.TrimSpace(line) != "ok" {
		return "", fmt.Errorf("the target says %q", virt.Clean(line))
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
