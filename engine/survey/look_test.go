package survey

import (
	"maps"
	"slices"
	"testing"
)

func TestReadLook(t *testing.T) {
	paths := []string{"/a", "/b"}
	tests := []struct {
		name, text string
		there      map[string]bool
		bridges    []string
	}{
		{"all", "yes\nno\n/sys/class/net/br0/bridge\nbridges\n", map[string]bool{"/a": true, "/b": false}, []string{"br0"}},
		{"no bridges", "yes\nyes\nbridges\n", map[string]bool{"/a": true, "/b": true}, []string{}},
		{"find failed", "yes\nyes\n", map[string]bool{"/a": true, "/b": true}, nil},
		{"find failed half way", "yes\nyes\n/sys/class/net/br1/bridge\n", map[string]bool{"/a": true, "/b": true}, []string{"br1"}},
		{"may not look", "unseen\nno\nbridges\n", map[string]bool{"/b": false}, []string{}},
		{"cut", "yes\n", map[string]bool{"/a": true}, nil},
		{"something else", "sh: 1: test: not found\nno\n", map[string]bool{}, nil},
		{"nothing", "", map[string]bool{}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			there, bridges := readLook(paths, tt.text)
			if !maps.Equal(there, tt.there) || !slices.Equal(bridges, tt.bridges) || (bridges == nil) != (tt.bridges == nil) {
				t.Errorf("%v %v", there, bridges)
			}
		})
	}
}

func FuzzReadLook(f *testing.F) {
	f.Add("yes\nno\n/sys/class/net/br0/bridge\nbridges\n")
	f.Fuzz(func(t *testing.T, text string) {
		there, _ := readLook([]string{"/a", "/b"}, text)
		if len(there) > 2 {
			t.Error(there)
		}
	})
}
