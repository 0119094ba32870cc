package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// piece is a run of bytes of a disk and where they are: in a file of the node,
// or nowhere, if they are zeros.
type piece struct {
	off, len int64
	file     string
	at       int64
}

func (p piece) end() int64 { return p.off + p.len }

func (p piece) name() string {
	if p.file == "" {
		return "/dev/zero"
	}
	return p.file
}

// from is the piece from a place of the disk on, for so many bytes.
func (p piece) from(off, n int64) piece {
	if p.file == "" {
		return piece{off: off, len: n}
	}
	return piece{off: off, len: n, file: p.file, at: p.at + off - p.off}
}

func endOf(all []piece) int64 {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].end()
}

// maxPieces bounds what a node can make us remember of one disk.
const maxPieces = 4 << 20

var errPacked = errors.New("some of it is compressed or encrypted in the image, which can only be read by QEMU")

// readPieces reads the output of `qemu-img map --output=json` of an image and the
// layers under it, whose files are given from the top. What it gives covers the
// disk from its beginning to its end.
func readPieces(r io.Reader, layers []string) ([]piece, error) {
	dec := json.NewDecoder(r)
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%w: it does not begin with [", errMap)
	}
	var all []piece
	for dec.More() {
		var m struct {
			mapEntry
			Zero   bool   `json:"zero"`
			Offset *int64 `json:"offset"`
			Depth  int    `json:"depth"`
		}
		if err := dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("%w: %w", errMap, err)
		}
		if m.Start != endOf(all) || m.Length <= 0 || m.Length > 1<<62-m.Start {
			return nil, fmt.Errorf("%w: %d bytes at %d after %d", errMap, m.Length, m.Start, endOf(all))
		}
		p := piece{off: m.Start, len: m.Length}
		if m.Data && !m.Zero {
			if m.Offset == nil {
				return nil, errPacked
			}
			if *m.Offset < 0 || *m.Offset > 1<<62-m.Length || m.Depth < 0 || m.Depth >= len(layers) {
				return nil, fmt.Errorf("%w: %d bytes at %d of layer %d", errMap, m.Length, *m.Offset, m.Depth)
			}
			p.file, p.at = layers[m.Depth], *m.Offset
		}
		if all = join(all, p); len(all) > maxPieces {
			return nil, fmt.Errorf("%w: more than %d pieces", errMap, maxPieces)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: it ends too early", errMap)
	}
	return all, nil
}

// join appends a piece, or lets the last one grow.
func join(all []piece, p piece) []piece {
	if n := len(all); n > 0 && all[n-1].file == p.file && (p.file == "" || all[n-1].at+all[n-1].len == p.at) {
		all[n-1].len += p.len
		return all
	}
	return append(all, p)
}

// compared is a part of a disk and where its bytes are on either node.
type compared struct {
	disk           string
	from, to       int64
	bytes          int64
	source, target []piece
}

// cut walks along a disk and makes parts of what has data on either node, each
// for one go. Both lists cover the disk.
func cut(disk string, source, target []piece) []compared {
	var out []compared
	now := compared{disk: disk}
	flush := func() {
		if now.bytes > 0 {
			out = append(out, now)
		}
		now = compared{disk: disk}
	}
	i, k := 0, 0
	for at := int64(0); i < len(source) && k < len(target); {
		a, b := source[i], target[k]
		n := min(a.end(), b.end()) - at
		if a.file != "" || b.file != "" {
			n = min(n, windowBytes-now.bytes)
			if now.bytes == 0 {
				now.from = at
			}
			now.source, now.target = join(now.source, a.from(at, n)), join(now.target, b.from(at, n))
			now.bytes += n
			now.to = at + n
			if now.bytes >= windowBytes || max(len(now.source), len(now.target)) >= windowExtents {
				flush()
			}
		}
		at += n
		if at >= a.end() {
			i++
		}
		if at >= b.end() {
			k++
		}
	}
	flush()
	return out
}
