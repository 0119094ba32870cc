package ui

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
	"github.com/muesli/cancelreader"

	"horcrux/ui/screen"
	"horcrux/ui/text"
	"horcrux/ui/widget"
)

// leaveKey is ctrl-], as in virsh and telnet.
const leaveKey = 0x1d

// consoleOpened answers the wish for a serial console.
type consoleOpened struct {
	m   screen.Console
	con io.ReadWriteCloser
	err error
}

// consoleLeft says that the person is back from it.
type consoleLeft struct {
	m   screen.Console
	err error
}

func (a *app) console(m screen.Console) tea.Cmd {
	return tea.Batch(a.say(screen.Note, "connecting to the console of "+m.VM.Name), func() tea.Msg {
		ctx, cancel := context.WithTimeout(a.ctx, doTimeout)
		defer cancel()
		con, err := a.svc.Console(ctx, m.VM.UUID, m.VM.Node, m.Force)
		return consoleOpened{m, con, err}
	})
}

func (a *app) consoleOpened(m consoleOpened) tea.Cmd {
	switch {
	case m.err != nil && !m.m.Force && strings.Contains(m.err.Error(), "console session exists"):
		force := m.m
		force.Force = true
		return a.one(screen.Ask{Then: force, Question: widget.Confirm{
			Title: "take the console of " + text.Clean(m.m.VM.Name) + "?", Yes: "take it", No: "leave it",
			Lines: []string{"Somebody has it already; whoever that is loses it."},
		}})
	case m.err != nil:
		return a.say(screen.Problem, m.err.Error())
	}
	a.toasts = nil
	return tea.Exec(&session{name: text.Clean(m.m.VM.Name), con: m.con}, func(err error) tea.Msg { return consoleLeft{m.m, err} })
}

func (a *app) consoleLeft(m consoleLeft) tea.Cmd {
	if m.err != nil {
		return tea.Batch(a.say(screen.Caution, "the console of "+m.m.VM.Name+" ended: "+m.err.Error()), a.renew())
	}
	return tea.Batch(a.say(screen.Note, "back from the console of "+m.m.VM.Name), a.renew())
}

// session is a person at a serial console; the picture is put away meanwhile.
type session struct {
	name string
	con  io.ReadWriteCloser
	in   io.Reader
	out  io.Writer
}

// SetStdin implements tea.ExecCommand. A guest gets the bytes as they were typed.
func (s *session) SetStdin(r io.Reader) {
	if k, ok := r.(*keyboard); ok {
		r = k.File
	}
	s.in = r
}

// SetStdout implements tea.ExecCommand.
func (s *session) SetStdout(w io.Writer) { s.out = w }

// SetStderr implements tea.ExecCommand.
func (s *session) SetStderr(io.Writer) {}

// calm brings a terminal back that a guest has set to something else: the
// ordinary screen and letters, the cursor, no mouse, no paste marks.
const calm = "\x1b[!p\x1b[?1049l\x1b[?1000;1002;1003;1006;2004l\x1b[?25h\x1b[m\x0f"

// Run connects the terminal to the console until ctrl-] or its end.
func (s *session) Run() error {
	defer s.con.Close()
	if f, ok := s.in.(term.File); ok && term.IsTerminal(f.Fd()) {
		old, err := term.MakeRaw(f.Fd())
		if err != nil {
			return fmt.Errorf("cannot set the terminal for the console: %w", err)
		}
		defer func() { _ = term.Restore(f.Fd(), old) }()
	}
	fmt.Fprintf(s.out, "\x1b[2J\x1b[Hconsole of %s; ctrl-] leaves it, enter may wake it\r\n", s.name)
	defer fmt.Fprint(s.out, calm)
	in, err := cancelreader.NewReader(s.in)
	if err != nil {
		return fmt.Errorf("cannot read the terminal for the console: %w", err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(&tamed{out: s.out}, s.con)
		ended <- err
		in.Cancel()
	}()
	buf := make([]byte, 4096)
	for {
		n, err := in.Read(buf)
		if at := bytes.IndexByte(buf[:n], leaveKey); at >= 0 {
			_, _ = s.con.Write(buf[:at])
			s.con.Close()
			<-ended
			return nil
		}
		if n > 0 {
			if _, err := s.con.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, cancelreader.ErrCanceled) {
			if err := <-ended; err != nil {
				return err
			}
			return errors.New("the VM or its host closed it")
		}
		if err != nil {
			return err
		}
	}
}

// tamed lets through what a guest draws with, and takes out the strings by which
// it could reach past the screen: the clipboard and title (OSC), device control
// and others of that kind, and questions whose answers would be typed.
type tamed struct {
	out   io.Writer
	state tameState
	csi   []byte
}

type tameState int

const (
	tamePlain  tameState = iota
	tameEsc              // after ESC
	tameCSI              // in ESC [ …
	tameString           // in OSC, DCS, SOS, PM or APC
	tameEnd              // after ESC in one of those
)

// Write implements io.Writer.
func (t *tamed) Write(b []byte) (int, error) {
	out := make([]byte, 0, len(b)+8)
	for _, c := range b {
		out = t.next(out, c)
	}
	if len(out) > 0 {
		if _, err := t.out.Write(out); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (t *tamed) next(out []byte, c byte) []byte {
	switch t.state {
	case tameEsc:
		switch c {
		case '[':
			t.state, t.csi = tameCSI, append(t.csi[:0], 0x1b, '[')
			return out
		case ']', 'P', 'X', '^', '_', 'k':
			t.state = tameString
			return out
		case 0x1b:
			return out
		}
		t.state = tamePlain
		if c == 'Z' || c == 'c' { // what are you, and a full reset
			return out
		}
		return append(out, 0x1b, c)
	case tameCSI:
		t.csi = append(t.csi, c)
		switch {
		case c >= '@' && c <= '~':
			t.state = tamePlain
			if c == 'c' || c == 'n' || c == 't' || c == 'x' || c == 'q' && bytes.ContainsRune(t.csi, '>') {
				return out
			}
			return append(out, t.csi...)
		case c == 0x1b:
			t.state = tameEsc
		case len(t.csi) > 64 || c < ' ':
			t.state = tamePlain
		}
		return out
	case tameString:
		switch c {
		case 0x07, 0x18, 0x1a:
			t.state = tamePlain
		case 0x1b:
			t.state = tameEnd
		}
		return out
	case tameEnd:
		if c != '\\' {
			t.state = tameEsc
			return t.next(out, c)
		}
		t.state = tamePlain
		return out
	}
	switch c {
	case 0x1b:
		t.state = tameEsc
		return out
	case 0x05: // enquiry: the terminal would answer by typing
		return out
	}
	return append(out, c)
}
