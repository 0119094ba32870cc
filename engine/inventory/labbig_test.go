//go:build lab

package inventory

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"horcrux/config"
	"horcrux/engine/fleet"
)

// TestLabMany watches five nodes with 2000 domains each, of libvirt's test
// driver inside the real daemon of node1.
func TestLabMany(t *testing.T) {
	cfg := labConfig(t)
	const perNode, nodes = 2000, 5
	var b strings.Builder
	b.WriteString("<node>\n")
	for i := range perNode {
		fmt.Fprintf(&b, "<domain type='test'><name>vm%04d</name><uuid>00000000-0000-0000-0000-%012d</uuid><memory>262144</memory>"+
			"<vcpu>2</vcpu><os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/d/%d'/><target dev='vda'/></disk>"+
			"<interface type='bridge'><source bridge='br0'/></interface></devices></domain>\n", i, i, i)
	}
	b.WriteString("</node>\n")
	const path = "/var/tmp/horcrux-many.xml"
	first := fleet.Open(cfg, fleet.Options{})
	n, _ := first.Node("node1")
	if _, err := n.Exec(t.Context(), []string{"tee", path}, strings.NewReader(b.String())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Exec(context.Background(), []string{"rm", path}, nil) //nolint:errcheck // the lab goes away anyway
		first.Close()
	})
	base := cfg.Nodes[0]
	cfg.Nodes = nil
	for i := range nodes {
		cfg.Nodes = append(cfg.Nodes, config.Node{Name: fmt.Sprintf("many%d", i), Address: base.Address, URI: "test://" + path})
	}
	// Each connection has the test driver read its file anew, which takes seconds
	// where five nodes do it at once.
	f := fleet.Open(cfg, fleet.Options{Patience: 2 * time.Minute})
	defer f.Close()
	began := time.Now()
	inv := New(f, 500*time.Millisecond)
	defer inv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	if err := inv.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("first facts of all after %v", time.Since(began))
	changed, stop := inv.Subscribe()
	defer stop()
	for len(inv.Snapshot().VMs) < nodes*perNode {
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%d VMs", len(inv.Snapshot().VMs))
		}
	}
	t.Logf("%d VMs after %v", nodes*perNode, time.Since(began))
	cpu, at := cpuTime(), time.Now()
	var worst time.Duration
	for time.Since(at) < 20*time.Second {
		<-changed
		s := time.Now()
		inv.Snapshot()
		worst = max(worst, time.Since(s))
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("CPU %.0f %%, slowest snapshot %v, heap %d MiB, %d goroutines",
		100*(cpuTime()-cpu).Seconds()/time.Since(at).Seconds(), worst, m.HeapAlloc>>20, runtime.NumGoroutine())
	for _, n := range inv.Snapshot().Nodes {
		t.Logf("%s %s %s age %v defined %d", n.Name, n.State, n.Reason, time.Since(n.Seen), n.Defined)
	}
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u) //nolint:errcheck // cannot fail
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
