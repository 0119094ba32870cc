package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

const kib, mib, gib = 1 << 10, 1 << 20, 1 << 30

func TestReadMap(t *testing.T) {
	line := func(start, length int64, data bool) string {
		return fmt.Sprintf(`{ "start": %d, "length": %d, "depth": 0, "present": true, "zero": %t, "data": %t, "offset": 0}`, start, length, !data, data)
	}
	for name, tc := range map[string]struct {
		text string
		size int64
		gap  int64
		want []extent
		bad  bool
	}{
		"one hole":              {text: "[" + line(0, mib, false) + "]", size: mib},
		"all data":              {text: "[" + line(0, mib, true) + "]", size: mib, want: []extent{{0, mib}}},
		"small hole read over":  {text: "[" + line(0, 4*kib, true) + "," + line(4*kib, 8*kib, false) + "," + line(12*kib, 4*kib, true) + "]", size: 16 * kib, gap: 8 * kib, want: []extent{{0, 16 * kib}}},
		"hole that counts":      {text: "[" + line(0, 4*kib, true) + "," + line(4*kib, 8*kib, false) + "," + line(12*kib, 4*kib, true) + "]", size: 16 * kib, gap: 4 * kib, want: []extent{{0, 4 * kib}, {12 * kib, 4 * kib}}},
		"whole blocks":          {text: "[" + line(0, 512, false) + "," + line(512, 512, true) + "," + line(1024, 15*kib, false) + "]", size: 16 * kib, want: []extent{{0, 4 * kib}}},
		"sectors past the end":  {text: "[" + line(0, 1024, true) + "]", size: 1000, want: []extent{{0, 1000}}},
		"nothing":               {text: "", size: 1, bad: true},
		"no list":               {text: "{}", size: 1, bad: true},
		"cut off":               {text: "[" + line(0, 4*kib, true), size: 4 * kib, bad: true},
		"cut off after a comma": {text: "[" + line(0, 4*kib, true) + ",", size: 4 * kib, bad: true},
		"too short":             {text: "[" + line(0, 4*kib, true) + "]", size: 8 * kib, bad: true},
		"backwards":             {text: "[" + line(4*kib, 4*kib, true) + "," + line(0, 8*kib, true) + "]", size: 8 * kib, bad: true},
		"negative":              {text: "[" + line(0, -4, true) + "]", size: 1, bad: true},
	} {
		got, err := readMap(strings.NewReader(tc.text), tc.size, tc.gap)
		if (err != nil) != tc.bad || !tc.bad && !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, tc.want)
		}
	}
}

func FuzzReadMap(f *testing.F) {
	f.Add([]byte(`[{ "start": 0, "length": 4096, "data": true},{ "start": 4096, "length": 4096, "data": false}]`), int64(8192))
	f.Add([]byte(`[`), int64(0))
	f.Fuzz(func(t *testing.T, text []byte, size int64) {
		if size < 0 || size > 1<<40 {
			return
		}
		all, err := readMap(bytes.NewReader(text), size, nearHole)
		if err == nil {
			covers(t, all, windows(all, size), size)
		}
	})
}

// covers checks that windows hold the extents' bytes, each once and in order.
func covers(t *testing.T, all []extent, ws []window, size int64) {
	t.Helper()
	var held []extent
	last := int64(0)
	for _, w := range ws {
		if len(w.extents) == 0 || len(w.extents) > windowExtents {
			t.Fatalf("a window of %d extents", len(w.extents))
		}
		for _, e := range w.extents {
			if e.len <= 0 || e.off < last || e.end() > size {
				t.Fatalf("extent %v after %d in a file of %d", e, last, size)
			}
			last = e.end()
			held = append(held, e)
		}
		if !w.small && !w.aligned() {
			t.Fatalf("a window for QEMU is not of whole blocks: %v", w.extents)
		}
	}
	if left := outside(all, held); len(left) > 0 {
		t.Fatalf("not in any window: %v", left)
	}
}

func TestWindows(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		size := r.Int64N(3 * gib)
		if r.IntN(3) == 0 {
			size = r.Int64N(64 * kib)
		}
		var all []extent
		for at := int64(0); at < size; at += r.Int64N(40*mib) + 1 {
			to := at + r.Int64N(200*mib)
			all = add(all, at, min(to, size), size, nearHole)
			at = to
		}
		ws := windows(all, size)
		covers(t, all, ws, size)
		if again := windows(all, size); !reflect.DeepEqual(ws, again) {
			t.Fatal("the same extents give other windows")
		}
		for _, w := range ws {
			var n int64
			for _, p := range w.pieces(r.Int64N(windowBytes)) {
				n += p.bytes()
			}
			if n != w.bytes() {
				t.Fatalf("pieces of %d bytes of a window of %d", n, w.bytes())
			}
		}
	}
}

func TestManySmallExtents(t *testing.T) {
	var all []extent
	const size = 16 * gib
	for at := int64(0); at < size; at += 2 * mib {
		all = add(all, at, at+4*kib, size, nearHole)
	}
	ws := windows(all, size)
	covers(t, all, ws, size)
	if len(ws) > 64 {
		t.Errorf("%d windows for 32 MiB", len(ws))
	}
}

func TestOutside(t *testing.T) {
	for _, tc := range []struct{ a, b, want []extent }{
		{nil, nil, nil},
		{[]extent{{0, 10}}, nil, []extent{{0, 10}}},
		{[]extent{{0, 10}}, []extent{{0, 10}}, nil},
		{[]extent{{0, 10}}, []extent{{2, 3}, {7, 1}}, []extent{{0, 2}, {5, 2}, {8, 2}}},
		{[]extent{{5, 10}}, []extent{{0, 6}, {14, 9}}, []extent{{6, 8}}},
	} {
		if got := outside(tc.a, tc.b); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%v without %v is %v, want %v", tc.a, tc.b, got, tc.want)
		}
	}
}
