//go:build lab

package test

import (
	"context"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"horcrux/lab"
)

// quoted writes a text as it may stand in XML, line breaks included.
func quoted(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// baptize makes a copy of a VM under a name and with a disk that a person would
// not choose, and gives its UUID.
func baptize(t *testing.T, node *lab.Node, from, name, image string, n int) string {
	t.Helper()
	ctx := t.Context()
	text, err := node.Virsh(ctx, "dumpxml", "--inactive", from)
	if err != nil {
		t.Fatal(err)
	}
	vm, _ := the.VM(from)
	uuid := fmt.Sprintf("00000000-0000-4000-8000-0000000000%02x", n)
	text = strings.NewReplacer(
		"<name>"+from+"</name>", "<name>"+quoted(t, name)+"</name>", vm.UUID, uuid,
		vm.MAC, fmt.Sprintf("52:54:00:77:00:%02x", n), "'"+vm.Disks[0].Path()+"'", "'"+quoted(t, image)+"'",
	).Replace(text)
	if _, err := node.Exec(ctx, "cp", "--", vm.Disks[0].Path(), image); err != nil {
		t.Fatal(err)
	}
	if _, err := node.ExecInput(ctx, text, "virsh", "-q", "-c", "qemu:///system", "define", "/dev/stdin"); err != nil {
		t.Fatal(err)
	}
	if _, err := node.Virsh(ctx, "start", uuid); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background() // that of the test has ended
		for _, h := range the.Nodes {
			h.Virsh(ctx, "destroy", uuid)                             //nolint:errcheck // wherever it is
			h.Virsh(ctx, "undefine", uuid)                            //nolint:errcheck // likewise
			h.Exec(ctx, "rm", "-f", "--", image, image+".moved-away") //nolint:errcheck // likewise
		}
	})
	return uuid
}

// runsOn asks the hosts themselves.
func runsOn(t *testing.T, uuid string) []string {
	t.Helper()
	var on []string
	for _, h := range the.Nodes {
		if s, err := h.Virsh(t.Context(), "domstate", uuid); err == nil && strings.TrimSpace(s) == "running" {
			on = append(on, h.Name)
		}
	}
	return on
}

// TestHostileNames: a VM whose name and whose disk's path are made to be read
// by a shell, by XML, or by a parser of options moves like any other, there and
// back, or is refused with a reason before anything is changed.
func TestHostileNames(t *testing.T) {
	ensure(t, lab.VMSpec{Name: "plain", Agent: true, State: lab.VMOff})
	h := the.Node("node1")
	for i, c := range []struct{ name, image string }{
		{"-rf $(touch pwned) `id`", "-rf $(touch pwned) `id`.qcow2"},
		{`a'b"c;d|e&f<g>h\i%s{x}*?~#!`, `a'b"c;d|e&f<g>h\i%s{x}*?~#!,file=x.qcow2`},
		{"--to node2 ü…", "new\nline.qcow2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			uuid := baptize(t, h, "plain", c.name, imageDir+c.image, i+1)
			listed := must(t, 0, "vms", "-o", "json")
			if !strings.Contains(listed.out, uuid) {
				t.Fatalf("it is not listed: %s", listed.out)
			}
			for _, to := range []string{"node2", "node1"} {
				o := horcrux(t, "migrate", uuid, "--to", to, "--yes", "-o", "json")
				if o.code == 3 {
					r := result(t, o.out)
					t.Logf("refused: %s; %s", r.Reason, r.Next)
					if r.Reason == "" || r.Next == "" || strings.Join(runsOn(t, uuid), " ") != "node1" {
						t.Errorf("%+v; it runs on %v", r, runsOn(t, uuid))
					}
					break
				}
				if on := runsOn(t, uuid); o.code != 0 || strings.Join(on, " ") != to {
					t.Fatalf("exit code %d; it runs on %v\n%s%s", o.code, on, o.out, o.errOut)
				}
			}
			for _, node := range the.Nodes {
				found, err := node.Exec(t.Context(), "find", "/root", "/tmp", "/var/lib/libvirt", "/srv", "-xdev", "-name", "pwned")
				if err != nil || strings.TrimSpace(found) != "" {
					t.Errorf("something was run on %s: %q %v", node.Name, found, err)
				}
			}
			must(t, 0, "audit", "verify")
		})
	}
}
