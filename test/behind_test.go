//go:build lab

package test

import (
	"context"
	"os"
	"strings"
	"testing"

	"horcrux/lab"
)

// TestBehindANode: one node of the move is reached by nobody but a third node, and
// only by SSH. All modes go through that one, to it and back.
func TestBehindANode(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wbehind", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 64, FillMiB: 8}}})
	stopAfter(t, s.Name)
	hidden := the.Node(other(from))
	var door *lab.Node
	for _, n := range the.Nodes {
		if n.Name != from && n != hidden {
			door = n
		}
	}
	if err := hidden.Behind(t.Context(), door); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hidden.UnblockPeers(context.Background()) }) //nolint:errcheck // a host that is off has no rules
	c := newConsole(t)
	o := c.run("plan", s.Name, "--to", hidden.Name)
	if o.code != 3 || !strings.Contains(o.out+o.errOut, hidden.Name) {
		t.Fatalf("%s was reached past the door: exit code %d: %s%s", hidden.Name, o.code, o.out, o.errOut)
	}
	text, err := os.ReadFile(c.config)
	if err != nil {
		t.Fatal(err)
	}
	name := "name = \"" + hidden.Name + "\"\n"
	through := strings.Replace(string(text), name, name+"jump = \"root@"+door.Address+"\"\n", 1)
	if err := os.WriteFile(c.config, []byte(through), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"live", "online", "block", "offline"} {
		t.Run(mode, func(t *testing.T) {
			from, err := s.owner(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if mode == "offline" {
				s.boots++
			}
			stop := observe(s)
			defer stop()
			id, o := c.move(s, other(from), "--mode", mode)
			if o.code != 0 {
				t.Fatalf("exit code %d: %s%s", o.code, o.out, o.errOut)
			}
			if at, err := s.owner(t.Context()); at == from || err != nil {
				t.Errorf("it is on %s: %v", at, err)
			}
			stop() // what the guest says afterwards is not on the disk that is read here
			if _, bad := s.judge(t.Context()); len(bad) > 0 {
				c.fail(t, id, bad)
			}
			noSockets(t)
		})
	}
}
