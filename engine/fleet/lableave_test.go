//go:build lab

package fleet

import (
	"context"
	"sync"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// TestLabDaemonSurvivesUs: libvirtd dies of a client that leaves in the middle of
// a call while it has event callbacks. Ours come and go with many under way.
func TestLabDaemonSurvivesUs(t *testing.T) {
	l, cfg := openLab(t)
	daemon := func() string {
		out, err := l.Node("node1").Exec(t.Context(), "pidof", "libvirtd")
		if err != nil {
			t.Fatalf("node1 has no libvirtd: %v", err)
		}
		return out
	}
	before := daemon()
	for range 100 {
		f := Open(cfg, Options{Only: []model.NodeName{"node1"}})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		conn, err := node(t, f, "node1").Poll(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Events(ctx); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		answered := make(chan struct{}, 1)
		for range 3 {
			wg.Go(func() {
				for {
					if _, err := conn.DomainsThat(ctx, virt.OnlyPersistent); err != nil {
						return
					}
					select {
					case answered <- struct{}{}:
					default:
					}
				}
			})
		}
		<-answered
		f.Close()
		wg.Wait()
		cancel()
	}
	if after := daemon(); after != before {
		t.Errorf("libvirtd was process %s and is %s", before, after)
	}
}
