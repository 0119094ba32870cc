package audit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("AUDIT_TEST_DIR"); dir != "" {
		for i := range 50 {
			if err := Open(dir).Append(Entry{Act: "tune", Job: fmt.Sprint(os.Getpid(), i), Outcome: "done"}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func entries(t *testing.T, l *Log) []Entry {
	t.Helper()
	var all []Entry
	if err := l.Entries(func(e Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestManyProcesses: whatever adds at once, the chain holds and nothing is lost.
func TestManyProcesses(t *testing.T) {
	dir := t.TempDir()
	var all []*exec.Cmd
	for range 6 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "AUDIT_TEST_DIR="+dir)
		c.Stderr = os.Stderr
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
	l := Open(dir)
	r, err := l.Verify()
	if err != nil || r.Entries != 300 || len(r.Cut) != 0 || len(r.Last) != 64 {
		t.Errorf("%+v %v", r, err)
	}
	seen := map[string]bool{}
	for _, e := range entries(t, l) {
		seen[e.Job] = true
	}
	if len(seen) != 300 {
		t.Errorf("%d acts", len(seen))
	}
	if st, err := os.Stat(l.Path()); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
}

// TestForgeries: no line can be changed, taken out, put in or moved.
func TestForgeries(t *testing.T) {
	for name, forge := range map[string]func([]string) []string{
		"changed":   func(l []string) []string { l[1] = strings.Replace(l[1], "web", "bew", 1); return l },
		"taken out": func(l []string) []string { return append(l[:1], l[2:]...) },
		"doubled":   func(l []string) []string { return append(l[:2], l[1:]...) },
		"moved":     func(l []string) []string { l[1], l[2] = l[2], l[1]; return l },
		"beheaded":  func(l []string) []string { return l[1:] },
		"garbled":   func(l []string) []string { l[1] = "garbage"; return l },
	} {
		l := Open(t.TempDir())
		for i := range 4 {
			if err := l.Append(Entry{Act: "migrate", VM: fmt.Sprint("web", i), Outcome: "begun"}); err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(l.Path())
		if err != nil {
			t.Fatal(err)
		}
		lines := forge(strings.Split(strings.TrimSpace(string(text)), "\n"))
		if err := os.WriteFile(l.Path(), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var b *Broken
		if _, err := l.Verify(); !errors.As(err, &b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestCrashInTheMiddle: half a line is kept, and the chain goes on over it.
func TestCrashInTheMiddle(t *testing.T) {
	l := Open(t.TempDir())
	one := func() {
		t.Helper()
		if err := l.Append(Entry{Act: "abort", Outcome: "done"}); err != nil {
			t.Fatal(err)
		}
	}
	one()
	f, err := os.OpenFile(l.Path(), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"seq":2,"time":"20`)
	f.Close()
	one()
	one()
	r, err := l.Verify()
	if err != nil || r.Entries != 3 || len(r.Cut) != 1 || r.Cut[0] != 2 {
		t.Errorf("%+v %v", r, err)
	}
}

func TestLinksAndHostileText(t *testing.T) {
	dir := t.TempDir()
	elsewhere := filepath.Join(dir, "x")
	if err := os.Symlink(elsewhere, filepath.Join(dir, FileName)); err != nil {
		t.Fatal(err)
	}
	if err := Open(dir).Append(Entry{Act: "tune"}); err == nil || !strings.Contains(err.Error(), "link") {
		t.Error(err)
	}
	if _, err := os.Stat(elsewhere); err == nil {
		t.Error("written through a link")
	}
	l := Open(t.TempDir())
	if err := l.Append(Entry{Act: "migrate", VM: "a\nb\x1b[2J\xff", Detail: strings.Repeat("x", 1<<20)}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(l.Path())
	if err != nil || bytes.Count(text, []byte("\n")) != 1 || len(text) > maxLine {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	if got := entries(t, l)[0].VM; got != "a b [2J?" {
		t.Errorf("%q", got)
	}
}

func TestWho(t *testing.T) {
	env := map[string]string{"SUDO_USER": "ada", "SSH_CONNECTION": "192.0.2.7 50000 192.0.2.1 22"}
	a := Who(func(k string) string { return env[k] })
	if a.SudoUser != "ada" || a.User == "" || a.String() != "ada (sudo "+a.User+") from 192.0.2.7" {
		t.Errorf("%+v %s", a, a)
	}
}
