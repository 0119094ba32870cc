//go:build lab

package lab

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func nothingLeft(t *testing.T, l *Lab) {
	t.Helper()
	if len(hostProcesses(l.paths)) > 0 || len(l.QEMUs()) > 0 {
		t.Error("processes are left")
	}
	links, err := whole(netlink.LinkList)
	must(t, err)
	for _, link := range links {
		if strings.HasPrefix(link.Attrs().Name, l.Prefix+"-") {
			t.Errorf("the link %s is left", link.Attrs().Name)
		}
	}
	if loops := loopsOf(l.paths.state()); len(loops) > 0 {
		t.Errorf("loop devices are left: %v", loops)
	}
	mounts, err := readMounts()
	must(t, err)
	for _, m := range mounts {
		if strings.HasPrefix(m.point, l.paths.state()) {
			t.Errorf("the mount %s is left", m.point)
		}
	}
	for _, p := range []string{l.paths.state(), l.paths.lock()} {
		if fileExists(p) {
			t.Errorf("%s is left", p)
		}
	}
}

// TestInterrupted ends an Up at several moments and expects nothing left.
func TestInterrupted(t *testing.T) {
	o := Options{Prefix: "hli", Subnet: "10.78.8.0/24", VMs: MinimalVMs()}
	must(t, Down(context.Background(), o))
	for _, after := range []time.Duration{50, 150, 300, 500, 900, 2000} {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), after*time.Millisecond)
		l, err := Up(ctx, o)
		cancel()
		if late := time.Since(start) - after*time.Millisecond; late > 5*time.Second {
			t.Errorf("ended after %s, it returned %s later", after*time.Millisecond, late)
		}
		t.Logf("after %s: %v", after*time.Millisecond, err)
		if err == nil {
			must(t, l.Down(context.Background()))
		}
		l, err = newLab(o.withDefaults())
		must(t, err)
		nothingLeft(t, l)
	}
}

// TestCrashed leaves a lab as a killed Up would, and repairs it with Down.
func TestCrashed(t *testing.T) {
	ctx := context.Background()
	o := Options{Prefix: "hlc", Subnet: "10.78.9.0/24", Nodes: 2}
	l, err := Up(ctx, o)
	must(t, err)
	must(t, os.Remove(l.paths.file(stateName)))
	must(t, unix.Kill(l.Nodes[0].PID(), unix.SIGKILL))
	if _, err := Up(ctx, o); err == nil || !strings.Contains(err.Error(), "lab down") {
		t.Errorf("up over a half-dead lab: %v", err)
	}
	must(t, Down(ctx, o))
	must(t, Down(ctx, o))
	nothingLeft(t, l)
}
