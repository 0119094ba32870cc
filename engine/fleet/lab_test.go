//go:build lab

package fleet

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"horcrux/config"
	"horcrux/engine/model"
	"horcrux/engine/transport"
	"horcrux/lab"
)

func TestMain(m *testing.M) {
	lab.InitIfChild()
	os.Exit(m.Run())
}

// openLab opens the lab that is up as
// horcrux lab up --prefix hc --subnet 10.79.0.0/24 --nodes 2 --vms minimal
// or the one that HORCRUX_LAB_DIR and HORCRUX_LAB_PREFIX name.
func openLab(t *testing.T) (*lab.Lab, config.Config) {
	t.Helper()
	l, err := lab.Open(os.Getenv("HORCRUX_LAB_DIR"), cmp.Or(os.Getenv("HORCRUX_LAB_PREFIX"), "hc"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(l.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	return l, cfg
}

func openFleet(t *testing.T, cfg config.Config) *Fleet {
	t.Helper()
	began := time.Now()
	f := Open(cfg, Options{Log: func(n model.NodeName, s string) {
		t.Logf("%6.2f s  %s %s", time.Since(began).Seconds(), n, s)
	}})
	t.Cleanup(f.Close)
	return f
}

func node(t *testing.T, f *Fleet, name model.NodeName) *Node {
	t.Helper()
	n, ok := f.Node(name)
	if !ok {
		t.Fatalf("no node %s", name)
	}
	return n
}

func waitUp(t *testing.T, n *Node, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := n.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// waitState waits for a state and tells how long that took.
func waitState(t *testing.T, n *Node, want model.NodeState, limit time.Duration) time.Duration {
	t.Helper()
	began := time.Now()
	deadline := time.After(limit)
	for {
		change := n.Changed()
		state, reason, _ := n.Status()
		if state == want {
			took := time.Since(began)
			t.Logf("%s is %s after %v: %s", n.Name(), state, took, reason)
			return took
		}
		select {
		case <-change:
		case <-deadline:
			t.Fatalf("%s is %s (%s) after %v, want %s", n.Name(), state, reason, limit, want)
		}
	}
}

func TestLabPowerOff(t *testing.T) {
	l, cfg := openLab(t)
	f := openFleet(t, cfg)
	n1, n2 := node(t, f, "node1"), node(t, f, "node2")
	waitUp(t, n1, 30*time.Second)
	waitUp(t, n2, 30*time.Second)
	act, err := n2.Act(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Node("node2").PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitState(t, n2, model.NodeUnreachable, 15*time.Second)
	if act.Err() == nil {
		t.Error("a connection to a dead host is still open")
	}
	if _, err := n2.Poll(t.Context()); err == nil {
		t.Error("a dead node gives a connection")
	} else {
		t.Log(err)
	}
	if s, _, _ := n1.Status(); s != model.NodeUp {
		t.Errorf("node1 is %s while node2 is dead", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := l.Node("node2").PowerOn(ctx); err != nil {
		t.Fatal(err)
	}
	waitState(t, n2, model.NodeUp, 20*time.Second)
	conn, err := n2.Poll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Domains(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLabCutLink(t *testing.T) {
	l, cfg := openLab(t)
	f := openFleet(t, cfg)
	n2 := node(t, f, "node2")
	waitUp(t, n2, 30*time.Second)
	if err := l.Node("node2").CutLink(); err != nil {
		t.Fatal(err)
	}
	waitState(t, n2, model.NodeUnreachable, 15*time.Second)
	if err := l.Node("node2").HealLink(); err != nil {
		t.Fatal(err)
	}
	waitState(t, n2, model.NodeUp, 15*time.Second)
}

func TestLabFrozenDaemon(t *testing.T) {
	l, cfg := openLab(t)
	f := openFleet(t, cfg)
	n2 := node(t, f, "node2")
	waitUp(t, n2, 30*time.Second)
	if err := l.Node("node2").Freeze(t.Context(), lab.Of(lab.Libvirtd)); err != nil {
		t.Fatal(err)
	}
	defer l.Node("node2").Thaw(lab.Of(lab.Libvirtd))
	waitState(t, n2, model.NodeBusy, 10*time.Second)
	waitState(t, n2, model.NodeDaemonDown, 15*time.Second)
	if r, err := n2.Exec(t.Context(), []string{"hostname"}, nil); err != nil || strings.TrimSpace(string(r.Stdout)) != "node2" {
		t.Errorf("SSH does not work while libvirt is frozen: %v %q", err, r.Stdout)
	}
	if err := l.Node("node2").Thaw(lab.Of(lab.Libvirtd)); err != nil {
		t.Fatal(err)
	}
	waitState(t, n2, model.NodeUp, 20*time.Second)
}

func TestLabKilledDaemon(t *testing.T) {
	l, cfg := openLab(t)
	f := openFleet(t, cfg)
	n2 := node(t, f, "node2")
	waitUp(t, n2, 30*time.Second)
	if err := l.Node("node2").Kill(t.Context(), lab.Of(lab.Libvirtd)); err != nil {
		t.Fatal(err)
	}
	waitState(t, n2, model.NodeDaemonDown, 5*time.Second)
	if err := l.Node("node2").Restart(t.Context(), lab.Libvirtd); err != nil {
		t.Fatal(err)
	}
	waitState(t, n2, model.NodeUp, 15*time.Second)
}

func TestLabHostKey(t *testing.T) {
	l, cfg := openLab(t)
	text, err := os.ReadFile(l.KnownHostsPath())
	if err != nil {
		t.Fatal(err)
	}
	// node1's keys under node2's address, and nothing for node1.
	var lines []string
	for _, line := range strings.Split(string(text), "\n") {
		hosts, key, _ := strings.Cut(line, " ")
		if strings.Contains(hosts, l.Node("node1").Address) {
			lines = append(lines, l.Node("node2").Address+" "+key)
		}
	}
	path := filepath.Join(t.TempDir(), "known_hosts")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.SSH.KnownHosts = path
	f := openFleet(t, cfg)
	for name, want := range map[model.NodeName]string{"node1": "is not known", "node2": "has CHANGED"} {
		n := node(t, f, name)
		waitState(t, n, model.NodeRefused, 10*time.Second)
		_, reason, _ := n.Status()
		if !strings.Contains(reason, want) || !strings.Contains(reason, "SHA256:") || !strings.Contains(reason, path) {
			t.Errorf("%s: %s", name, reason)
		}
		err := n.Wait(t.Context())
		if err == nil {
			t.Errorf("%s is let in with a wrong key", name)
		}
		_, err = transport.Dial(t.Context(), n.target, nil)
		var key *transport.HostKeyError
		if !errors.As(err, &key) || key.Accept == "" {
			t.Errorf("%s: %v is no HostKeyError", name, err)
		}
	}
}

func TestLabNothingLeaks(t *testing.T) {
	_, cfg := openLab(t)
	start := runtime.NumGoroutine()
	f := openFleet(t, cfg)
	n := node(t, f, "node1")
	waitUp(t, n, 30*time.Second)
	waitUp(t, node(t, f, "node2"), 30*time.Second)
	one := func() {
		c, err := n.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Domains(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close()
	}
	one()
	settle(t, runtime.NumGoroutine())
	before := runtime.NumGoroutine()
	for range 1000 {
		one()
	}
	settle(t, before)
	f.Close()
	settle(t, start)
}

func settle(t *testing.T, want int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > want {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), want, buf[:runtime.Stack(buf, true)])
		}
		<-time.After(10 * time.Millisecond)
	}
}
