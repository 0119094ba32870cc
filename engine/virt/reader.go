package virt

import "encoding/binary"

// reader goes through an answer without copying it. What does not fit sets bad,
// and everything read from then on is empty.
type reader struct {
	p   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if n > len(r.p) {
		r.p, r.bad = nil, true
		return nil
	}
	b := r.p[:n]
	r.p = r.p[n:]
	return b
}

func (r *reader) u32() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *reader) u64() uint64 {
	if b := r.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (r *reader) uuid() (raw [16]byte) {
	copy(raw[:], r.take(16))
	return raw
}

// text gives the bytes of a string, which are good until the answer is.
func (r *reader) text() []byte {
	n, ok := stringLen(r.p)
	if !ok {
		r.p, r.bad = nil, true
		return nil
	}
	b := r.take(n)
	return b[4 : 4+binary.BigEndian.Uint32(b)]
}

// count reads the length of an array, which the protocol bounds.
func (r *reader) count() int {
	n := r.u32()
	if n > maxList {
		r.p, r.bad = nil, true
		return 0
	}
	return int(n)
}

// value is one typed parameter's: a number or a text.
type value struct {
	n    uint64 // negative numbers count as zero
	text []byte
}

// capped is the number, bounded to what a duration can hold.
func (v value) capped() uint64 { return min(v.n, 1<<63-1) }

func (r *reader) value() (v value) {
	switch kind := r.u32(); kind {
	case 1, 6: // int, boolean
		v.n = uint64(max(int32(r.u32()), 0))
	case 2:
		v.n = uint64(r.u32())
	case 3:
		v.n = uint64(max(int64(r.u64()), 0))
	case 4:
		v.n = r.u64()
	case 5:
		r.u64() // a fraction: none of what is read here is one
	case 7:
		v.text = r.text()
	default:
		r.p, r.bad = nil, true
	}
	return v
}
