package virt

import (
	"slices"
	"testing"
)

func TestAltered(t *testing.T) {
	for text, want := range map[string][]string{
		`<domain><name>web</name><devices><disk><source file='/a b/$(x)"é.qcow2'/></disk></devices></domain>`:         nil,
		`<domain><name>web</name><devices><disk><source file='/new&#10;line'/></disk></devices></domain>`:             {"/new line"},
		"<domain><name>\u202egod</name><os><nvram>/a&#x9b;b</nvram></os></domain>":                                    {"god", "/ab"},
		`<domain><name>web</name><metadata><x file='a&#10;b'/></metadata><description>a&#10;b</description></domain>`: nil,
		`<domain><name>web`: nil,
	} {
		if got := Altered(text); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func FuzzAltered(f *testing.F) {
	f.Add(`<domain><name>a&#10;b</name></domain>`)
	f.Add(`<domain></a></a></domain>`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range Altered(text) {
			if s != Clean(s) {
				t.Errorf("%q", s)
			}
		}
	})
}
