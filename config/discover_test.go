package config

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestKnownHosts(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"a name and its address", "node1,10.0.0.1 ssh-ed25519 AAAA\n", []string{"node1"}},
		{"once for all of its keys", "n ssh-ed25519 A\nn ssh-rsa B\n", []string{"n"}},
		{"another port", "[n]:2222 ssh-ed25519 A\n", []string{"n:2222"}},
		{"the usual port", "[n]:22 ssh-ed25519 A\n", []string{"n"}},
		{"IPv6", "fe80::1 ssh-ed25519 A\n[2001:db8::1]:2222 ssh-ed25519 B\n", []string{"fe80::1", "[2001:db8::1]:2222"}},
		{"hashed", "|1|aGFzaA=|aG9zdA= ssh-ed25519 A\n", nil},
		{"an authority, a revoked key", "@cert-authority *.x ssh-ed25519 A\n@revoked n ssh-ed25519 A\n", nil},
		{"patterns", "*.example ssh-ed25519 A\nn? ssh-ed25519 A\n!n ssh-ed25519 A\n", nil},
		{"comments and rests", "# n ssh-ed25519 A\n\nn\nn ssh-ed25519\n", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := knownHosts([]byte(c.text)); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func FuzzKnownHosts(f *testing.F) {
	f.Add([]byte("node1,10.0.0.1 ssh-ed25519 AAAA\n[n]:2222 ssh-rsa B\n|1|a|b ssh-rsa C\n"))
	f.Add([]byte("[2001:db8::1]:2222 ssh-ed25519 A\n[]:1 a b\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		seen := map[string]bool{}
		for _, h := range knownHosts(b) {
			if h == "" || seen[h] || strings.ContainsAny(h, "*?! \t\n") {
				t.Errorf("%q", h)
			}
			seen[h] = true
		}
	})
}

func TestNodeName(t *testing.T) {
	for in, want := range map[string]string{
		"node1": "node1", "Node_1.example": "Node_1.example", "node1:2222": "node1", "[2001:db8::1]:22": "2001-db8--1",
		"a b/c": "a-b-c", "knöten": "kn-ten", "-x.": "x", "日本": "", "": "", "...": "", "a\x1b[31m": "a--31m", "..a": "a",
	} {
		if got := NodeName(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func FuzzNodeName(f *testing.F) {
	f.Add("node1:22")
	f.Add("[::1]:x")
	f.Fuzz(func(t *testing.T, host string) {
		name := NodeName(host)
		if strings.Trim(name, "-.") != name {
			t.Errorf("%q becomes %q", host, name)
		}
		for _, r := range name {
			if !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._", r) {
				t.Errorf("%q becomes %q", host, name)
			}
		}
	})
}

func TestDiscover(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		p := filepath.Join(home, ".ssh", name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := Discover(home); got != nil {
		t.Errorf("without any file: %v", got)
	}
	write("config", "Host node1 n1*\n  HostName 10.0.0.1\nHost *\n  User root\n")
	write("known_hosts", "10.0.0.1 ssh-ed25519 A\nnode1 ssh-ed25519 A\n[node2]:2222 ssh-ed25519 B\n")
	want := []Candidate{{"node1", "node1", "~/.ssh/config"}, {"node2", "node2:2222", "known_hosts"}}
	if d := cmp.Diff(want, Discover(home)); d != "" {
		t.Error(d)
	}
}

// What is found and written must be a configuration that loads.
func TestWhatIsWrittenLoads(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "config.toml")
	hosts := []Candidate{{"node1", "node1", ""}, {"node2", net.JoinHostPort("2001:db8::1", "2222"), ""}}
	if err := Write(path, hosts); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var got []Candidate
	for _, n := range c.Nodes {
		got = append(got, Candidate{Name: n.Name, Address: n.Address})
	}
	if d := cmp.Diff(hosts, got); d != "" {
		t.Error(d)
	}
	if err := Write(path, hosts); err == nil {
		t.Error("a configuration was written over")
	}
}
