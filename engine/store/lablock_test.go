//go:build lab

package store

import (
	"path"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

// TestLabLock: while a copy is open no QEMU can open its source for writing,
// and reading it goes on.
func TestLabLock(t *testing.T) {
	b := openLab(t)
	img := b.sparse(t, "lock.img", 128, 2, 20)
	write := func() string { return b.sh(t, b.from, `qemu-io -f raw -c "write 0 512" "$1" 2>&1; true`, img) }
	plan := Plan{Job: "lock", Files: same(img), Dir: t.TempDir()}
	c := b.open(t, plan)
	if err := c.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if out := write(); !strings.Contains(out, "lock") {
		t.Errorf("the source can be written to during a copy: %s", out)
	}
	b.sh(t, b.from, `qemu-io -r -f raw -c "read 0 512" "$1"`, img)
	c.Close()
	until(t, "the lock is gone", func() bool { return strings.Contains(write(), "wrote 512") })
	b.idle(t)

	// And the other way round: somebody writes already.
	b.sh(t, b.from, `qemu-nbd --fork --pid-file=/tmp/w.pid -f raw -t -k /tmp/w.sock "$1"`, img)
	stop := func() {
		b.sh(t, b.from, `[ ! -f /tmp/w.pid ] || { p=$(cat /tmp/w.pid); rm -f /tmp/w.pid; kill $p; while [ -d /proc/$p ]; do sleep 0.05; done; }`)
	}
	defer stop()
	plan.Dir, plan.Job = t.TempDir(), "lock2"
	c = b.open(t, plan)
	defer c.Close()
	began := time.Now()
	err := c.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "node1") || !strings.Contains(err.Error(), "writes to one of them") {
		t.Errorf("a source that is written to: %v", err)
	}
	t.Log(time.Since(began), err)
}

// TestLabFrozenBase: a base is copied while a writer has an overlay over it,
// and the writer is not disturbed; a later pass copies the overlay alone.
func TestLabFrozenBase(t *testing.T) {
	b := openLab(t)
	base := b.sparse(t, "base.img", 256, 4, 20)
	top := path.Join(imagesDir, "top.qcow2")
	b.sh(t, b.from, `qemu-img create -q -f qcow2 -b "$1" -F raw "$2"`, base, top)
	b.sh(t, b.from, `qemu-nbd --fork --pid-file=/tmp/w.pid -f qcow2 -t -k /tmp/w.sock "$1"`, top)
	stop := func() {
		b.sh(t, b.from, `[ ! -f /tmp/w.pid ] || { p=$(cat /tmp/w.pid); rm -f /tmp/w.pid; kill $p; while [ -d /proc/$p ]; do sleep 0.05; done; }`)
	}
	defer stop()
	chain, err := Chain(t.Context(), b.src, top, true)
	if err != nil || len(chain) != 2 || chain[0].Format != "qcow2" || chain[1].Path != base || chain[1].Format != "raw" {
		t.Fatalf("%+v, %v", chain, err)
	}
	dir := t.TempDir()
	plan := Plan{Job: "base", Files: same(base), Dir: dir}
	c := b.open(t, plan)
	if err := c.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	b.sh(t, b.from, `qemu-io -f raw -c "write -P 7 1M 1M" "nbd:unix:/tmp/w.sock"`)
	if _, err := c.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	stop()
	plan.Files = append(plan.Files, same(top)...)
	c = b.open(t, plan)
	var last Progress
	if err := c.Run(t.Context(), func(p Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	proof, err := c.Verify(t.Context())
	if err != nil || len(proof.Files) != 2 {
		t.Fatal(proof, err)
	}
	t.Log(proof, last)
	if c.meter.arrived > 8<<20 {
		t.Errorf("the second pass carried %d bytes for 1 MiB", c.meter.arrived)
	}
	if _, err := c.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := Rebase(t.Context(), b.dst, top, "qcow2", base, "raw"); err != nil {
		t.Fatal(err)
	}
	if err := Commit(t.Context(), b.dst, top, "qcow2"); err != nil {
		t.Fatal(err)
	}
	if out := b.sh(t, b.to, `qemu-io -r -f raw -c "read -P 7 1M 1M" "$1"`, base); !strings.Contains(out, "read 1048576") {
		t.Error(out)
	}
	if out := b.sh(t, b.to, `qemu-img compare -f raw -F qcow2 "$1" "$2"`, base, top); !strings.Contains(out, "identical") {
		t.Error(out)
	}
}

// TestLabBlocked: nodes that do not reach each other copy through the console,
// and say why; whoever insists is told.
func TestLabBlocked(t *testing.T) {
	b := openLab(t)
	img := b.sparse(t, "blocked.img", 128, 2, 20)
	if err := b.to.BlockPeers(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer b.to.UnblockPeers(t.Context())
	c := b.open(t, Plan{Job: "blocked", Files: same(img), Dir: t.TempDir(), Path: model.PathDirect})
	err := c.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "node1") {
		t.Errorf("a direct copy through a wall: %v", err)
	}
	t.Log(err)
	c.Close()
	p := b.whole(t, Plan{Job: "blocked", Files: same(img), Dir: t.TempDir()})
	if p.Bytes < 40<<20 {
		t.Error(p)
	}
	b.equal(t, img)
}

// TestLabZstd: text over a slow line is compressed, with the reason.
func TestLabZstd(t *testing.T) {
	b := openLab(t)
	img := path.Join(imagesDir, "text.img")
	b.sh(t, b.from, `yes "a line that says little" | head -c 40000000 >"$1"`, img)
	c := b.open(t, Plan{Job: "zstd", Files: same(img), Dir: t.TempDir(), Path: model.PathRelay, Bandwidth: 50 << 20})
	defer c.Close()
	if err := c.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	why := c.meter.progress().PathReason
	t.Log(why)
	if !strings.Contains(why, "compressed by zstd") || !strings.Contains(why, "shrank") {
		t.Error(why)
	}
	if _, err := c.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.equal(t, img)
}

// TestLabNoReplace: a final name that is taken is refused before anything is
// copied, and again when it is taken meanwhile.
func TestLabNoReplace(t *testing.T) {
	b := openLab(t)
	img := b.sparse(t, "taken.img", 64, 1, 20)
	b.sh(t, b.to, `echo precious >"$1"`, img)
	plan := Plan{Job: "taken", Files: same(img), Dir: t.TempDir()}
	c := b.open(t, plan)
	if err := c.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "something is there already") {
		t.Error(err)
	}
	b.sh(t, b.to, `rm "$1"`, img)
	if err := c.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	b.sh(t, b.to, `echo precious >"$1"`, img)
	if _, err := c.Publish(t.Context()); err == nil || !strings.Contains(err.Error(), "something else has the name") {
		t.Error(err)
	}
	c.Close()
	if out := b.sh(t, b.to, `cat "$1"`, img); out != "precious" {
		t.Error(out)
	}
	if err := Withdraw(t.Context(), b.src, b.dst, plan); err == nil {
		t.Error("a file of somebody else is removed without a word")
	}
	if out := b.sh(t, b.to, `cat "$1"; ls "$2" | grep partial; true`, img, imagesDir); out != "precious" {
		t.Error(out)
	}
}
