package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var aSum = strings.Repeat("ab", 32)

func fill(t testing.TB, l *log) {
	t.Helper()
	for _, r := range []record{
		{Kind: recFile, Job: "j", Target: "/t", Source: "/s", Was: &Stat{Kind: KindFile, Size: 9, Inode: 4}, Inode: 7},
		{Kind: recWindow, Target: "/t", Window: "w1", Sum: aSum, Bytes: 5},
		{Kind: recWindow, Target: "/t", Window: "w2", Sum: aSum, Bytes: 4},
		{Kind: recVerified, Target: "/t", Sum: aSum, Bytes: 9},
		{Kind: recPublished, Target: "/t"},
	} {
		if err := l.write(r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestLogIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	l, err := openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l)
	if _, err := openLog(dir); err == nil {
		t.Error("two processes have the log")
	}
	l.close()
	text, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for cut := range text {
		h, good, err := readLog(bytes.NewReader(text[:cut]))
		if err != nil || good > int64(cut) {
			t.Fatalf("cut at %d: %v, %d", cut, err, good)
		}
		whole := bytes.Count(text[:cut], []byte("\n"))
		e := h["/t"]
		if (e != nil) != (whole > 0) || e != nil && (len(e.windows) != min(max(whole-1, 0), 2) || e.verified != (whole > 3)) {
			t.Fatalf("cut at %d, after %d lines: %+v", cut, whole, e)
		}
	}
	// A record that was damaged voids itself and what follows.
	for i := range lines[2] {
		bad := bytes.Clone(text)
		bad[len(lines[0])+len(lines[1])+i] ^= 1
		h, _, err := readLog(bytes.NewReader(bad))
		if err != nil || len(h["/t"].windows) != 1 || h["/t"].verified {
			t.Fatalf("byte %d damaged: %+v, %v", i, h["/t"], err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, logName), text[:len(text)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	l, err = openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := l.entry("/t"); !ok || !e.verified || e.published {
		t.Errorf("%+v", e)
	}
	if err := l.write(record{Kind: recPublished, Target: "/t"}); err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(filepath.Join(dir, logName)); !bytes.Equal(again, text) {
		t.Errorf("the mended log:\n%s", again)
	}
	if err := l.write(record{Kind: recFile, Target: "/t", Source: "/s2", Was: &Stat{}}); err != nil {
		t.Fatal(err)
	}
	if _, ok := l.window("/t", "w1"); ok {
		t.Error("a file that begins anew keeps its windows")
	}
	l.close()
}

func TestLogOfAnotherVersion(t *testing.T) {
	line, err := record{V: logVersion + 1, Kind: recPublished, Target: "/t"}.line()
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := readLog(bytes.NewReader(line)); err == nil || !strings.Contains(err.Error(), "version") {
		t.Error(err)
	}
}

func FuzzReadLog(f *testing.F) {
	dir := f.TempDir()
	l, err := openLog(dir)
	if err != nil {
		f.Fatal(err)
	}
	fill(f, l)
	l.close()
	text, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(bytes.Repeat([]byte("x"), 70<<10))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, good, err := readLog(bytes.NewReader(text))
		if err != nil {
			return
		}
		if good > int64(len(text)) {
			t.Fatal("more is good than there is")
		}
		again, all, err := readLog(bytes.NewReader(text[:good]))
		if err != nil || all != good || len(again) != len(h) {
			t.Fatalf("the good part reads otherwise: %d of %d, %v", all, good, err)
		}
	})
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
