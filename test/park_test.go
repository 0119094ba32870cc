//go:build lab

package test

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"horcrux/lab"
)

// parked are the VMs that stand still because no test uses them: without KVM a
// guest that only beats takes an eighth of a core.
var parked = struct {
	sync.Mutex
	asleep map[string]bool
	users  map[string]int             // tests that use a VM now
	known  map[string]map[string]bool // VM and test
}{asleep: map[string]bool{}, users: map[string]int{}, known: map[string]map[string]bool{}}

// wake lets a VM run for as long as this test lasts.
func wake(t *testing.T, vm string) {
	t.Helper()
	if os.Getenv("HORCRUX_LAB_KEEP") != "" {
		return
	}
	parked.Lock()
	if parked.known[vm] == nil {
		parked.known[vm] = map[string]bool{}
	}
	again := parked.known[vm][t.Name()]
	asleep := parked.asleep[vm]
	if !again {
		parked.known[vm][t.Name()] = true
		parked.users[vm]++
	}
	delete(parked.asleep, vm)
	parked.Unlock()
	if !again {
		name := t.Name()
		t.Cleanup(func() {
			parked.Lock()
			delete(parked.known[vm], name)
			parked.users[vm]--
			last := parked.users[vm] == 0
			parked.Unlock()
			if last {
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				park(ctx, the.Lab, vm)
			}
		})
	}
	if !asleep {
		return
	}
	for _, p := range the.Where(t.Context(), vm) {
		if p.State != "paused" {
			continue
		}
		if _, err := the.Node(p.Node).Virsh(t.Context(), "resume", vm); err != nil {
			t.Fatal(err)
		}
		if err := the.WaitVM(t.Context(), vm); err != nil {
			t.Fatal(err)
		}
	}
}

// park lets a VM that runs on one host stand still until a test uses it.
func park(ctx context.Context, l *lab.Lab, vm string) {
	var on []string
	for _, p := range l.Where(ctx, vm) {
		if p.Known && p.State == "running" {
			on = append(on, p.Node)
		}
	}
	if len(on) != 1 {
		return
	}
	if _, err := l.Node(on[0]).Virsh(ctx, "suspend", vm); err == nil {
		parked.Lock()
		parked.asleep[vm] = true
		parked.Unlock()
	}
}
