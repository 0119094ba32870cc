package transport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/config"
)

func TestResolve(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	file := filepath.Join(home, "config")
	text := `
Host alias
  HostName real.example
  User alice
  Port 2222
  IdentityFile ~/.ssh/a
  IdentityFile ~/.ssh/%r
  IdentitiesOnly yes
  ProxyJump bob@outer:2200,middle
  UserKnownHostsFile ~/.ssh/kh1 ~/.ssh/kh2
Host outer
  ProxyJump edge
  HostName outer.example
Host middle
  Port 23
Host cmd
  ProxyCommand nc %h %p
Host loop
  ProxyJump loop
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	in := func(p string) string { return filepath.Join(home, ".ssh", p) }
	base := func(name, host string, port int, user string) Target {
		return Target{
			Name: name, Host: host, Port: port, User: user, Identities: nil,
			KnownHosts: []string{in("known_hosts"), "/etc/ssh/ssh_known_hosts"}, ConnectTimeout: 10 * time.Second,
		}
	}
	alias := base("n", "real.example", 2222, "alice")
	alias.Identities, alias.Explicit, alias.OnlyIdentities = []string{in("a"), in("alice")}, true, true
	alias.KnownHosts = []string{in("kh1"), in("kh2")}
	alias.Jump = []Target{base("edge", "edge", 22, "root"), base("outer", "outer.example", 2200, "bob"), base("middle", "middle", 23, "root")}

	node := alias
	node.Port, node.User, node.Identities, node.KnownHosts = 24, "carol", []string{"/k"}, []string{"/kh"}
	node.Jump = []Target{base("j", "j", 22, "root")}
	node.Jump[0].Explicit = false

	global := alias
	global.User, global.Identities, global.KnownHosts = "dave", []string{in("g")}, []string{"/gkh"}
	global.Jump = nil
	for _, b := range alias.Jump {
		b.Identities, b.Explicit, b.KnownHosts, b.ConnectTimeout = []string{in("g")}, true, []string{"/gkh"}, time.Second
		if b.User == "root" {
			b.User = "dave"
		}
		global.Jump = append(global.Jump, b)
	}
	global.ConnectTimeout = time.Second

	for name, c := range map[string]struct {
		ssh  config.SSH
		node config.Node
		want Target
	}{
		"file":  {node: config.Node{Address: "alias"}, want: alias},
		"plain": {node: config.Node{Address: "10.0.0.1:2022"}, want: base("n", "10.0.0.1", 2022, "root")},
		"v6":    {node: config.Node{Address: "fe80::1"}, want: base("n", "fe80::1", 22, "root")},
		"v6p":   {node: config.Node{Address: "[fe80::1]:23"}, want: base("n", "fe80::1", 23, "root")},
		"node": {node: config.Node{
			Address: "alias:24", User: "carol", IdentityFile: "/k", KnownHosts: "/kh", Jump: "j",
		}, want: node},
		"global": {
			ssh:  config.SSH{User: "dave", IdentityFile: "~/.ssh/g", KnownHosts: "/gkh", ConnectTimeout: time.Second},
			node: config.Node{Address: "alias"}, want: global,
		},
	} {
		cfg := config.Default()
		if c.ssh.User != "" {
			cfg.SSH = c.ssh
		}
		cfg.SSH.ConfigFile = file
		c.node.Name = "n"
		got, err := Resolve(cfg, c.node)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for addr, want := range map[string]string{
		"cmd": "ProxyCommand", "loop": "circle", "": "empty", "a:b": "no address", "a:0": "no address", "[::1": "no address",
	} {
		cfg := config.Default()
		cfg.SSH.ConfigFile = file
		if _, err := Resolve(cfg, config.Node{Name: "n", Address: addr}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", addr, err)
		}
	}
}

func TestUnreadableConfigFileIsNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte("Match exec true\n  User x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.SSH.ConfigFile = file
	if _, err := Resolve(cfg, config.Node{Name: "n", Address: "a"}); err == nil || !strings.Contains(err.Error(), file) {
		t.Error(err)
	}
}

func FuzzSplitAddress(f *testing.F) {
	for _, s := range []string{"a", "a:1", "[::1]:2", "::1", "[::1]", ":", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if host, port, err := splitAddress(s); err == nil && (host == "" || port < 0 || port > 65535) {
			t.Errorf("%q is %q %d", s, host, port)
		}
	})
}
