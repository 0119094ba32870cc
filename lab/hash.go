package lab

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// hashBlock is the unit in which zeros are skipped.
const hashBlock = 64 << 10

// Hash is a fingerprint of what a guest sees on a disk: two images have the
// same one if and only if they have the same size and the same bytes, whatever
// their format and however sparse they are. The image must not be written to
// meanwhile.
func (l *Lab) Hash(ctx context.Context, node, image string) (string, error) {
	n, err := l.node(node)
	if err != nil {
		return "", err
	}
	raw, done, err := n.rawCopy(ctx, image)
	if err != nil {
		return "", err
	}
	defer done()
	pid := n.PID()
	if pid == 0 {
		return "", n.errOff()
	}
	f, err := os.Open(n.path(pid, raw))
	if err != nil {
		return "", fmt.Errorf("cannot read the copy of %s: %w", image, err)
	}
	defer f.Close()
	return hashSparse(ctx, f)
}

// hashSparse hashes size, and place and content of every block that is not all
// zero. Holes are not read.
func hashSparse(ctx context.Context, f *os.File) (string, error) {
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	number := func(v int64) { binary.Write(h, binary.BigEndian, v) } //nolint:errcheck // a hash takes everything
	number(st.Size())
	buf := make([]byte, hashBlock)
	for off := int64(0); off < st.Size(); off += hashBlock {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		data, err := unix.Seek(int(f.Fd()), off, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			break
		}
		if err == nil && data > off {
			off = data / hashBlock * hashBlock
		}
		n, err := f.ReadAt(buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return "", err
		}
		if zero(buf[:n]) {
			continue
		}
		number(off)
		h.Write(buf[:n])
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
