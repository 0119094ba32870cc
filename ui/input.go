package ui

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// escapeTime is how long an ESC at the end of the input waits for what it may be
// the beginning of. Bubble Tea's reader waits 50 ms and has no option for it. A
// terminal writes a key in one go; tmux waits as long, by default since 3.5.
const escapeTime = 10 * time.Millisecond

// escapeKey is the escape key as no other key begins, in the kitty protocol: the
// reader need not wait for more.
const escapeKey = "\x1b[27u"

// keyboard is the terminal as the program of the picture reads it: the escape key
// is told from the beginning of another, and all else goes through as it is.
type keyboard struct {
	*os.File
	more func(*os.File, time.Duration) bool // whether there is more to read within that time
	at   inputState
}

func newKeyboard(f *os.File) *keyboard { return &keyboard{File: f, more: readable} }

// Read implements io.Reader.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.File.Read(p)
	k.at.see(p[:max(0, n)])
	for err == nil && k.at.escs > 0 && n < len(p) && k.more(k.File, escapeTime) {
		more, err := k.File.Read(p[n:])
		if err != nil || more <= 0 {
			break // the next read says so again
		}
		k.at.see(p[n : n+more])
		n += more
	}
	// One that has no room is left to the library, which waits.
	if escs := k.at.escs; escs > 0 && n-escs+escs*len(escapeKey) <= len(p) {
		n -= escs
		for range escs {
			n += copy(p[n:], escapeKey)
		}
		k.at.escs, k.at.in = 0, inPlain
	}
	return n, err
}

// readable waits until a file has something to read.
func readable(f *os.File, within time.Duration) bool {
	fds := []unix.PollFd{{Fd: int32(f.Fd()), Events: unix.POLLIN}}
	for end := time.Now().Add(within); ; {
		n, err := unix.Poll(fds, int(max(0, time.Until(end)).Round(time.Millisecond).Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return n > 0 && fds[0].Revents&unix.POLLIN != 0
		}
	}
}

// inputState is where in what a terminal sends the last byte was.
type inputState struct {
	in     inputPart
	escs   int // in a row at the end, if they may be keys
	paste  bool
	params []byte // of a CSI
}

type inputPart int

const (
	inPlain     inputPart = iota
	inEscape              // after ESC
	inCSI                 // in ESC [ …
	inString              // in OSC, DCS, SOS, PM or APC: an answer of the terminal
	inStringEnd           // after ESC in one of those
)

func (s *inputState) see(b []byte) {
	for _, c := range b {
		s.next(c)
	}
}

func (s *inputState) next(c byte) {
	const esc = 0x1b
	was := s.in
	if c != esc {
		s.escs = 0
	}
	switch {
	case c == esc && was == inString:
		s.in = inStringEnd
	case c == esc:
		s.in = inEscape
		if !s.paste { // the end of a paste may be torn apart
			s.escs++
		}
	case was == inStringEnd && c == '\\':
		s.in = inPlain
	case (was == inEscape || was == inStringEnd) && c == '[':
		s.in, s.params = inCSI, s.params[:0]
	case was == inEscape || was == inStringEnd:
		s.in = inPlain
		if c == ']' || c == 'P' || c == 'X' || c == '^' || c == '_' {
			s.in = inString
		}
	case was == inCSI && c >= ' ' && c < '@' && len(s.params) < 64:
		s.params = append(s.params, c)
	case was == inCSI:
		s.in = inPlain
		if c == '~' && (string(s.params) == "200" || string(s.params) == "201") {
			s.paste = string(s.params) == "200"
		}
	case was == inString && (c == 0x07 || c == 0x18 || c == 0x1a):
		s.in = inPlain
	}
}
