package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"
)

// tries is how often a window is sent again when the target read back
// something else.
const tries = 3

// transfer sends, reads back and records the windows of all files, several
// files and several windows at once.
func (c *Copy) transfer(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	t := &turn{c: c, flight: make(chan struct{}, inFlight), put: make(chan struct{}, putStreams)}
	for _, f := range c.files {
		g.Go(func() error {
			if f.Tree {
				return c.tree(ctx, f)
			}
			return t.file(ctx, f)
		})
	}
	return g.Wait()
}

// turn lets so many windows be in flight, and so many be sent.
type turn struct {
	c           *Copy
	flight, put chan struct{}
}

func take(ctx context.Context, slots chan struct{}) error {
	select {
	case slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *turn) file(ctx context.Context, f *file) error {
	if len(f.todo) == 0 {
		return t.c.complete(ctx, f)
	}
	small, err := t.c.relay.open(ctx, f)
	if err != nil {
		return err
	}
	big := small
	if t.c.direct != nil {
		if big, err = t.c.direct.open(ctx, f); err != nil {
			return err
		}
	}
	defer small.close()
	defer big.close()
	g, within := errgroup.WithContext(ctx)
	for _, w := range f.todo {
		if err := take(within, t.flight); err != nil {
			break
		}
		by := big
		if w.small {
			by = small
		}
		g.Go(func() error {
			defer func() { <-t.flight }()
			return t.window(within, f, w, by)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return t.c.complete(ctx, f)
}

// window brings one window over: it is recorded only when the target's disk
// was read and holds what the source holds.
func (t *turn) window(ctx context.Context, f *file, w window, by carrier) error {
	var there string
	for try := range tries {
		want, err := t.send(ctx, w, by, try > 0 || !f.fresh)
		if err != nil {
			return err
		}
		if t.c.afterPut != nil {
			t.c.afterPut(f, w)
		}
		if there, err = t.c.dstHash.sum(ctx, f.partial, w, f.readBy); err != nil {
			return err
		}
		if there == want {
			if err := t.c.log.write(record{Kind: recWindow, Target: f.Target, Window: w.id(), Sum: want, Bytes: w.bytes()}); err != nil {
				return err
			}
			t.c.meter.equal(f.Target, w.bytes())
			return nil
		}
	}
	return fmt.Errorf("cannot copy %s to %s: at %d the disk of %s holds something else than was sent, %d times",
		f.Source, f.partial, w.off(), t.c.dst.Name(), tries)
}

func (t *turn) send(ctx context.Context, w window, by carrier, again bool) (string, error) {
	if err := take(ctx, t.put); err != nil {
		return "", err
	}
	defer func() { <-t.put }()
	return by.put(ctx, w, again)
}

// ErrChanged says that the source was written to during the copy.
var ErrChanged = errors.New("the source has changed since the copy began")

// complete is the end of a file: all its windows are there. It looks at what no
// window covers, at the source once more, and flushes the rest.
func (c *Copy) complete(ctx context.Context, f *file) error {
	known, ok := c.log.entry(f.Target)
	if !ok || known.published {
		return nil
	}
	if err := c.unchanged(ctx, f, known); err != nil {
		return err
	}
	if known.verified {
		return nil
	}
	if err := c.holes(ctx, f); err != nil {
		return err
	}
	if _, err := run(ctx, c.dst, "flush "+f.partial, nil, "sh", "-c", finishScript, "horcrux-copy", f.partial, strconv.FormatInt(f.was.Size, 10)); err != nil {
		return err
	}
	var bytes int64
	h := newRoot()
	for _, w := range f.windows {
		d, ok := c.log.window(f.Target, w.id())
		if !ok {
			return fmt.Errorf("cannot finish %s: a window at %d is not recorded", f.Target, w.off())
		}
		h.add(w, d.sum)
		bytes += d.bytes
	}
	return c.log.write(record{Kind: recVerified, Target: f.Target, Sum: h.sum(), Bytes: bytes})
}

// covered lists what windows cover, up to the end of the last block.
func covered(all []extent) []extent {
	out := append([]extent(nil), all...)
	if n := len(out); n > 0 {
		out[n-1].len = roomFor(out[n-1].end()) - out[n-1].off
	}
	return out
}

// finishScript gives a partial file its exact size and flushes it.
const finishScript = `truncate -s "$2" -- "$1" && sync -- "$1"`

func (c *Copy) unchanged(ctx context.Context, f *file, known entry) error {
	now, err := Look(ctx, c.src, f.Source)
	if err != nil {
		return err
	}
	if !now.same(known.was) {
		return fmt.Errorf("cannot go on with %s on %s: %w; the next attempt copies it anew", f.Source, c.src.Name(), ErrChanged)
	}
	return nil
}

// holes proves that the target has nothing but zeros where the source has holes.
func (c *Copy) holes(ctx context.Context, f *file) error {
	there, err := extents(ctx, c.dst, f.partial, roomFor(f.was.Size), 0)
	if err != nil {
		return err
	}
	for _, e := range outside(there, covered(f.extents)) {
		_, err := runSupervised(ctx, c.dst, "look for zeros in "+f.partial, "cmp", "-s", "-n", fmt.Sprint(e.len), "-i", fmt.Sprintf("%d:0", e.off), "--", f.partial, "/dev/zero")
		var failed *runError
		if errors.As(err, &failed) && failed.code == 1 {
			return fmt.Errorf("cannot finish %s on %s: at %d it holds data where the source has none; remove it and copy again", f.partial, c.dst.Name(), e.off)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
