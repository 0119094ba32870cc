//go:build lab

package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// terminal is a call of the program on a terminal of its own.
type terminal struct {
	t   *testing.T
	cmd *exec.Cmd
	pty *os.File

	mu  sync.Mutex
	out bytes.Buffer
	end chan struct{}
}

func onTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	term := &terminal{t: t, cmd: command(t, args...), end: make(chan struct{})}
	term.cmd.Env = append(term.cmd.Env, "TERM=xterm-256color", "LANG=C.UTF-8", "SSH_AUTH_SOCK=")
	var err error
	if term.pty, err = pty.StartWithSize(term.cmd, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(term.end)
		buf := make([]byte, 4096)
		for {
			n, err := term.pty.Read(buf)
			term.mu.Lock()
			term.out.Write(buf[:n])
			term.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		term.cmd.Process.Kill() //nolint:errcheck // it may have ended
		term.pty.Close()
	})
	return term
}

func (m *terminal) said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return ansi.Strip(m.out.String())
}

// sees waits until the terminal has shown a text n times, then types.
func (m *terminal) sees(text string, n int, then string) {
	m.t.Helper()
	until(m.t, text, time.Minute, func() bool { return strings.Count(m.said(), text) >= n })
	if _, err := m.pty.WriteString(then); err != nil {
		m.t.Fatal(err)
	}
}

// ends waits for the end and gives the exit code.
func (m *terminal) ends() int {
	m.t.Helper()
	select {
	case <-m.end:
	case <-time.After(time.Minute):
		m.t.Fatalf("it does not end:\n%s", m.said())
	}
	_ = m.cmd.Wait()
	return m.cmd.ProcessState.ExitCode()
}

// TestUnknownHostsOnATerminal: on a terminal each unknown host is shown once;
// nothing but a whole yes writes it down, and the console does the same.
func TestUnknownHostsOnATerminal(t *testing.T) {
	dir := t.TempDir()
	known := filepath.Join(dir, "known_hosts")
	text, err := os.ReadFile(the.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(config, bytes.ReplaceAll(text, []byte(the.KnownHostsPath()), []byte(known)), 0o600); err != nil {
		t.Fatal(err)
	}
	nodes := len(the.Nodes)
	lines := func() int {
		b, err := os.ReadFile(known)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(b), "\n")
	}

	m := onTerminal(t, "--config", config, "nodes")
	for i := range nodes {
		m.sees("Type yes", i+1, "y\n")
	}
	m.ends()
	if lines() != 0 || strings.Count(m.said(), "SHA256:") < nodes {
		t.Errorf("%d keys are known after no yes:\n%s", lines(), m.said())
	}

	m = onTerminal(t, "--config", config, "nodes")
	m.sees("Type yes", 1, "yes\n")
	for i := 1; i < nodes; i++ {
		m.sees("Type yes", i+1, "no\n")
	}
	m.ends()
	if lines() != 1 {
		t.Errorf("%d keys are known after one yes:\n%s", lines(), m.said())
	}

	// Without a terminal nobody is asked.
	o := horcrux(t, "--config", config, "nodes")
	if strings.Contains(o.out+o.errOut, "Type yes") || lines() != 1 {
		t.Errorf("asked without a terminal: %s%s", o.out, o.errOut)
	}

	m = onTerminal(t, "--config", config)
	m.sees("Unknown host", 1, "yes\r")
	until(t, "the key to be written by the console", 20*time.Second, func() bool { return lines() == 2 })
	for n := 3; n <= nodes; n++ {
		until(t, "the next question", 20*time.Second, func() bool {
			if _, err := m.pty.WriteString("yes\r"); err != nil {
				t.Fatal(err)
			}
			return lines() >= n
		})
	}
	if _, err := m.pty.WriteString("q"); err != nil {
		t.Fatal(err)
	}
	if code := m.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if st, err := os.Stat(known); err != nil || st.Mode().Perm() != 0o600 {
		t.Error(st.Mode(), err)
	}
	must(t, 0, "--config", config, "doctor")
}
