package engine

import (
	"maps"
	"math"
	"strings"
	"testing"

	"horcrux/engine/virt"
)

func TestParseSizes(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       map[string][2]uint64
	}{
		{"two files", "100 8 512 /a\n4096 0 512 /b\n", map[string][2]uint64{"/a": {100, 4096}, "/b": {4096, 0}}},
		{"a name with spaces", "1 2 512 /a b  c\n", map[string][2]uint64{"/a b  c": {1, 1024}}},
		{"no last line break", "1 2 512 /a", map[string][2]uint64{"/a": {1, 1024}}},
		{"the last one counts", "1 2 512 /a\n3 4 512 /a\n", map[string][2]uint64{"/a": {3, 2048}}},
		{"a name that turns the writing", "1 2 512 /a\u202eb\n", map[string][2]uint64{"/ab": {1, 1024}}},
		{"below zero", "-1 2 512 /a\n1 -2 512 /b\n1 2 -512 /c\n", nil},
		{"not numbers", "stat: cannot statx /a\nx 2 512 /a\n1.5 2 512 /a\n", nil},
		{"too large", "9223372036854775808 2 512 /a\n1 1125899906842624 512 /b\n1 2 4096 /c\n", nil},
		{"cut", "1 2 512\n1 2\n\n", nil},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parseSizes(c.text); !maps.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}

func FuzzParseSizes(f *testing.F) {
	f.Add("100 8 512 /a\n")
	f.Add("9223372036854775807 1125899906842623 4095 /a b\n")
	f.Fuzz(func(t *testing.T, text string) {
		sizes := parseSizes(text)
		if len(sizes) > strings.Count(text, "\n")+1 {
			t.Errorf("%d sizes", len(sizes))
		}
		for name, s := range sizes {
			if virt.Clean(name) != name {
				t.Errorf("%q is not clean", name)
			}
			if s[0] > math.MaxInt64 || s[1] > math.MaxInt64 {
				t.Errorf("%q: %v", name, s)
			}
		}
	})
}
