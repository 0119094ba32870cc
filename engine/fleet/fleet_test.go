package fleet

import (
	"context"
	"errors"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"horcrux/config"
	"horcrux/engine/model"
)

func dead(nodes ...config.Node) config.Config {
	cfg := config.Default()
	cfg.SSH.ConfigFile = ""
	cfg.SSH.ConnectTimeout = 200 * time.Millisecond
	cfg.Nodes = nodes
	return cfg
}

func TestDownNodesSaySo(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	f := Open(dead(
		config.Node{Name: "closed", Address: "127.0.0.1:1"},
		config.Node{Name: "silent", Address: silent.Addr().String()},
		config.Node{Name: "wrong", Address: "a:b"},
	), Options{})
	defer f.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for name, want := range map[model.NodeName]struct {
		state  model.NodeState
		reason string
	}{
		"closed": {model.NodeUnreachable, "refused"},
		"silent": {model.NodeUnreachable, "no answer within 200ms"},
		"wrong":  {model.NodeRefused, "no address"},
	} {
		n, ok := f.Node(name)
		if !ok {
			t.Fatal(name)
		}
		_, err := n.Poll(ctx)
		var down *DownError
		if !errors.As(err, &down) || down.State != want.state || !strings.Contains(down.Reason, want.reason) || down.Node != name {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := n.Exec(ctx, []string{"true"}, nil); !errors.As(err, &down) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := n.Act(ctx); !errors.As(err, &down) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wrong, _ := f.Node("wrong")
	if err := wrong.Wait(t.Context()); err == nil {
		t.Error("a node that cannot be reached is up")
	}
	closed, _ := f.Node("closed")
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if err := closed.Wait(short); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "node closed is unreachable") {
		t.Error(err)
	}
}

// Where another process was answered is where the first login goes.
func TestAnsweredGoesFirst(t *testing.T) {
	f := Open(dead(config.Node{Name: "two", Address: "127.0.0.1:1", Addresses: []string{"127.0.0.1:2"}}),
		Options{Answered: map[model.NodeName]string{"two": "127.0.0.1:2"}})
	defer f.Close()
	n, _ := f.Node("two")
	var down *DownError
	if _, err := n.Poll(t.Context()); !errors.As(err, &down) {
		t.Fatal(err)
	}
	if at := [2]int{strings.Index(down.Reason, "127.0.0.1:2"), strings.Index(down.Reason, "127.0.0.1:1)")}; at[0] < 0 || at[1] < at[0] {
		t.Error(down.Reason)
	}
	if got := f.Answered(); len(got) != 0 {
		t.Errorf("nobody answers, but %v", got)
	}
}

func TestCloseIsQuickAndCleansUp(t *testing.T) {
	before := runtime.NumGoroutine()
	f := Open(dead(config.Node{Name: "a", Address: "192.0.2.1"}, config.Node{Name: "b", Address: "127.0.0.1:1"}), Options{})
	began := time.Now()
	f.Close()
	if d := time.Since(began); d > 2*time.Second {
		t.Error(d)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; <-time.After(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("goroutines are left")
		}
	}
}

func TestOnlyAndOrder(t *testing.T) {
	cfg := dead(config.Node{Name: "b", Address: "127.0.0.1:1"}, config.Node{Name: "a", Address: "127.0.0.1:1", MigrateAddress: "10.1.1.1"},
		config.Node{Name: "c", Address: "127.0.0.1:1"})
	f := Open(cfg, Options{Only: []model.NodeName{"a", "b"}})
	defer f.Close()
	var names []model.NodeName
	for _, n := range f.Nodes() {
		names = append(names, n.Name())
	}
	if len(names) != 2 || names[0] != "b" || names[1] != "a" {
		t.Error(names)
	}
	if a := f.Nodes()[1].MigrateAddress(); a != "10.1.1.1" {
		t.Error(a)
	}
	if a := f.Nodes()[0].MigrateAddress(); a != "127.0.0.1" {
		t.Error(a)
	}
}

func TestBell(t *testing.T) {
	b := &bell{}
	one, two := b.next(), b.next()
	b.ring()
	<-one
	<-two
	select {
	case <-b.next():
		t.Error("rang twice")
	default:
	}
}

func TestPauseStaysBelowTenSeconds(t *testing.T) {
	p := newPause()
	for range 100 {
		if d := p.NextBackOff(); d <= 0 || d > 10*time.Second {
			t.Fatal(d)
		}
	}
}
