//go:build lab

package fleet

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/config"
	"horcrux/engine/model"
	"horcrux/engine/transport"
	"horcrux/lab"
)

// onHost runs a command on a host, past our own code.
func onHost(t *testing.T, h *lab.Node, argv ...string) string {
	t.Helper()
	out, err := h.Exec(context.Background(), argv...)
	if err != nil {
		t.Fatalf("%q: %v", argv, err)
	}
	return out
}

// firewall puts rules into a host for the time of a test.
func firewall(t *testing.T, h *lab.Node, rule string) {
	t.Helper()
	rules := "table inet hxreach\ndelete table inet hxreach\ntable inet hxreach {\n chain in {\n type filter hook input priority 0\n " + rule + "\n }\n}\n"
	if _, err := h.ExecInput(context.Background(), rules, "nft", "-f", "-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Exec(context.Background(), "nft", "delete", "table", "inet", "hxreach") }) //nolint:errcheck // the test is over
}

// sshd changes a host's sshd_config for the time of a test.
func sshd(t *testing.T, h *lab.Node, lines string) {
	t.Helper()
	const file = "/etc/ssh/sshd_config"
	old := onHost(t, h, "cat", file)
	write := func(text string) {
		if _, err := h.ExecInput(context.Background(), text, "tee", file); err != nil {
			t.Error(err)
		}
		if err := h.Restart(context.Background(), lab.SSHD); err != nil {
			t.Error(err)
		}
	}
	write(lines + "\n" + old)
	t.Cleanup(func() { write(old) })
}

// TestLabNodeBehindNode: node2 lets in nobody but node1, so the way goes
// through it; with the jump in the configuration, and in ssh_config.
func TestLabNodeBehindNode(t *testing.T) {
	l, cfg := openLab(t)
	node1, node2 := l.Node("node1"), l.Node("node2")
	firewall(t, node2, "ip saddr != "+node1.Address+" tcp dport 22 drop")
	file := filepath.Join(t.TempDir(), "ssh_config")
	text := "Host " + node2.Address + "\n ProxyJump inner\nHost inner\n HostName " + node1.Address +
		"\n User root\n HostKeyAlias " + node1.Address + "\n IdentityFile " + l.KeyPath() + "\n UserKnownHostsFile " + l.KnownHostsPath() + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inFile := cfg
	inFile.SSH.ConfigFile = file
	inKey := cfg
	inKey.Nodes = append([]config.Node(nil), cfg.Nodes...)
	inKey.Nodes[1].Jump = "root@" + node1.Address
	for name, c := range map[string]config.Config{"jump": inKey, "ssh_config": inFile} {
		f := openFleet(t, c)
		n := node(t, f, "node2")
		waitUp(t, n, 30*time.Second)
		if w, ok := n.Way(); !ok || w.Jumps != 1 || w.Socket == "" {
			t.Errorf("%s: %+v", name, w)
		}
		conn, err := n.Poll(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Domains(t.Context()); err != nil {
			t.Error(name, err)
		}
		f.Close()
	}
}

// TestLabSeveralAddresses: the first address leads nowhere, the second one does.
func TestLabSeveralAddresses(t *testing.T) {
	l, cfg := openLab(t)
	cfg.Nodes = append([]config.Node(nil), cfg.Nodes...)
	cfg.SSH.ConnectTimeout = 2 * time.Second
	good := cfg.Nodes[0].Address
	cfg.Nodes[0].Address = strings.TrimSuffix(l.Node("node1").Address, "11") + "250"
	cfg.Nodes[0].Addresses = []string{good}
	n := node(t, openFleet(t, cfg), "node1")
	waitUp(t, n, 30*time.Second)
	if w, ok := n.Way(); !ok || !w.Second {
		t.Errorf("%+v", w)
	}
}

// TestLabForwardingRefused: each of sshd's two switches alone, and few sessions.
func TestLabForwardingRefused(t *testing.T) {
	l, cfg := openLab(t)
	for _, lines := range []string{"AllowStreamLocalForwarding no", "AllowTcpForwarding no\nMaxSessions 3"} {
		t.Run(lines, func(t *testing.T) {
			sshd(t, l.Node("node2"), lines)
			n := node(t, openFleet(t, cfg), "node2")
			waitUp(t, n, 30*time.Second)
			if w, ok := n.Way(); !ok || len(w.Command) == 0 {
				t.Errorf("%+v", w)
			}
			// Commands beside the connections that hold a session each.
			for range 20 {
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				if r, err := n.Exec(ctx, []string{"echo", "$(id)"}, nil); err != nil || string(r.Stdout) != "$(id)\n" {
					t.Errorf("%q %v", r.Stdout, err)
				}
				cancel()
			}
		})
	}
}

// TestLabNotRoot: a user of the group libvirt does all that libvirt allows; one
// who is not in it is told so.
func TestLabNotRoot(t *testing.T) {
	l, cfg := openLab(t)
	h := l.Node("node2")
	const conf = "/etc/libvirt/libvirtd.conf"
	old := onHost(t, h, "cat", conf)
	setConf := func(text string) {
		if _, err := h.ExecInput(context.Background(), text, "tee", conf); err != nil {
			t.Error(err)
		}
		if err := h.Restart(context.Background(), lab.Libvirtd); err != nil {
			t.Error(err)
		}
	}
	setConf(old + "\nunix_sock_group = \"libvirt\"\nunix_sock_rw_perms = \"0770\"\n")
	t.Cleanup(func() { setConf(old) })
	onHost(t, h, "sh", "-c", "userdel -rf ops 2>/dev/null; useradd -m ops; usermod -p '*' ops; mkdir -p ~ops/.ssh; cp /root/.ssh/authorized_keys ~ops/.ssh/; chown -R ops ~ops/.ssh")
	cfg.SSH.User = "ops"
	cfg.Nodes = append([]config.Node(nil), cfg.Nodes...)
	for i := range cfg.Nodes {
		cfg.Nodes[i].User = ""
	}

	f := openFleet(t, cfg)
	n := node(t, f, "node2")
	waitState(t, n, model.NodeDaemonDown, 30*time.Second)
	if _, reason, _ := n.Status(); !strings.Contains(reason, "usermod -aG libvirt ops") {
		t.Error(reason)
	}
	f.Close()

	onHost(t, h, "usermod", "-aG", "libvirt", "ops")
	n = node(t, openFleet(t, cfg), "node2")
	waitUp(t, n, 30*time.Second)
	conn, err := n.Act(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Pools(t.Context()); err != nil {
		t.Error(err)
	}
	vol, err := conn.CreateVolume(t.Context(), "images", "<volume><name>of-ops.qcow2</name><capacity>1048576</capacity></volume>")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := n.Exec(t.Context(), []string{"rm", "-f", "--", vol.Path}, nil); err != nil || r.Code == 0 {
		t.Errorf("a user removed root's file: %+v %v", r, err)
	}
	if err := conn.DeleteVolume(t.Context(), vol.Path); err != nil {
		t.Error(err)
	}

	if _, err := n.FileExists(t.Context(), "/root/nothing/here"); err == nil || !strings.Contains(err.Error(), "may not look into /root") {
		t.Errorf("what cannot be seen is said not to be there: %v", err)
	}
	if there, err := n.FileExists(t.Context(), "/etc/nothing/here"); err != nil || there {
		t.Error(there, err)
	}

	// With sudo = true commands go through it, and its refusal is never taken
	// for the command's own answer.
	cfg.SSH.Sudo = true
	n = node(t, openFleet(t, cfg), "node2")
	waitUp(t, n, 30*time.Second)
	r, err := n.Exec(t.Context(), []string{"test", "-e", "/root/.ssh/authorized_keys"}, nil)
	var no *SudoError
	if !errors.As(err, &no) {
		t.Errorf("sudo without a rule: %+v %v", r, err)
	}
	onHost(t, h, "sh", "-c", "mkdir -p /etc/sudoers.d; echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops; chmod 440 /etc/sudoers.d/ops")
	t.Cleanup(func() { h.Exec(context.Background(), "rm", "-f", "/etc/sudoers.d/ops") }) //nolint:errcheck // the test is over
	r, err = n.Exec(t.Context(), []string{"test", "-e", "/root/.ssh/authorized_keys"}, nil)
	if err != nil || r.Code != 0 {
		t.Errorf("%+v %v", r, err)
	}
}

// TestLabWrongHostKeySendsNothing: a host with a wrong key sees a connection
// that ends in the key exchange; no name of a user, no key, no command.
func TestLabWrongHostKeySendsNothing(t *testing.T) {
	l, cfg := openLab(t)
	h := l.Node("node2")
	sshd(t, h, "LogLevel DEBUG1\nSyslogFacility AUTH")
	onHost(t, h, "rm", "-f", "/var/log/hx-sshd")
	if err := h.Restart(t.Context(), lab.SSHD, "-E", "/var/log/hx-sshd"); err != nil {
		t.Fatal(err)
	}
	known, err := os.ReadFile(l.KnownHostsPath())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "known_hosts")
	swapped := strings.NewReplacer("node1", "node2", "node2", "node1", l.Node("node1").Address, h.Address, h.Address, l.Node("node1").Address).Replace(string(known))
	if err := os.WriteFile(path, []byte(swapped), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.SSH.KnownHosts = path
	for i := range cfg.Nodes {
		cfg.Nodes[i].KnownHosts = ""
	}
	target, err := transport.Resolve(cfg, cfg.Nodes[1])
	if err != nil {
		t.Fatal(err)
	}
	_, err = transport.Dial(t.Context(), target, nil)
	var key *transport.HostKeyError
	if !errors.As(err, &key) || len(key.Known) == 0 {
		t.Fatal(err)
	}
	log := onHost(t, h, "cat", "/var/log/hx-sshd")
	if !strings.Contains(log, "Connection from") {
		t.Fatalf("sshd saw no connection:\n%s", log)
	}
	for _, sent := range []string{"userauth-request", "Accepted", "Invalid user", "Starting session"} {
		if strings.Contains(log, sent) {
			t.Errorf("the host was sent %q:\n%s", sent, log)
		}
	}
}
