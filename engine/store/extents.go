package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// extent is a run of bytes of a file that is not a hole.
type extent struct{ off, len int64 }

func (e extent) end() int64 { return e.off + e.len }

const (
	// block is the smallest unit of a file system's extents and of direct reads
	// on every disk there is.
	block = 4096
	// nearHole is how small a hole must be to be read over: starting one more
	// command on a node costs as much as reading this much.
	nearHole = 1 << 20
	// windowBytes is what a window holds: enough that starting the tools does not
	// count, little enough that a break costs little.
	windowBytes = 64 << 20
	// windowExtents bounds the commands for one window.
	windowExtents = 256
)

// window is the unit that is copied, hashed, compared and recorded.
type window struct {
	extents []extent
	// small windows do not go through QEMU: it rounds sizes to sectors.
	small bool
}

func (w window) off() int64 { return w.extents[0].off }
func (w window) end() int64 { return w.extents[len(w.extents)-1].end() }

func (w window) bytes() int64 {
	var n int64
	for _, e := range w.extents {
		n += e.len
	}
	return n
}

// mapEntry is one line of `qemu-img map --output=json`.
type mapEntry struct {
	Start  int64 `json:"start"`
	Length int64 `json:"length"`
	Data   bool  `json:"data"`
}

var errMap = errors.New("the list of extents makes no sense")

// readMap reads the output of `qemu-img map --output=json` of a file of this
// size, and gives its data in whole blocks, small holes read over. A file system
// that knows no holes gives one extent.
func readMap(r io.Reader, size int64, gap int64) ([]extent, error) {
	dec := json.NewDecoder(r)
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%w: it does not begin with [", errMap)
	}
	var all []extent
	var last int64
	for dec.More() {
		var m mapEntry
		if err := dec.Decode(&m); err != nil {
			return nil, fmt.Errorf("%w: %w", errMap, err)
		}
		if m.Start < last || m.Length < 0 || m.Start > 1<<62 || m.Length > 1<<62 {
			return nil, fmt.Errorf("%w: %d bytes at %d after %d", errMap, m.Length, m.Start, last)
		}
		last = m.Start + m.Length
		if m.Data {
			all = add(all, m.Start, min(last, size), size, gap)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: it ends too early", errMap)
	}
	if last < size {
		return nil, fmt.Errorf("%w: it ends at %d of %d", errMap, last, size)
	}
	return all, nil
}

// add appends [from, to) in whole blocks, or lets the last extent grow.
func add(all []extent, from, to, size, gap int64) []extent {
	from = from / block * block
	to = min((to+block-1)/block*block, size)
	if from >= to {
		return all
	}
	if n := len(all); n > 0 && from-all[n-1].end() <= gap {
		all[n-1].len = max(all[n-1].end(), to) - all[n-1].off
		return all
	}
	return append(all, extent{from, to - from})
}

// windows cuts the data of a file. The same extents give the same windows.
func windows(all []extent, size int64) []window {
	whole := size / block * block
	var out []window
	var now window
	var held int64
	flush := func() {
		if len(now.extents) > 0 {
			now.extents = coarser(now.extents, windowExtents)
			out = append(out, now)
		}
		now, held = window{small: size < windowBytes/16}, 0
	}
	flush()
	for _, e := range all {
		for e.len > 0 {
			part := extent{e.off, min(e.len, windowBytes-held)}
			if part.off < whole && part.end() > whole {
				part.len = whole - part.off
			}
			if part.off >= whole && !now.small {
				// The file's last bytes, less than a block.
				flush()
				now.small = true
			}
			now.extents = append(now.extents, part)
			held += part.len
			e.off, e.len = part.end(), e.len-part.len
			if held >= windowBytes {
				flush()
			}
		}
	}
	flush()
	return out
}

// coarser reads over the smaller holes until there are few enough extents.
func coarser(all []extent, most int) []extent {
	for gap := int64(2 * nearHole); len(all) > most; gap *= 2 {
		var merged []extent
		for _, e := range all {
			if n := len(merged); n > 0 && e.off-merged[n-1].end() <= gap {
				merged[n-1].len = e.end() - merged[n-1].off
				continue
			}
			merged = append(merged, e)
		}
		all = merged
	}
	return all
}

// pieces cuts a window into parts of about so many bytes, for one command each.
func (w window) pieces(most int64) []window {
	most = max(most/block*block, block)
	var out []window
	var now window
	var held int64
	for _, e := range w.extents {
		for e.len > 0 {
			part := extent{e.off, min(e.len, most-held)}
			now.extents = append(now.extents, part)
			held += part.len
			e.off, e.len = part.end(), e.len-part.len
			if held >= most {
				out = append(out, now)
				now, held = window{}, 0
			}
		}
	}
	if len(now.extents) > 0 {
		out = append(out, now)
	}
	return out
}

// outside lists the parts of a that b does not cover; both are in order.
func outside(a, b []extent) []extent {
	var out []extent
	for _, e := range a {
		for _, f := range b {
			if f.end() <= e.off || f.off >= e.end() {
				continue
			}
			if f.off > e.off {
				out = append(out, extent{e.off, f.off - e.off})
			}
			if f.end() >= e.end() {
				e.len = 0
				break
			}
			e = extent{f.end(), e.end() - f.end()}
		}
		if e.len > 0 {
			out = append(out, e)
		}
	}
	return out
}
