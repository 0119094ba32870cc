package transport

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"
)

// What a shell complains of before every command is none of the command's words.
func TestNoiseOfAShell(t *testing.T) {
	s, target := newServer(t)
	s.noise = "bash: warning: setlocale: LC_ALL: cannot change locale (xx)\n\nwelcome\r\n"
	c := dial(t, target, nil)
	r, err := c.Exec(t.Context(), []string{"sh", "-c", "echo wrong >&2; exit 3"}, nil)
	if err != nil || r.Code != 3 || strings.TrimSpace(string(r.Stderr)) != "wrong" {
		t.Errorf("%+v, %v", r, err)
	}
	if err := r.Failed("sh"); !strings.HasSuffix(err.Error(), "ended with 3: wrong") {
		t.Error(err)
	}
	for said, want := range map[string]string{"": "", "late": "late"} {
		p, err := c.Start(t.Context(), []string{"sh", "-c", "echo $0 >&2; exec echo done", said})
		if err != nil {
			t.Fatal(err)
		}
		if out, err := io.ReadAll(p); err != nil && !errors.Is(err, io.EOF) || string(out) != "done\n" {
			t.Errorf("%q, %v", out, err)
		}
		// What it says may come after the end of its output.
		for end := time.Now().Add(10 * time.Second); p.Stderr() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%q, want %q", p.Stderr(), want)
			}
		}
		p.Close()
	}
}
