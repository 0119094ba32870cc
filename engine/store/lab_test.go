//go:build lab

package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"horcrux/config"
	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/lab"
)

func TestMain(m *testing.M) {
	lab.InitIfChild()
	if order := os.Getenv(childOrder); order != "" {
		os.Exit(child(order))
	}
	os.Exit(m.Run())
}

const imagesDir = "/var/lib/libvirt/images"

// bench is the lab with a line to both nodes.
type bench struct {
	*lab.Lab
	src, dst *fleet.Node
	from, to *lab.Node
}

// openLab opens the lab that is up as
// horcrux lab up --prefix hk --subnet 10.81.0.0/24 --nodes 2 --vms none
func openLab(t testing.TB) *bench {
	t.Helper()
	l, err := lab.Open(os.Getenv("HORCRUX_LAB_DIR"), "hk")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Lab: l, from: l.Node("node1"), to: l.Node("node2")}
	f, err := openFleet(l.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	// A test that failed may have left a host hurt.
	for _, n := range []*lab.Node{b.from, b.to} {
		if err := n.PowerOn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(n.HealLink(), n.UnlimitRate(), n.UnfillImages(), n.UnblockPeers(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	b.src, _ = f.Node("node1")
	b.dst, _ = f.Node("node2")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, n := range []*fleet.Node{b.src, b.dst} {
		if err := n.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	b.clean(t)
	t.Cleanup(func() { b.clean(t) })
	return b
}

func openFleet(configPath string) (*fleet.Fleet, error) {
	cfg, err := config.Load(configPath)
	if err != nil {
		return nil, err
	}
	return fleet.Open(cfg, fleet.Options{Log: func(model.NodeName, string) {}}), nil
}

// clean empties the folders of images and checks that nothing of ours runs.
func (b *bench) clean(t testing.TB) {
	t.Helper()
	for _, n := range []*lab.Node{b.from, b.to} {
		if !n.Running() {
			continue
		}
		b.sh(t, n, `cd "$1" && find . -mindepth 1 -maxdepth 1 ! -name lost+found -exec rm -rf -- {} +`, imagesDir)
	}
}

// sh runs a script inside a host, past all of our own code.
func (b *bench) sh(t testing.TB, n *lab.Node, script string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := n.Exec(ctx, append([]string{"sh", "-c", script, "test"}, args...)...)
	if err != nil {
		t.Fatalf("%s: %v", n.Name, err)
	}
	return strings.TrimSpace(out)
}

// sparse makes a raw image of a size with runs of random data spread over it.
func (b *bench) sparse(t testing.TB, name string, sizeMiB, runs, runMiB int) string {
	t.Helper()
	file := path.Join(imagesDir, name)
	b.sh(t, b.from, `truncate -s "$2"M -- "$1"; i=0; while [ $i -lt $3 ]; do
dd if=/dev/urandom of="$1" bs=1M count="$4" seek=$((i*$2/$3+1)) conv=notrunc status=none; i=$((i+1)); done; sync -- "$1"`,
		file, fmt.Sprint(sizeMiB), fmt.Sprint(runs), fmt.Sprint(runMiB))
	return file
}

// equal checks from outside that both hosts have the same bytes, and that the
// holes are still holes.
func (b *bench) equal(t testing.TB, name string) {
	t.Helper()
	const script = `sha256sum <"$1"; stat -c %s -- "$1"`
	if s, d := b.sh(t, b.from, script, name), b.sh(t, b.to, script, name); s != d {
		t.Errorf("%s differs:\n%s\n%s", name, s, d)
	}
	const blocks = `echo $(($(stat -c '%b*%B' -- "$1")))`
	var s, d int64
	fmt.Sscan(b.sh(t, b.from, blocks, name), &s)
	fmt.Sscan(b.sh(t, b.to, blocks, name), &d)
	if d > s+s/10+1<<20 {
		t.Errorf("%s takes %d bytes on the target, %d on the source", name, d, s)
	}
}

// idle checks from outside that none of our processes runs on a host.
func (b *bench) idle(t testing.TB) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for _, n := range []*lab.Node{b.from, b.to} {
		for {
			out := b.sh(t, n, `for f in /proc/[0-9]*; do case $(readlink $f/exe) in */qemu-nbd|*/qemu-img|*/qemu-io) tr '\0' ' ' <$f/cmdline; echo;; esac; done`)
			if out == "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s still runs: %s", n.Name, out)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func (b *bench) open(t testing.TB, p Plan) *Copy {
	t.Helper()
	c, err := Open(t.Context(), b.src, b.dst, p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func same(names ...string) []File {
	var all []File
	for _, n := range names {
		all = append(all, File{Source: n, Target: n})
	}
	return all
}

// whole runs a plan to its end.
func (b *bench) whole(t testing.TB, p Plan) Proof {
	t.Helper()
	c := b.open(t, p)
	defer c.Close()
	var last Progress
	began := time.Now()
	if err := c.Run(t.Context(), func(p Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	proof, err := c.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	notes, err := c.Publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f s; %s; %s; %v", took.Seconds(), proof, last.PathReason, notes)
	if last.Bytes != last.Verified || last.Copied != last.Bytes || last.Bytes != proof.Bytes {
		t.Errorf("the figures do not agree: %+v, proof of %d", last, proof.Bytes)
	}
	return proof
}

func TestLabCopy(t *testing.T) {
	for _, way := range []model.DataPath{model.PathAuto, model.PathRelay} {
		t.Run(string(way), func(t *testing.T) {
			b := openLab(t)
			raw := b.sparse(t, "disk one 'a' \"b\" $(x).img", 1024, 5, 40)
			odd := b.sparse(t, "-odd.bin", 100, 3, 9)
			b.sh(t, b.from, `printf tail >>"$1"`, odd)
			small := path.Join(imagesDir, "nvram.fd")
			b.sh(t, b.from, `head -c 131072 /dev/urandom >"$1"; chown nobody:nogroup "$1"; chmod 640 "$1"`, small)
			empty := path.Join(imagesDir, "empty")
			b.sh(t, b.from, `: >"$1"`, empty)
			cow := path.Join(imagesDir, "c.qcow2")
			b.sh(t, b.from, `qemu-img convert -O qcow2 "$1" "$2"`, raw, cow)
			b.sh(t, b.from, `mkdir -p "$1/tpm2/sub" && head -c 3000 /dev/urandom >"$1/tpm2/sub/state x" && chmod 700 "$1" && chown -R nobody "$1"`, path.Join(imagesDir, "tpm"))
			files := same(raw, odd, small, empty, cow)
			files = append(files, File{Source: imagesDir + "/tpm", Target: imagesDir + "/tpm", Tree: true})
			b.whole(t, Plan{Job: "t1", Files: files, Path: way, Dir: t.TempDir()})
			for _, f := range []string{raw, odd, small, empty, cow} {
				b.equal(t, f)
			}
			const attrs = `stat -c '%U:%G %a' -- "$1"`
			for _, f := range []string{small, raw, imagesDir + "/tpm", imagesDir + "/tpm/tpm2/sub/state x"} {
				if s, d := b.sh(t, b.from, attrs, f), b.sh(t, b.to, attrs, f); s != d {
					t.Errorf("%s: %s became %s", f, s, d)
				}
			}
			if left := b.sh(t, b.to, `ls -a "$1" | grep partial; true`, imagesDir); left != "" {
				t.Errorf("left: %s", left)
			}
			b.idle(t)
		})
	}
}
