package store

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadPieces(t *testing.T) {
	const raw = `[{"start":0,"length":4096,"depth":0,"present":true,"zero":false,"data":true,"offset":0},
{"start":4096,"length":4096,"depth":0,"present":true,"zero":true,"data":false,"offset":4096},
{"start":8192,"length":512,"depth":0,"present":true,"zero":false,"data":true,"offset":8192}]`
	tests := map[string]struct {
		in   string
		want []piece
		err  error
	}{
		"raw": {raw, []piece{{0, 4096, "/i/top", 0}, {4096, 4096, "", 0}, {8192, 512, "/i/top", 8192}}, nil},
		"layers and a jump": {
			`[{"start":0,"length":10,"data":true,"offset":100,"depth":0},{"start":10,"length":10,"data":true,"offset":110,"depth":0},
{"start":20,"length":10,"data":true,"offset":120,"depth":1},{"start":30,"length":5,"data":false,"zero":true},{"start":35,"length":5,"data":true,"zero":true,"offset":7,"depth":1}]`,
			[]piece{{0, 20, "/i/top", 100}, {20, 10, "/i/base", 120}, {30, 10, "", 0}},
			nil,
		},
		"empty":           {`[]`, nil, nil},
		"compressed":      {`[{"start":0,"length":10,"data":true,"compressed":true}]`, nil, errPacked},
		"a gap":           {`[{"start":1,"length":10,"data":false}]`, nil, errMap},
		"backwards":       {`[{"start":0,"length":10,"data":false},{"start":5,"length":10,"data":false}]`, nil, errMap},
		"nothing long":    {`[{"start":0,"length":0,"data":false}]`, nil, errMap},
		"too long":        {`[{"start":0,"length":9223372036854775807,"data":false}]`, nil, errMap},
		"no such layer":   {`[{"start":0,"length":1,"data":true,"offset":0,"depth":2}]`, nil, errMap},
		"below the top":   {`[{"start":0,"length":1,"data":true,"offset":0,"depth":-1}]`, nil, errMap},
		"before the file": {`[{"start":0,"length":1,"data":true,"offset":-1}]`, nil, errMap},
		"cut off":         {`[{"start":0,"length":1,"data":false}`, nil, errMap},
		"words":           {`qemu-img: no`, nil, errMap},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := readPieces(strings.NewReader(tt.in), []string{"/i/top", "/i/base"})
			if !errors.Is(err, tt.err) {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(piece{})); d != "" {
				t.Error(d)
			}
		})
	}
}

// Every byte that is data on either node is in exactly one part, at the same
// place of the disk on both.
func TestCut(t *testing.T) {
	src := []piece{{0, 100, "/s", 0}, {100, 100, "", 0}, {200, 100, "/s", 500}, {300, 100, "", 0}}
	dst := []piece{{0, 50, "/d", 1000}, {50, 100, "", 0}, {150, 200, "/d", 2000}, {350, 50, "", 0}}
	got := cut("vda", src, dst)
	want := []compared{{
		disk: "vda", from: 0, to: 350, bytes: 300,
		source: []piece{{0, 100, "/s", 0}, {150, 50, "", 0}, {200, 100, "/s", 500}, {300, 50, "", 0}},
		target: []piece{{0, 50, "/d", 1000}, {50, 50, "", 0}, {150, 200, "/d", 2000}},
	}}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(compared{}, piece{})); d != "" {
		t.Error(d)
	}
	if got := cut("vda", []piece{{0, 1 << 40, "", 0}}, []piece{{0, 1 << 40, "", 0}}); len(got) != 0 {
		t.Errorf("nothing but zeros: %v", got)
	}
	big := cut("vda", []piece{{0, 1 << 30, "/s", 0}}, []piece{{0, 1 << 30, "", 0}})
	if len(big) != 16 || big[15].to != 1<<30 {
		t.Errorf("%d parts", len(big))
	}
	var torn []piece
	for i := range int64(1000) {
		torn = append(torn, piece{i * 10, 10, "/s", i * 20})
	}
	if got := cut("vda", torn, []piece{{0, 10000, "/d", 0}}); len(got) != 4 || len(got[0].source) != windowExtents {
		t.Errorf("%d parts", len(got))
	}
}

func FuzzReadPieces(f *testing.F) {
	f.Add(`[{"start":0,"length":4096,"data":true,"offset":0},{"start":4096,"length":1,"data":false}]`)
	f.Fuzz(func(t *testing.T, s string) {
		all, err := readPieces(strings.NewReader(s), []string{"/i/top", "/i/base"})
		if err != nil {
			return
		}
		var at int64
		for _, p := range all {
			if p.off != at || p.len <= 0 || p.at < 0 || !strings.HasPrefix(p.name(), "/") {
				t.Fatalf("%+v", p)
			}
			at = p.end()
		}
		for _, c := range cut("vda", all, all) {
			if c.bytes <= 0 || c.to <= c.from {
				t.Fatalf("%+v", c)
			}
		}
	})
}
