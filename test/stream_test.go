//go:build lab

package test

import (
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// plain is a guest with one disk, agent and web server.
var plain = lab.VMSpec{Name: "stream", Agent: true, HTTP: true, Autostart: true, Disks: []lab.DiskSpec{{SizeMiB: 96, FillMiB: 48}}}

// moved moves a VM and checks from outside that it arrived whole.
func moved(t *testing.T, vm string, more ...string) line {
	t.Helper()
	from := home(t, vm)
	to := other(from)
	end := watching(t, vm)
	m := begin(t, vm, to, more...)
	_, r := m.end()
	end()
	if r.Outcome != "done" || r.Owner != to || home(t, vm) != to {
		t.Fatalf("%+v\n%s", r, m.tail())
	}
	absent(t, vm, from)
	beats(t, vm, to, imageDir+vm+".qcow2")
	return r
}

// G1: four connections carry the memory.
func TestG1Parallel(t *testing.T) {
	ensure(t, plain)
	moved(t, plain.Name, "--parallel", "4")
}

func TestXBZRLE(t *testing.T) {
	ensure(t, plain)
	moved(t, plain.Name, "--compress", "xbzrle")
}

// What cannot be together is refused before anything is done, with what to do.
func TestStreamRefusals(t *testing.T) {
	ensure(t, plain)
	from := home(t, plain.Name)
	for _, tt := range []struct{ flags, want string }{
		{"--compress zstd", "--parallel 2"},
		{"--compress xbzrle --parallel 2", "single stream"},
		{"--parallel 2 --policy post-copy", "10.1"},
		{"--tls require", "TLS is required"},
	} {
		out := said(t, 3, append([]string{"plan", plain.Name, "--to", other(from)}, strings.Fields(tt.flags)...)...)
		if !strings.Contains(out, tt.want) {
			t.Errorf("%s: %s", tt.flags, out)
		}
	}
}

// G3: TLS with good certificates, by address and by name only, with parallel
// connections, and certificates that do not fit.
func TestG3TLS(t *testing.T) {
	ensure(t, plain)
	a, err := lab.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	give := func(n *lab.Node, a *lab.Authority, names ...string) {
		t.Helper()
		if err := n.GiveTLS(a, names...); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		for _, n := range the.Nodes {
			_ = n.TakeTLS()
		}
	})
	for _, n := range the.Nodes {
		give(n, a)
	}
	if out := said(t, 0, "plan", plain.Name, "--to", other(home(t, plain.Name)), "--tls", "auto"); !strings.Contains(out, "QEMU encrypts memory and disks with TLS") {
		t.Errorf("auto does not use it: %s", out)
	}
	moved(t, plain.Name, "--tls", "require")
	moved(t, plain.Name, "--tls", "require", "--parallel", "2")
	for _, n := range the.Nodes {
		give(n, a, n.Name)
	}
	if out := said(t, 0, "plan", plain.Name, "--to", other(home(t, plain.Name)), "--tls", "require"); !strings.Contains(out, "expected to show itself as node") {
		t.Errorf("the name: %s", out)
	}
	moved(t, plain.Name, "--tls", "require")

	closed := the.Node(other(home(t, plain.Name)))
	if _, err := closed.Exec(t.Context(), "chown", "root:root", "/etc/pki/qemu/server-key.pem"); err != nil {
		t.Fatal(err)
	}
	if out := said(t, 3, "plan", plain.Name, "--to", closed.Name, "--tls", "require"); !strings.Contains(out, "may not read /etc/pki/qemu/server-key.pem") {
		t.Errorf("a key that QEMU may not read: %s", out)
	}
	foreign, err := lab.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	from := home(t, plain.Name)
	give(the.Node(other(from)), foreign)
	if out := said(t, 3, "plan", plain.Name, "--to", other(from), "--tls", "require"); !strings.Contains(out, "does not trust the server certificate") {
		t.Errorf("a foreign authority: %s", out)
	}
	moved(t, plain.Name, "--tls", "auto")
}

// F13: the limit holds, also when it is changed while the move runs.
func TestF13Bandwidth(t *testing.T) {
	ensure(t, plain)
	from := home(t, plain.Name)
	end := watching(t, plain.Name)
	m := begin(t, plain.Name, other(from), "--bandwidth", "8")
	m.reach("the memory", time.Minute, isProgress)
	before := m.reach("a rate", time.Minute, func(l line) bool { return isProgress(l) && l.MemRate > 1<<20 })
	if before.MemRate > 9<<20 {
		t.Errorf("%d bytes a second with a limit of 8 MiB/s", before.MemRate)
	}
	must(t, 0, "tune", m.id, "--bandwidth", "64", "--max-downtime", "300ms")
	m.reach("the new limit", time.Minute, func(l line) bool { return isProgress(l) && l.Bandwidth == 64 })
	if _, r := m.end(); r.Outcome != "done" {
		t.Errorf("%+v", r)
	}
	end()
}

// said is all that a call printed that wants this exit code.
func said(t *testing.T, code int, args ...string) string {
	t.Helper()
	o := must(t, code, args...)
	return o.out + o.errOut
}
