//go:build lab

package inventory

import (
	"context"
	"encoding/json"
	"os"
	"testing"
	"time"

	"horcrux/config"
	"horcrux/engine/fleet"
	"horcrux/engine/model"
)

// labConfig is the configuration of a lab that is up:
// horcrux lab up --prefix hc --subnet 10.79.0.0/24 --nodes 2 --vms minimal
func labConfig(t *testing.T) config.Config {
	t.Helper()
	path := os.Getenv("HORCRUX_LAB_CONFIG")
	if path == "" {
		path = "/var/lib/horcrux-lab/hc/config.toml"
	}
	cfg, err := config.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestLabFacts(t *testing.T) {
	f := fleet.Open(labConfig(t), fleet.Options{Log: func(n model.NodeName, s string) { t.Log(n, s) }})
	defer f.Close()
	inv := New(f, 200*time.Millisecond)
	defer inv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	began := time.Now()
	if err := inv.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("first facts after %v", time.Since(began))
	changed, stop := inv.Subscribe()
	defer stop()
	for {
		c := inv.Snapshot()
		if complete(c) {
			text, _ := json.MarshalIndent(c, "", "  ")
			t.Logf("%s", text)
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			text, _ := json.MarshalIndent(c, "", "  ")
			t.Fatalf("not all facts came: %s", text)
		}
	}
}

// complete tells that every kind of fact has been seen once.
func complete(c model.Cluster) bool {
	for _, n := range c.Nodes {
		if n.State != model.NodeUp || n.Seen.IsZero() || n.QEMU == "" || n.CPUs == 0 || n.MemFree == 0 ||
			len(n.Pools) == 0 || n.HostUUID == "" {
			return false
		}
	}
	for _, v := range c.VMs {
		if v.State == model.StateRunning && !v.Started.IsZero() && v.CPUPercent > 0 && len(v.Addresses) > 0 &&
			v.Disks[0].Capacity > 0 && v.Agent == model.AgentConnected && v.Persistent {
			return true
		}
	}
	return false
}
