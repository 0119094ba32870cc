package survey

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// bothEnds are the hashes of a device that has this in its first and last piece, and
// zeros in between.
func bothEnds(head, tail string) []string {
	e := slices.Repeat([]string{zeros}, pieces)
	e[0], e[pieces-1] = head, tail
	return e
}

func TestReadDevices(t *testing.T) {
	sum := sha256.Sum256(make([]byte, 64<<10))
	if hex.EncodeToString(sum[:]) != zeros {
		t.Fatal("zeros is not the hash of a piece of zeros")
	}
	other := strings.Repeat("ab", 32)
	hashes := func(head, tail string) string { return strings.Join(bothEnds(head, tail), " ") }
	said := strings.Join([]string{
		"device 67108864 0 " + hashes(zeros, zeros),
		"device 67108864 2 " + hashes(zeros, zeros),
		"device 67108864 0 " + hashes(zeros, other),
		"none",
		"unread",
		"device -1 0 " + hashes(zeros, zeros),
		"device 67108864 0 " + zeros,
	}, "\n")
	paths := []string{"/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"}
	got := readDevices(paths, said)
	for p, want := range map[string]struct{ exists, read, blank bool }{
		"/a": {true, true, true},
		"/b": {true, true, false}, // something lies on it
		"/c": {true, true, false},
		"/d": {false, false, false},
		"/e": {true, false, false},
		"/f": {true, false, false},
		"/g": {true, false, false},
	} {
		d := got[p]
		if d.exists != want.exists || d.read != want.read || d.blank() != want.blank {
			t.Errorf("%s: %+v, blank %v", p, d, d.blank())
		}
	}
	if _, ok := got["/h"]; ok {
		t.Error("a device of which nothing was said counts as seen")
	}
}

func TestSameDevice(t *testing.T) {
	a, b, c := strings.Repeat("aa", 32), strings.Repeat("bb", 32), strings.Repeat("cc", 32)
	dev := func(size uint64, head, tail string) device {
		return device{exists: true, read: true, size: size, ends: bothEnds(head, tail)}
	}
	for _, x := range []struct {
		name                 string
		before, there, after device
		separate             bool
	}{
		{"other bytes", dev(1, a, b), dev(1, zeros, zeros), dev(1, a, b), true},
		{"other bytes at one end", dev(1, a, zeros), dev(1, c, zeros), dev(1, a, zeros), true},
		{"the same", dev(1, a, b), dev(1, a, b), dev(1, a, b), false},
		{"both empty", dev(1, zeros, zeros), dev(1, zeros, zeros), dev(1, zeros, zeros), false},
		{"written meanwhile", dev(1, a, b), dev(1, c, b), dev(1, c, b), false},
		{"written twice meanwhile", dev(1, a, b), dev(1, c, b), dev(1, b, b), false},
		{"written at one end, other bytes at the other", dev(1, a, b), dev(1, c, c), dev(1, b, b), true},
		{"written meanwhile, and empty there", dev(1, a, zeros), dev(1, zeros, zeros), dev(1, b, zeros), true},
		{"filled meanwhile, and empty there", dev(1, zeros, zeros), dev(1, zeros, zeros), dev(1, b, zeros), false},
		{"another size", dev(1, a, b), dev(2, zeros, zeros), dev(1, a, b), false},
		{"not there", dev(1, a, b), device{}, dev(1, a, b), true},
		{"not read there", dev(1, a, b), device{exists: true}, dev(1, a, b), false},
		{"not read here", device{exists: true}, dev(1, a, b), dev(1, a, b), false},
		{"not read afterwards", dev(1, a, b), dev(1, zeros, zeros), device{}, false},
	} {
		p := sameDevice(x.before, x.there, x.after, "node1", "node2")
		if p.Separate != x.separate || p.Proved || p.Detail == "" {
			t.Errorf("%s: %+v", x.name, p)
		}
	}
}

func FuzzReadDevices(f *testing.F) {
	f.Add("device 67108864 0 " + strings.Join(bothEnds(zeros, zeros), " ") + "\nnone\nunread")
	f.Fuzz(func(t *testing.T, text string) {
		for p, d := range readDevices([]string{"/a", "/b"}, text) {
			if d.blank() && !strings.Contains(text, zeros) {
				t.Errorf("%s is blank by %q", p, text)
			}
		}
	})
}
