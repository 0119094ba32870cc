//go:build lab

package test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// A firewall that refuses connections at the ports of migrations looks as a host
// does on which nobody listens. The plan tells the two apart, and takes another
// way, or says what is in the way of the one that was asked for.
func TestAFirewallThatRefuses(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1")
	c := newConsole(t)
	plan := func(code int, args ...string) (way, findings string) {
		t.Helper()
		o := c.run(append([]string{"plan", "q1", "--to", "node2", "-o", "json"}, args...)...)
		if o.code != code {
			t.Fatalf("%v: exit code %d, want %d\n%s%s", args, o.code, code, o.out, o.errOut)
		}
		var p struct {
			Way      string
			WayWhy   string `json:"way_why"`
			Findings []struct{ ID, Detail, Remedy string }
		}
		if err := json.Unmarshal([]byte(o.out), &p); err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Findings {
			if f.ID == "data-path" {
				findings += f.Detail + "; " + f.Remedy
			}
		}
		return p.Way, findings
	}
	if way, why := plan(0, "--tls", "off"); way != "direct" || !strings.Contains(why, "node1 reaches node2") {
		t.Errorf("with nothing in between: %s, %s", way, why)
	}
	if err := the.Node("node2").RefuseMoves(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = the.Node("node2").UnblockPeers(context.Background()) })
	if way, why := plan(0, "--tls", "off"); way != "ssh" {
		t.Errorf("behind a firewall: %s, %s", way, why)
	}
	if _, why := plan(3, "--path", "direct"); !strings.Contains(why, "a firewall") || !strings.Contains(why, "49152 to 49215") {
		t.Errorf("asked for: %s", why)
	}
	c.must(0, "migrate", "q1", "--to", "node2", "--yes", "--tls", "off")
	if home(t, "q1") != "node2" {
		t.Error("q1 is not on node2")
	}
	beats(t, "q1", "node2", imageDir+"q1.qcow2")
}
