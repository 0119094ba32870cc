package inventory

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"

	"horcrux/config"
)

// host is an SSH server in this process with something at libvirt's socket.
type host struct {
	// libvirt serves one stream to the socket.
	libvirt func(io.ReadWriteCloser)
	// output is what every command prints.
	output func(command string, to ssh.Channel)
}

// startHosts starts one SSH server for each and gives the configuration of
// their cluster, with keys that are checked.
func startHosts(t *testing.T, names []string, hosts map[string]host) config.Config {
	t.Helper()
	t.Setenv("SSH_AUTH_SOCK", "")
	dir := t.TempDir()
	_, private, _ := ed25519.GenerateKey(rand.Reader)
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	cfg := config.Default()
	cfg.SSH.ConfigFile = ""
	cfg.SSH.IdentityFile, cfg.SSH.KnownHosts = filepath.Join(dir, "id"), filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(cfg.SSH.IdentityFile, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	var known strings.Builder
	for _, name := range names {
		_, key, _ := ed25519.GenerateKey(rand.Reader)
		signer, err := ssh.NewSignerFromKey(key)
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		known.WriteString(xknownhosts.Line([]string{l.Addr().String()}, signer.PublicKey()) + "\n")
		cfg.Nodes = append(cfg.Nodes, config.Node{Name: name, Address: l.Addr().String()})
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go serveHost(c, signer, hosts[name])
			}
		}()
	}
	if err := os.WriteFile(cfg.SSH.KnownHosts, []byte(known.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func serveHost(c net.Conn, key ssh.Signer, h host) {
	sc := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	sc.AddHostKey(key)
	conn, chans, reqs, err := ssh.NewServerConn(c, sc)
	if err != nil {
		c.Close()
		return
	}
	defer conn.Close()
	go ssh.DiscardRequests(reqs)
	for ch := range chans {
		go func() {
			c, reqs, err := ch.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			if ch.ChannelType() != "session" {
				go ssh.DiscardRequests(reqs)
				h.libvirt(c)
				return
			}
			for r := range reqs {
				if r.Type != "exec" {
					r.Reply(false, nil)
					continue
				}
				var m struct{ Command string }
				ssh.Unmarshal(r.Payload, &m)
				r.Reply(true, nil)
				if h.output != nil {
					h.output(m.Command, c)
				} else {
					fmt.Fprintln(c, "host\n/run/libvirt/libvirt-sock")
				}
				c.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{}))
				return
			}
		}()
	}
}
