package relay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"horcrux/engine/transport"
)

// here runs commands on this machine.
type here struct{}

func (here) Exec(ctx context.Context, argv []string, stdin io.Reader) (transport.Result, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin = stdin
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return transport.Result{}, err
	}
	return transport.Result{Stdout: out.Bytes(), Stderr: errs.Bytes(), Code: cmd.ProcessState.ExitCode()}, nil
}

func TestKeysFile(t *testing.T) {
	for text, want := range map[string]string{
		"":           "/root/.ssh/authorized_keys",
		"home /r/h ": "/r/h/.ssh/authorized_keys",
		"home /root\nauthorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2\n": "/root/.ssh/authorized_keys",
		"home /root\nAuthorizedKeysFile /etc/ssh/keys/%u\n":                           "/etc/ssh/keys/root",
		"home /x\nauthorizedkeysfile %h/k%%\n":                                        "/x/k%",
		"authorizedkeysfile none\n":                                                   "",
		"authorizedkeysfile ../../etc/passwd\nhome ..\n":                              "",
		"authorizedkeysfile /a/../b\n":                                                "",
	} {
		got, err := keysFile(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func FuzzKeysFile(f *testing.F) {
	f.Add("home /root\nauthorizedkeysfile %h/.ssh/authorized_keys\n")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := keysFile(s)
		if err == nil && (!path.IsAbs(got) || path.Clean(got) != got || strings.ContainsAny(got, "\n\x00")) {
			t.Errorf("%q", got)
		}
	})
}

func edit(t *testing.T, file, keys, add string) {
	t.Helper()
	res, err := here{}.Exec(t.Context(), []string{"sh", "-c", editScript, "horcrux", file, "horcrux-k3f9x2", keys}, strings.NewReader(add))
	if err == nil {
		err = res.Failed("sh")
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestTheKeyComesAndGoes(t *testing.T) {
	line := keyLine("k3f9x2", "ssh-ed25519 AAAA")
	for name, before := range map[string]string{
		"plain":         "ssh-ed25519 BBBB me\n# horcrux-k3f9x2 is no end\nssh-ed25519 CCCC horcrux-k3f9x\n",
		"without a end": "ssh-ed25519 BBBB me",
		"empty":         "",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "keys")
			if err := os.WriteFile(file, []byte(before), 0o640); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(file, filepath.Join(dir, "link")); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				edit(t, filepath.Join(dir, "link"), dir, line)
			}
			got, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			want := regexp.MustCompile(`(?m)^restrict,expiry-time="\d{12}",command="exec sh /run/libvirt/qemu/horcrux-k3f9x2\.key/in" ssh-ed25519 AAAA horcrux-k3f9x2$`)
			if !strings.HasPrefix(string(got), before) || len(want.FindAll(got, -1)) != 1 {
				t.Errorf("with the key: %q", got)
			}
			for range 2 {
				edit(t, filepath.Join(dir, "link"), dir, "")
			}
			got, err = os.ReadFile(file)
			if err != nil || strings.TrimSuffix(string(got), "\n") != strings.TrimSuffix(before, "\n") {
				t.Errorf("after it: %q, %v", got, err)
			}
			if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o640 {
				t.Errorf("%v, %v", st, err)
			}
			if all, _ := os.ReadDir(dir); len(all) != 2 {
				t.Errorf("left: %v", all)
			}
		})
	}
}

func TestAFileThatWasMadeForTheKeyGoesWithIt(t *testing.T) {
	dir, keys := t.TempDir(), t.TempDir()
	file := filepath.Join(dir, ".ssh", "keys")
	edit(t, file, keys, "") // nothing is made to remove something
	if _, err := os.Stat(filepath.Dir(file)); err == nil {
		t.Error("a removal made a folder")
	}
	edit(t, file, keys, keyLine("k3f9x2", "ssh-ed25519 AAAA"))
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", st, err)
	}
	edit(t, file, keys, "")
	if _, err := os.Stat(file); err == nil {
		t.Error("it is still there")
	}
}

// joining is in.sh in a folder of its own, with a socket at which serve answers.
func joining(t *testing.T, serve func(*net.UnixConn)) (script string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"in": inScript, "mark": "HostKeyAlias=none\n", "m": filepath.Join(dir, "s") + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go answer(l, serve)
	return filepath.Join(dir, "in")
}

// withoutPerl is a PATH in which only python3 can join.
func withoutPerl(t *testing.T) []string {
	t.Helper()
	real, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		t.Fatal("no python3")
	}
	dir := t.TempDir()
	text := "#!/bin/sh\nexec " + strings.TrimSpace(string(real)) + ` "$@"` + "\n"
	if err := os.WriteFile(filepath.Join(dir, "python3"), []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{"PATH=" + dir}
}

func TestTheKeyJoinsSockets(t *testing.T) {
	for _, by := range []string{"perl", "python3"} {
		t.Run(by, func(t *testing.T) {
			env := os.Environ()
			if by == "python3" {
				env = withoutPerl(t)
			} else if _, err := exec.LookPath("perl"); err != nil {
				t.Fatal("no perl")
			}
			script := joining(t, func(c *net.UnixConn) {
				defer c.Close()
				b, _ := io.ReadAll(c)
				_, _ = c.Write(bytes.ToUpper(b))
			})
			cmd := exec.CommandContext(t.Context(), "/bin/sh", script)
			cmd.Env = append(env, "SSH_ORIGINAL_COMMAND=m")
			big := strings.Repeat("memory ", 1<<18)
			cmd.Stdin = strings.NewReader(big)
			out, err := cmd.Output()
			if err != nil || string(out) != strings.ToUpper(big) {
				t.Errorf("%d bytes back of %d: %v", len(out), len(big), err)
			}
			// A socket that is closed ends the login, though its other side says nothing.
			script = joining(t, func(c *net.UnixConn) { c.Close() })
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			cmd = exec.CommandContext(ctx, "/bin/sh", script)
			cmd.Env = append(env, "SSH_ORIGINAL_COMMAND=m")
			silent, end, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer silent.Close()
			defer end.Close()
			cmd.Stdin = silent
			if _, err := cmd.Output(); err != nil {
				t.Errorf("it goes on: %v", err)
			}
		})
	}
}

func TestTheKeyOpensNothingElse(t *testing.T) {
	script := joining(t, func(c *net.UnixConn) { c.Close() })
	for _, word := range []string{"", "id", "mark", "in", "m d", "../m", "m; id", "$(id)", "d", "c", "c1", "c1000", "c1/../mark", "c1 "} {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", script)
		cmd.Env = append(os.Environ(), "SSH_ORIGINAL_COMMAND="+word)
		if out, err := cmd.Output(); err == nil || len(out) > 0 {
			t.Errorf("%q: %q", word, out)
		}
	}
}

func TestWhatAMoveLeftIsEnded(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	left := exec.CommandContext(t.Context(), "sh", "-c", "sleep 1000; :", "x", marked("k3f9x2"))
	stays := exec.CommandContext(t.Context(), "sh", "-c", "sleep 1000; :", "x", marked("k3f9x2a"))
	for _, c := range []*exec.Cmd{left, stays} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 1)
	go func() { ended <- left.Wait() }()
	if res, err := (here{}).Exec(t.Context(), []string{"sh", "-c", endScript, "horcrux", alias("k3f9x2"), a, b}, nil); err != nil || res.Code != 0 {
		t.Errorf("%v %s", err, res.Stderr)
	}
	<-ended
	for _, d := range []string{a, b} {
		if _, err := os.Stat(d); err == nil {
			t.Error("a folder is left")
		}
	}
	if err := stays.Process.Kill(); err != nil {
		t.Errorf("another job's is gone: %v", err)
	}
	_ = stays.Wait()
}

func TestNoOtherJobIsTouched(t *testing.T) {
	for _, job := range []string{"", "../x", "a b", ".*", "a\nb"} {
		tunnel := NewTunnel("k3f9x2", nil, nil)
		if err := tunnel.Make(t.Context(), "/run/"+job); err == nil {
			t.Errorf("makes %q", job)
		}
	}
	if err := Remove(t.Context(), here{}, ".*"); err == nil {
		t.Error("removes all")
	}
}
