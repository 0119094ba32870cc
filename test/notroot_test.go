//go:build lab

package test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"horcrux/lab"
)

// TestMoveWithoutRoot: a user of the group libvirt is told before a move what it
// lacks; with sudo = true it moves VMs like root.
func TestMoveWithoutRoot(t *testing.T) {
	ensure(t, lab.VMSpec{Name: "far", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 512, FillMiB: 256}}})
	from := home(t, "far")
	to := other(from)
	for _, n := range the.Nodes {
		script := "userdel -rf ops 2>/dev/null; useradd -m -G libvirt ops && usermod -p '*' ops && mkdir -p ~ops/.ssh && cp /root/.ssh/authorized_keys ~ops/.ssh/ && chown -R ops ~ops/.ssh; " +
			"mkdir -p /etc/sudoers.d; echo 'ops ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/ops; chmod 440 /etc/sudoers.d/ops"
		if _, err := n.Exec(t.Context(), "sh", "-c", script); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { n.Exec(context.Background(), "sh", "-c", "rm -f /etc/sudoers.d/ops; userdel -rf ops") }) //nolint:errcheck // the test is over
	}
	text, err := os.ReadFile(the.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	// The lab's configuration names root for all nodes in [ssh].
	config := filepath.Join(t.TempDir(), "config.toml")
	write := func(sudo string) {
		changed := bytes.Replace(text, []byte("[ssh]\n"), []byte("[ssh]\nsudo = "+sudo+"\nuser = \"ops\"\n"), 1)
		changed = bytes.ReplaceAll(changed, []byte("user = \"root\"\n"), nil)
		if !bytes.Contains(changed, []byte("ops")) {
			t.Fatalf("no [ssh] in the lab's configuration:\n%s", text)
		}
		if err := os.WriteFile(config, changed, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("false")
	o := horcrux(t, "--config", config, "migrate", "far", "--to", to, "--yes")
	if o.code != 3 || !strings.Contains(o.errOut, "ops") || !strings.Contains(o.errOut, "sudo = true") || home(t, "far") != from {
		t.Errorf("exit code %d: %s%s", o.code, o.out, o.errOut)
	}
	d := horcrux(t, "--config", config, "doctor")
	if !strings.Contains(d.out, "rights") {
		t.Errorf("doctor does not name it: %s", d.out)
	}
	write("true")
	watched(t, "far", func() { must(t, 0, "--config", config, "migrate", "far", "--to", to, "--yes") })
	if home(t, "far") != to {
		t.Errorf("far is not on %s", to)
	}
	absent(t, "far", from)
	beats(t, "far", to, imageDir+"far.qcow2")
}
