package relay

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/tether"
)

// far is a target that is asked for its address only.
type far struct{ Target }

func (far) Name() model.NodeName   { return "node2" }
func (far) MigrateAddress() string { return "fd00::2" }
func (far) MigratePort() int       { return 2222 }

// waiting starts what a tunnel runs on the source, with a program in ssh's place
// that is already at the target.
func waiting(t *testing.T, script string) (socket string, end func() error) {
	t.Helper()
	if _, err := exec.LookPath("systemd-socket-activate"); err != nil {
		t.Fatal("no systemd-socket-activate")
	}
	dir := t.TempDir()
	fake := "#!/bin/sh\nfor SSH_ORIGINAL_COMMAND; do :; done\nexport SSH_ORIGINAL_COMMAND\nexec sh " + script + "\n"
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte(fake), 0o700); err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "m")
	argv := tether.Command(NewTunnel("k3f9x2", nil, far{}).command(socket, "m")...)
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close() })
	res, err := (here{}).Exec(t.Context(), []string{"sh", "-c", waitScript, "horcrux", socket}, nil)
	if err != nil || res.Code != 0 {
		t.Fatalf("no socket: %v %s", err, res.Stderr)
	}
	return socket, func() error { in.Close(); return cmd.Wait() }
}

func TestConnectionsGoFromSocketToSocket(t *testing.T) {
	socket, end := waiting(t, joining(t, func(c *net.UnixConn) {
		defer c.Close()
		b := make([]byte, 5)
		for {
			if _, err := io.ReadFull(c, b); err != nil {
				return
			}
			_, _ = c.Write([]byte(strings.ToUpper(string(b))))
		}
	}))
	var open []net.Conn
	for range 3 {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(20 * time.Second))
		open = append(open, c)
	}
	for _, c := range open {
		b := make([]byte, 5)
		if _, err := c.Write([]byte("block")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, b); err != nil || string(b) != "BLOCK" {
			t.Errorf("%q, %v", b, err)
		}
	}
	// With the listener end the connections, too.
	_ = end()
	for _, c := range open {
		if n, err := c.Read(make([]byte, 1)); n > 0 || err == nil || os.IsTimeout(err) {
			t.Errorf("still open: %v", err)
		}
	}
}

func TestTheCommandOfTheSource(t *testing.T) {
	argv := NewTunnel("k3f9x2", nil, far{}).command("/s/m", "m")
	all := strings.Join(argv, " ")
	for _, want := range []string{
		" -l /s/m ssh -F none -T ", "StrictHostKeyChecking=yes", "HostKeyAlias=horcrux-k3f9x2", "IdentityAgent=none", " -p 2222 -l root -- fd00::2 m",
	} {
		if !strings.Contains(all+" ", want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
}

func TestCiphers(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "3des-cbc\naes256-cbc\n": "",
		"3des-cbc\naes128-ctr\naes128-gcm@openssh.com\nchacha20-poly1305@openssh.com\n": "aes128-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr",
		"aes128-ctr,-oProxyCommand=x\naes256-ctr":                                       "aes256-ctr",
	} {
		if got := ciphersOf(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func TestWordsOfSockets(t *testing.T) {
	for socket, want := range map[string]string{
		"/r/m.tunnelmigrate.dest.web": "m", "/r/d.x": "d", "/r/c1": "c1", "/r/c999": "c999", "/r/c1000": "", "/r/c": "", "/r/c1x": "", "/r/x": "", "/": "",
	} {
		if got := wordOf(socket); got != want {
			t.Errorf("%s: %q", socket, got)
		}
	}
}

func TestNoiseOfShellsIsNoTrouble(t *testing.T) {
	noise := []string{"bash: warning: setlocale: LC_ALL: cannot change locale (xx)", "welcome"}
	for said, want := range map[string]string{
		"": "", noise[0]: "", noise[0] + " welcome " + noise[0]: "",
		noise[0] + " cannot open the socket of the move": "cannot open the socket of the move",
	} {
		if got := news(said, noise); got != want {
			t.Errorf("%q: %q", said, got)
		}
	}
}
