//go:build lab

package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

// windowsDone counts the windows that the log of a folder has.
func windowsDone(t testing.TB, dir string) int {
	t.Helper()
	f, err := os.Open(filepath.Join(dir, logName))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h, _, err := readLog(f)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range h {
		n += len(e.windows)
	}
	return n
}

func until(t testing.TB, what string, good func() bool) {
	t.Helper()
	deadline := time.Now().Add(3 * time.Minute)
	for !good() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within three minutes", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// started runs a copy until some windows are done, and goes on behind.
func (b *bench) started(t testing.TB, c *Copy, dir string) chan error {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		done <- c.Run(t.Context(), func(p Progress) {
			if p.Waiting != "" {
				t.Log("waiting: " + p.Waiting)
			}
		})
	}()
	until(t, "some windows are done", func() bool { return windowsDone(t, dir) >= 2 })
	return done
}

func ways(t *testing.T, f func(t *testing.T, way model.DataPath)) {
	for _, way := range []model.DataPath{model.PathDirect, model.PathRelay} {
		t.Run(string(way), func(t *testing.T) { f(t, way) })
	}
}

// TestLabKilled: I2, the copying process is killed; another one goes on.
func TestLabKilled(t *testing.T) {
	ways(t, func(t *testing.T, way model.DataPath) {
		b := openLab(t)
		img := b.sparse(t, "a b.img", 1024, 8, 40)
		plan := Plan{Job: "killed", Files: same(img), Path: way, Dir: t.TempDir(), Bandwidth: 40 << 20}
		text, err := json.Marshal(order{b.ConfigPath(), "node1", "node2", plan})
		if err != nil {
			t.Fatal(err)
		}
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self)
		var said bytes.Buffer
		cmd.Stderr = &said
		cmd.Env = append(os.Environ(), childOrder+"="+string(text))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "some windows are done", func() bool { return windowsDone(t, plan.Dir) >= 2 })
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		// Nothing of the dead process stays on the hosts, without anybody's help.
		b.idle(t)
		had := windowsDone(t, plan.Dir)
		plan.Bandwidth = 0
		c := b.open(t, plan)
		defer c.Close()
		var first *Progress
		if err := c.Run(t.Context(), func(p Progress) {
			if first == nil && p.Bytes > 0 {
				first = &p
			}
		}); err != nil {
			t.Fatal(err, said.String())
		}
		if first == nil || first.Verified < int64(had)*windowBytes/2 {
			t.Errorf("%d windows were done, the next process begins with %+v", had, first)
		}
		if _, err := c.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.equal(t, img)
	})
}

// TestLabCut: the target's cable is pulled and put back; the copy goes on.
func TestLabCut(t *testing.T) {
	ways(t, func(t *testing.T, way model.DataPath) {
		b := openLab(t)
		img := b.sparse(t, "cut.img", 1024, 8, 40)
		plan := Plan{Job: "cut", Files: same(img), Path: way, Dir: t.TempDir(), Bandwidth: 30 << 20}
		c := b.open(t, plan)
		defer c.Close()
		done := b.started(t, c, plan.Dir)
		if err := b.to.CutLink(); err != nil {
			t.Fatal(err)
		}
		defer b.to.HealLink()
		until(t, "the copy waits", func() bool { return c.meter.progress().Waiting != "" })
		if err := b.to.HealLink(); err != nil {
			t.Fatal(err)
		}
		c.SetBandwidth(0)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if _, err := c.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.Close()
		b.equal(t, img)
		b.idle(t)
	})
}

// TestLabReboot: the target loses its power in the middle.
func TestLabReboot(t *testing.T) {
	b := openLab(t)
	img := b.sparse(t, "reboot.img", 1024, 8, 40)
	plan := Plan{Job: "reboot", Files: same(img), Dir: t.TempDir(), Bandwidth: 30 << 20}
	c := b.open(t, plan)
	defer c.Close()
	done := b.started(t, c, plan.Dir)
	if err := b.to.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, "the copy waits", func() bool { return c.meter.progress().Waiting != "" })
	if err := b.to.PowerOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.SetBandwidth(0)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.equal(t, img)
}

// TestLabDamage: what arrives damaged is found and sent again; what stays
// damaged is an error and never published.
func TestLabDamage(t *testing.T) {
	b := openLab(t)
	img := b.sparse(t, "damage.img", 512, 4, 40)
	damage := func(f *file, w window) {
		b.sh(t, b.to, `printf X | dd of="$1" bs=1 oflag=seek_bytes seek="$2" conv=notrunc,fsync status=none`, f.partial, itoa(w.off()+12345))
	}
	plan := Plan{Job: "damage", Files: same(img), Dir: t.TempDir()}
	c := b.open(t, plan)
	var once bool
	c.afterPut = func(f *file, w window) {
		if w.off() == f.windows[0].off() && !once {
			once = true
			damage(f, w)
		}
	}
	if err := c.Run(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if !once {
		t.Error("nothing was damaged")
	}
	if _, err := c.Publish(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	b.equal(t, img)

	plan.Files = []File{{Source: img, Target: img + ".2"}}
	c = b.open(t, plan)
	defer c.Close()
	c.afterPut = func(f *file, w window) {
		if w.off() == f.windows[0].off() {
			damage(f, w)
		}
	}
	err := c.Run(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "node2") {
		t.Errorf("damage is not found: %v", err)
	}
	t.Log(err)
	if _, err := c.Publish(t.Context()); err == nil {
		t.Error("a damaged file is published")
	}
}

// TestLabFull: no room to begin with, and a disk that fills up meanwhile.
func TestLabFull(t *testing.T) {
	ways(t, func(t *testing.T, way model.DataPath) {
		b := openLab(t)
		img := b.sparse(t, "full.img", 1024, 8, 40)
		plan := Plan{Job: "full", Files: same(img), Path: way, Dir: t.TempDir(), Bandwidth: 40 << 20}
		if err := b.to.FillImages(200 << 20); err != nil {
			t.Fatal(err)
		}
		c := b.open(t, plan)
		defer c.Close()
		err := c.Run(t.Context(), nil)
		if !errors.Is(err, errFull) || !strings.Contains(err.Error(), "node2") {
			t.Errorf("no room: %v", err)
		}
		t.Log(err)
		if err := b.to.UnfillImages(); err != nil {
			t.Fatal(err)
		}
		done := b.started(t, c, plan.Dir)
		if err := b.to.FillImages(4 << 20); err != nil {
			t.Fatal(err)
		}
		if err = <-done; !errors.Is(err, errFull) || !strings.Contains(err.Error(), "node2") {
			t.Errorf("no room any more: %v", err)
		}
		t.Log(err)
		if err := b.to.UnfillImages(); err != nil {
			t.Fatal(err)
		}
		c.SetBandwidth(0)
		if err := c.Run(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.equal(t, img)
	})
}

// TestLabChanged: what the log says of a source that was written to is void.
func TestLabChanged(t *testing.T) {
	b := openLab(t)
	img := b.sparse(t, "changed.img", 512, 4, 40)
	plan := Plan{Job: "changed", Files: same(img), Dir: t.TempDir(), Bandwidth: 40 << 20}
	c := b.open(t, plan)
	done := b.started(t, c, plan.Dir)
	b.sh(t, b.from, `printf changed | dd of="$1" bs=1M seek=1 conv=notrunc status=none`, img)
	c.SetBandwidth(0)
	if err := <-done; !errors.Is(err, ErrChanged) {
		t.Errorf("a changed source: %v", err)
	}
	if _, err := c.Publish(t.Context()); err == nil {
		t.Error("a copy of a changed source is published")
	}
	c.Close()
	plan.Bandwidth = 0
	b.whole(t, plan)
	b.equal(t, img)
}

// TestLabStopped: a cancel stops the processes on the hosts, Discard removes
// the rest, and a published file is removed only by Withdraw.
func TestLabStopped(t *testing.T) {
	ways(t, func(t *testing.T, way model.DataPath) {
		b := openLab(t)
		img := b.sparse(t, "stop.img", 512, 4, 40)
		plan := Plan{Job: "stop", Files: same(img), Path: way, Dir: t.TempDir(), Bandwidth: 10 << 20}
		c := b.open(t, plan)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx, nil) }()
		until(t, "some bytes are there", func() bool { return c.meter.progress().Copied > 8<<20 })
		began := time.Now()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a stopped copy: %v", err)
		}
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %s to stop", d)
		}
		c.Close()
		b.idle(t)
		for range 2 {
			if err := Discard(t.Context(), b.src, b.dst, plan); err != nil {
				t.Fatal(err)
			}
		}
		if left := b.sh(t, b.to, `ls "$1" | grep stop; true`, imagesDir); left != "" {
			t.Errorf("left: %s", left)
		}
		plan.Bandwidth = 0
		b.whole(t, plan)
		if err := Discard(t.Context(), b.src, b.dst, plan); err != nil {
			t.Fatal(err)
		}
		b.equal(t, img)
		if err := Withdraw(t.Context(), b.src, b.dst, plan); err != nil {
			t.Fatal(err)
		}
		if left := b.sh(t, b.to, `ls "$1" | grep stop; true`, imagesDir); left != "" {
			t.Errorf("left: %s", left)
		}
	})
}
