package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"horcrux/engine/tether"
	"horcrux/engine/transport"
	"horcrux/engine/virt"
)

// prepareScript makes an empty partial file of a size, for us alone to read,
// and sees to it that it is there after a crash. What was there under this name
// was ours: the name holds the job's.
const prepareScript = `set -C; umask 077
rm -f -- "$1" || exit 1
: >"$1" || exit 1
truncate -s "$2" -- "$1" || exit 1
sync -- "$1" "$(dirname -- "$1")" || exit 1`

// survey looks at both ends of a file and compares them with the log. What the
// log says of a source that is not the same any more, or of a partial file that
// is not ours any more, is void.
func (c *Copy) survey(ctx context.Context, f *file) error {
	now, err := Look(ctx, c.src, f.Source)
	if err != nil {
		return err
	}
	if now.Kind != KindFile {
		return fmt.Errorf("cannot copy %s from %s: it is a %s, and only files can be copied while a VM is off", f.Source, c.src.Name(), now.Kind)
	}
	f.was, f.fresh = now, false
	known, logged := c.log.entry(f.Target)
	valid := logged && known.source == f.Source && known.was.same(now)
	if valid && known.published {
		// Its final name may be in use by now: nothing more is done with it.
		f.todo, f.windows = nil, nil
		c.meter.file(f.File, known.bytes, known.bytes)
		return nil
	}
	if valid {
		there, err := Look(ctx, c.dst, f.partial)
		if err != nil && !errors.Is(err, ErrNotThere) {
			return err
		}
		valid = err == nil && there.Inode == known.inode && (there.Size == roomFor(now.Size) || there.Size == now.Size && known.verified)
		if err != nil && known.verified {
			// The crash may have come between the new name and its record.
			if final, err := Look(ctx, c.dst, f.Target); err == nil && final.Inode == known.inode && final.Size == now.Size {
				c.meter.file(f.File, known.bytes, known.bytes)
				return c.log.write(record{Kind: recPublished, Target: f.Target})
			}
		}
	}
	if err := c.nothingThere(ctx, f.Target); err != nil {
		return err
	}
	if !valid {
		if err := c.begin(ctx, f); err != nil {
			return err
		}
	}
	if err := c.modes(ctx, f); err != nil {
		return err
	}
	if f.extents, err = extents(ctx, c.src, f.Source, now.Size, nearHole); err != nil {
		return err
	}
	f.windows, f.todo = windows(f.extents, now.Size), nil
	var had int64
	for _, w := range f.windows {
		if d, ok := c.log.window(f.Target, w.id()); ok {
			had += d.bytes
			continue
		}
		f.todo = append(f.todo, w)
	}
	c.meter.file(f.File, bytesOf(f.extents), had)
	return nil
}

// roomFor is the size of a partial file while it grows: whole blocks, since
// QEMU writes past the cache only to such files.
func roomFor(size int64) int64 { return (size + block - 1) / block * block }

// begin makes the partial file anew and writes down that it is ours.
func (c *Copy) begin(ctx context.Context, f *file) error {
	what := "create " + f.partial
	_, err := run(ctx, c.dst, what, nil, "sh", "-c", prepareScript, "horcrux-copy", f.partial, strconv.FormatInt(roomFor(f.was.Size), 10))
	if err != nil {
		var failed *runError
		if errors.As(err, &failed) && full(failed.why) {
			return fmt.Errorf("%w: %w", errFull, err)
		}
		return err
	}
	made, err := Look(ctx, c.dst, f.partial)
	if err != nil {
		return err
	}
	f.fresh = true
	was := f.was
	return c.log.write(record{Kind: recFile, Job: c.plan.Job, Target: f.Target, Source: f.Source, Was: &was, Inode: made.Inode})
}

// nothingThere refuses a final name that is taken, before anything is copied.
func (c *Copy) nothingThere(ctx context.Context, target string) error {
	_, err := Look(ctx, c.dst, target)
	if errors.Is(err, ErrNotThere) {
		return nil
	}
	if err != nil {
		return err
	}
	return fmt.Errorf("cannot copy to %s on %s: something is there already, and we replace nothing", target, c.dst.Name())
}

// extents asks a node where a file has data.
func extents(ctx context.Context, n Node, name string, size int64, gap int64) ([]extent, error) {
	if size == 0 {
		return nil, nil
	}
	what := "find the holes of " + name
	image, err := asJSON(map[string]any{"driver": "raw", "file": map[string]any{"driver": "file", "filename": name}})
	if err != nil {
		return nil, err
	}
	return mapped(ctx, n, what, []string{image}, func(r io.Reader) ([]extent, error) { return readMap(r, size, gap) })
}

// mapped has qemu-img map an image, and gives what read makes of it.
func mapped[T any](ctx context.Context, n Node, what string, args []string, read func(io.Reader) (T, error)) (none T, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := n.Start(ctx, tether.Command(append([]string{"qemu-img", "map", "--output=json"}, args...)...))
	if err != nil {
		return none, &lineError{what, string(n.Name()), err}
	}
	g := keep(s)
	defer g.release()
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	var head sniff
	all, err := read(&sniffed{s, &head})
	if err == nil {
		return all, nil
	}
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	if text := virt.Clean(inWords(s.Stderr())); text != "" {
		return none, &runError{what, string(n.Name()), text, 1}
	}
	if head.n == 0 {
		return none, &lineError{what, string(n.Name()), transport.ErrLost}
	}
	return none, fmt.Errorf("cannot %s on %s: %w", what, n.Name(), err)
}

// sniff counts what was read.
type sniff struct{ n int64 }

type sniffed struct {
	from transport.Stream
	into *sniff
}

func (s *sniffed) Read(b []byte) (int, error) {
	n, err := s.from.Read(b)
	s.into.n += int64(n)
	return n, err
}

// directScript tells whether a file can be read past the cache.
const directScript = `dd if="$1" of=/dev/null bs=4096 count=1 iflag=direct status=none`

// modes finds out how the partial file can be written and read: past the cache
// where its file system allows that.
func (c *Copy) modes(ctx context.Context, f *file) error {
	_, err := run(ctx, c.dst, "read past the cache", nil, "sh", "-c", directScript, "horcrux-copy", f.partial)
	var failed *runError
	switch {
	case err == nil:
		f.readBy, f.cacheMode = readDirect, []string{"--cache=none", "--aio=native"}
	case errors.As(err, &failed):
		f.readBy, f.cacheMode = readFresh, nil
	default:
		return err
	}
	return nil
}
