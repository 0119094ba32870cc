package lab

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseBeats(t *testing.T) {
	beats, err := ParseBeats("1 2.50 aa\n2 2.70 aa\n3 0.9 bb\n4 1.1 b")
	if err != nil || len(beats) != 3 || beats[2] != (Beat{3, 0.9, "bb"}) {
		t.Errorf("%v %v", beats, err)
	}
	// Killed in the middle of a beat, whose second block was never written.
	beats, err = ParseBeats("1 2.50 aa\n2 2.7\x00\x00\x003 0.9 bb\n4 1.1 bb\n")
	if err != nil || len(beats) != 4 || beats[1] != (Beat{2, 2.5, "aa"}) || beats[2] != (Beat{3, 0.9, "bb"}) {
		t.Errorf("%v %v", beats, err)
	}
	for _, bad := range []string{"1 1 a\n2 2\x00\x00\x003 3 a\n", "1 1 a\n3 2\x00\x00\x004 3 b\n", "1 1 a\n\x00\x00\x003 3 b\n", "2 2\x00\x003 3 b\n", "1 1 a\n2 2\x00x\x003 3 b\n", "x 1 a\n", "1 a\n", "1 x a\n", "1 1 a\n\x00\x00\n2 2 a\n"} {
		if _, err := ParseBeats(bad); err == nil {
			t.Errorf("%q was read as beats", bad)
		}
	}
}

func TestCheckBeats(t *testing.T) {
	for _, c := range []struct {
		name, text string
		boots      int
		bad        bool
	}{
		{"empty", "", 0, false},
		{"one boot", "7 1 a\n8 2 a\n", 1, false},
		{"two boots", "1 9 a\n2 1 b\n", 2, false},
		{"one lost", "1 1 a\n3 2 a\n", 1, true},
		{"one twice", "1 1 a\n1 1 a\n", 1, true},
		{"back in time", "1 5 a\n2 4 a\n", 1, true},
		{"two guests on one disk", "1 5 a\n2 1 b\n3 6 a\n", 2, true},
	} {
		beats, err := ParseBeats(c.text)
		if err != nil {
			t.Fatal(err)
		}
		boots, err := CheckBeats(beats)
		if boots != c.boots || (err != nil) != c.bad {
			t.Errorf("%s: %d boots, %v", c.name, boots, err)
		}
	}
}

func TestVerdict(t *testing.T) {
	// Each word is a sample, each letter a copy that ran in it; a dot is none.
	for _, c := range []struct {
		script string
		bad    bool
	}{
		{"", false},
		{"a a . a a", false},
		{"a a . . b b", false},
		{"a a ab b b", false},
		{"a b c", false},
		{"a ab ab b", true},
		{"a b a", true},
		{"a . b . . a", true},
		{"a b bc c b", true},
	} {
		var samples []Sample
		for _, word := range strings.Fields(c.script) {
			s := Sample{At: time.Unix(int64(len(samples)), 0)}
			for _, r := range strings.Trim(word, ".") {
				s.Running = append(s.Running, Copy{Node: string(r), PID: int(r)})
			}
			samples = append(samples, s)
		}
		if err := verdict(samples); (err != nil) != c.bad {
			t.Errorf("%q: %v", c.script, err)
		}
	}
}

func TestLongestPause(t *testing.T) {
	var w Watch
	for i, runs := range []bool{false, true, false, false, true, true} {
		s := Sample{At: time.Unix(int64(i), 0)}
		if runs {
			s.Running = []Copy{{}}
		}
		w.Samples = append(w.Samples, s)
	}
	if got := w.LongestPause(); got != 3*time.Second {
		t.Errorf("the longest pause is %s", got)
	}
}

func TestParseVirsh(t *testing.T) {
	list := parseList(" 1    web     running\n -    attic   shut off\n\n 7  p  in shutdown\n")
	if len(list) != 3 || list[1] != (VMStatus{"attic", "shut off"}) || list[2].State != "in shutdown" {
		t.Errorf("%+v", list)
	}
	if s, r := parseState("running (migrated)\n"); s != "running" || r != "migrated" {
		t.Errorf("%q %q", s, r)
	}
	if s, r := parseState("shut off\n"); s != "shut off" || r != "" {
		t.Errorf("%q %q", s, r)
	}
	if got := infoField("Id:   3\nPersistent:     yes\n", "Persistent"); got != "yes" {
		t.Errorf("%q", got)
	}
}

func TestParseProcess(t *testing.T) {
	comm, state, ok := parseStat([]byte("12 (a) b (c) S 1 2"))
	if comm != "a) b (c" || state != 'S' || !ok {
		t.Errorf("%q %c %v", comm, state, ok)
	}
	if _, _, ok := parseStat([]byte("12 (x")); ok {
		t.Error("half a line was read")
	}
	q := process{Comm: "qemu-system-x86", Args: []string{"/usr/bin/qemu-system-x86_64", "-name", "guest=web,debug-threads=on", "-S", "-uuid", "u"}}
	if !OfVM("web").matches(q) || OfVM("we").matches(q) || Of(Libvirtd).matches(q) {
		t.Error("a QEMU is not known by its name")
	}
	if u, _ := q.option("-uuid"); u != "u" {
		t.Errorf("its UUID is %q", u)
	}
}

func TestParseTarget(t *testing.T) {
	if got, err := ParseTarget("vm:web"); err != nil || got != OfVM("web") {
		t.Errorf("%v %v", got, err)
	}
	if got, err := ParseTarget("sshd"); err != nil || got != Of(SSHD) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "vm:", "vm:a/b", "init", "LIBVIRTD"} {
		if _, err := ParseTarget(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestHashSparse(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, size int64, at int64, data string) string {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(data), at); err != nil {
			t.Fatal(err)
		}
		h, err := hashSparse(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	sparse := write("a", 4<<20, 1<<20, "x")
	full := write("b", 4<<20, 0, string(slices.Concat(make([]byte, 1<<20), []byte("x"), make([]byte, 3<<20-1))))
	if sparse != full {
		t.Error("holes and zeros differ")
	}
	for name, h := range map[string]string{"moved": write("c", 4<<20, 1<<20+1, "x"), "longer": write("d", 5<<20, 1<<20, "x"), "changed": write("e", 4<<20, 1<<20, "y")} {
		if h == sparse {
			t.Errorf("%s has the same fingerprint", name)
		}
	}
}
