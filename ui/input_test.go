package ui

import (
	"bytes"
	"context"
	"io"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	uv "github.com/charmbracelet/ultraviolet"
	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"
)

// typist is a keyboard whose terminal sends piece after piece: the next one comes
// in time if the keyboard waits for it and the piece is no pause.
func typist(t *testing.T, pieces ...string) *keyboard {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); out.Close() })
	send := func() {
		if len(pieces) == 0 {
			out.Close()
			return
		}
		if _, err := out.WriteString(pieces[0]); err != nil {
			t.Error(err)
		}
		pieces = pieces[1:]
	}
	send()
	k := newKeyboard(in)
	k.more = func(*os.File, time.Duration) bool {
		switch {
		case len(pieces) == 0:
			send()
			return false
		case pieces[0] == pause:
			pieces = pieces[1:]
			send()
			return false
		}
		send()
		return true
	}
	return k
}

const pause = "pause"

func TestEscapeIsToldFromTheBeginningOfAKey(t *testing.T) {
	const e = escapeKey
	for _, c := range []struct {
		what   string
		pieces []string
		want   string
	}{
		{"esc", []string{"\x1b"}, e},
		{"esc after others", []string{"jk\x1b"}, "jk" + e},
		{"esc twice", []string{"\x1b", pause, "\x1b"}, e + e},
		{"esc twice at once", []string{"\x1b\x1b"}, e + e},
		{"esc, then a key", []string{"\x1b", pause, "j\x1b"}, e + "j" + e},
		{"alt and a key", []string{"\x1bj\x1b"}, "\x1bj" + e},
		{"alt and a key, torn apart", []string{"\x1b", "j\x1b"}, "\x1bj" + e},
		{"an arrow", []string{"\x1b[A\x1bOB\x1b"}, "\x1b[A\x1bOB" + e},
		{"an arrow, torn apart", []string{"\x1b", "[A\x1b"}, "\x1b[A" + e},
		{"an arrow with alt, torn apart", []string{"\x1b\x1b", "[A\x1b"}, "\x1b\x1b[A" + e},
		{"the mouse, torn apart", []string{"\x1b[<65;10;5M\x1b", "[<65;10;5M\x1b"}, "\x1b[<65;10;5M\x1b[<65;10;5M" + e},
		{"a paste with an esc", []string{"\x1b[200~a\x1bb\x1b[201~\x1b"}, "\x1b[200~a\x1bb\x1b[201~" + e},
		{"an answer of the terminal", []string{"\x1b]11;rgb:0000/0000/0000\x1b\\\x1b"}, "\x1b]11;rgb:0000/0000/0000\x1b\\" + e},
		{"an answer that ends with a bell", []string{"\x1b]11;rgb:0000/0000/0000\a\x1b"}, "\x1b]11;rgb:0000/0000/0000\a" + e},
		{"no answer at all", []string{"\x1b]j\x1bj\x1b"}, "\x1b]j\x1bj" + e},
		{"letters", []string{"ä\x1b"}, "ä" + e},
	} {
		got, err := io.ReadAll(typist(t, c.pieces...))
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, want %q (%v)", c.what, got, c.want, err)
		}
	}
}

// What may not be a key is left to the library, which puts it together.
func TestEscapeInsideOfSomethingElse(t *testing.T) {
	for _, pieces := range [][2]string{
		{"\x1b[200~a\x1b", "[201~"},
		{"\x1b[200~a\x1b", "\x1b[201~"},
		{"\x1b]11;rgb:0000/0000/0000\x1b", "\\"},
	} {
		k := typist(t, pieces[0])
		k.more = func(*os.File, time.Duration) bool { t.Errorf("%q: waited", pieces[0]); return false }
		buf := make([]byte, 100)
		n, err := k.Read(buf)
		if err != nil || string(buf[:n]) != pieces[0] {
			t.Errorf("%q, %v", buf[:n], err)
		}
	}
	// Nor is there room for it here.
	k := typist(t, "jjj\x1b", pause)
	buf := make([]byte, 6)
	if n, err := k.Read(buf); err != nil || string(buf[:n]) != "jjj\x1b" {
		t.Errorf("%q, %v", buf[:n], err)
	}
}

// TestTheLibraryTakesTheKeys: what Bubble Tea's reader makes of it, without its
// own wait.
func TestTheLibraryTakesTheKeys(t *testing.T) {
	k := typist(t, "\x1b", pause, "\x1b\x1b", pause, "\x1b[A\x1bj\x1b[200~x\x1by\x1b[201~\x1b")
	for _, is := range []bool{isFile[cancelreader.File](k), isFile[term.File](k)} {
		if !is {
			t.Error("the library would not know it for a terminal")
		}
	}
	all, err := io.ReadAll(k)
	if err != nil {
		t.Fatal(err)
	}
	r := uv.NewTerminalReader(bytes.NewReader(all), "xterm-256color")
	r.EscTimeout = time.Hour
	events := make(chan uv.Event, 100)
	if err := r.StreamEvents(context.Background(), events); err != nil {
		t.Fatal(err)
	}
	close(events)
	var got []string
	for e := range events {
		switch m := e.(type) {
		case uv.KeyPressEvent:
			got = append(got, m.String())
		case uv.PasteEvent:
			got = append(got, "paste "+strings.ReplaceAll(m.Content, "\x1b", "^["))
		}
	}
	if want := []string{"esc", "esc", "esc", "up", "alt+j", "paste x^[y", "esc"}; !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func isFile[T any](k any) bool {
	_, ok := k.(T)
	return ok
}

func TestReadable(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if readable(in, time.Millisecond) {
		t.Error("nothing was written")
	}
	if _, err := out.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	if !readable(in, time.Minute) {
		t.Error("x was written")
	}
	_, _ = in.Read(make([]byte, 1))
	out.Close()
	if readable(in, time.Minute) {
		t.Error("nothing more will come")
	}
}

// TestAGuestGetsTheBytesOfTheTerminal: esc at a serial console is one byte.
func TestAGuestGetsTheBytesOfTheTerminal(t *testing.T) {
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	defer out.Close()
	if _, err := out.WriteString("a\x1b" + string(rune(leaveKey))); err != nil {
		t.Fatal(err)
	}
	guest := &guestEnd{gone: make(chan struct{})}
	s := &session{con: guest, out: io.Discard}
	s.SetStdin(newKeyboard(in))
	if err := s.Run(); err != nil {
		t.Error(err)
	}
	if got := guest.got.String(); got != "a\x1b" {
		t.Errorf("the guest got %q", got)
	}
}

// guestEnd is a console that says nothing until it is left.
type guestEnd struct {
	got  bytes.Buffer
	gone chan struct{}
	once sync.Once
}

func (g *guestEnd) Write(b []byte) (int, error) { return g.got.Write(b) }

func (g *guestEnd) Close() error {
	g.once.Do(func() { close(g.gone) })
	return nil
}

func (g *guestEnd) Read([]byte) (int, error) {
	<-g.gone
	return 0, io.EOF
}
