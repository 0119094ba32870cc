//go:build lab

package test

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"horcrux/lab"
)

// TestSecretsStaySecret: a move with a key that has a passphrase. The person
// types it once, the process of the move gets it too, and it is then in no
// argument, environment, journal, event, log or other file.
func TestSecretsStaySecret(t *testing.T) {
	const secret = "open-sesame-7f3a"
	ensure(t, lab.VMSpec{Name: "far", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 512, FillMiB: 256}}})
	from := home(t, "far")
	dir := t.TempDir()
	key, err := os.ReadFile(the.KeyPath())
	if err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(dir, "id")
	if err := os.WriteFile(locked, key, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-a", "1", "-P", "", "-N", secret, "-f", locked).CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	config, err := os.ReadFile(the.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, bytes.ReplaceAll(config, []byte(the.KeyPath()), []byte(locked)), 0o600); err != nil {
		t.Fatal(err)
	}

	cmd := command(t, "--config", path, "migrate", "far", "--to", other(from), "--yes")
	cmd.Env = append(cmd.Env, "SSH_AUTH_SOCK=")
	terminal, err := pty.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	var (
		mu     sync.Mutex
		output bytes.Buffer
	)
	typed := make(chan struct{})
	go func() {
		buf := make([]byte, 4096)
		asked := sync.OnceFunc(func() { close(typed) })
		for {
			n, err := terminal.Read(buf)
			mu.Lock()
			output.Write(buf[:n])
			if strings.Contains(output.String(), "Passphrase for") {
				asked()
			}
			mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	said := func() string {
		mu.Lock()
		defer mu.Unlock()
		return output.String()
	}
	select {
	case <-typed:
	case <-time.After(20 * time.Second):
		t.Fatalf("nobody asked for the passphrase:\n%s", said())
	}
	// The question is on screen a moment before the terminal stops its echo.
	until(t, "the passphrase to be wanted", 5*time.Second, func() bool { return strings.Contains(said(), "Passphrase for") })
	<-time.After(200 * time.Millisecond)
	if _, err := terminal.WriteString(secret + "\n"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	looks := 0
	for done := false; !done; {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%v:\n%s", err, said())
			}
			done = true
		case <-time.After(50 * time.Millisecond):
		}
		looks++
		for _, name := range []string{"cmdline", "environ"} {
			files, _ := filepath.Glob("/proc/[0-9]*/" + name)
			for _, f := range files {
				if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(secret)) {
					t.Fatalf("the passphrase is in %s", f)
				}
			}
		}
	}
	if home(t, "far") == from {
		t.Error("the VM did not move")
	}
	if strings.Count(said(), "Passphrase for") != 1 || strings.Contains(said(), secret) {
		t.Errorf("asked not once, or echoed:\n%s", said())
	}
	seen := 0
	err = filepath.WalkDir(the.state, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		seen++
		if bytes.Contains(b, []byte(secret)) {
			t.Errorf("the passphrase is in %s", path)
		}
		if st, err := d.Info(); err == nil && !strings.HasPrefix(filepath.Base(path), filepath.Base(the.binary)) && st.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", path, st.Mode())
		}
		return err
	})
	if err != nil || seen < 4 || looks < 10 {
		t.Errorf("%d files, %d looks, %v", seen, looks, err)
	}
}
