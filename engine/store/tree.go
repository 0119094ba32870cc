package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"horcrux/engine/virt"
)

// maxTree bounds a folder: the states of vTPMs have some hundred KiB.
const maxTree = 64 << 20

// treeScript prints how many bytes the files of a folder have and a hash over
// all names, modes, links and contents in it. Anything but files, folders and
// links is refused.
const treeScript = `cd -- "$1" || exit 1
odd=$(find . ! -type f ! -type d ! -type l ! -type s -print -quit)
[ -z "$odd" ] || { echo "$odd is neither a file nor a folder" >&2; exit 1; }
find . -type f -printf '%s\n' | { n=0; while read -r s; do n=$((n+s)); done; echo "$n"; }
{ find . -type f -printf 'f %m %s %p\0' -o -type l -printf 'l %p %l\0' -o -type d -printf 'd %m %p\0' | LC_ALL=C sort -z
find . -type f -print0 | LC_ALL=C sort -z | xargs -0 -r sha256sum -b
} | sha256sum`

// packTreeScript and unpackTreeScript carry a folder. Sockets are left out:
// whoever needs one makes it anew.
const (
	packTreeScript   = `cd -- "$1" && find . \( -type f -o -type d -o -type l \) -print0 | LC_ALL=C sort -z | tar --null --no-recursion -T - -cf -`
	unpackTreeScript = `umask 077
[ -z "$2" ] || [ -d "$2" ] || mkdir -m 711 -- "$2" || exit 1
rm -rf -- "$1" && mkdir -- "$1" && tar -C "$1" -xpf - && sync -f "$1" && stat -c %i -- "$1"`
)

func hashTree(ctx context.Context, n Node, name string) (sum string, bytes int64, err error) {
	what := "hash the folder " + name
	out, err := runSupervised(ctx, n, what, "sh", "-c", treeScript, "horcrux-copy", name)
	if err != nil {
		return "", 0, err
	}
	first, second, _ := strings.Cut(strings.TrimSpace(out), "\n")
	sum, _, _ = strings.Cut(second, " ")
	if bytes, err = strconv.ParseInt(first, 10, 64); err != nil || !isSum(sum) {
		return "", 0, fmt.Errorf("cannot %s on %s: it says %q", what, n.Name(), virt.Clean(out))
	}
	if bytes > maxTree {
		return "", 0, fmt.Errorf("cannot copy the folder %s from %s: it holds %s, more than %s", name, n.Name(), size(bytes), size(maxTree))
	}
	return sum, bytes, nil
}

// tree copies a folder in one piece. It is small: what a break leaves is made anew.
func (c *Copy) tree(ctx context.Context, f *file) error {
	known, logged := c.log.entry(f.Target)
	if logged && known.published {
		c.meter.file(f.File, known.bytes, known.bytes)
		return nil
	}
	was, err := Look(ctx, c.src, f.Source)
	if err != nil {
		return err
	}
	if was.Kind != KindDir {
		return fmt.Errorf("cannot copy %s from %s as a folder: it is a %s", f.Source, c.src.Name(), was.Kind)
	}
	sum, bytes, err := hashTree(ctx, c.src, f.Source)
	if err != nil {
		return err
	}
	if logged && known.verified && known.source == f.Source && known.sum == sum {
		if there, _, err := hashTree(ctx, c.dst, f.partial); err == nil && there == sum {
			c.meter.file(f.File, bytes, bytes)
			return nil
		}
		if final, err := Look(ctx, c.dst, f.Target); err == nil && final.Inode == known.inode {
			c.meter.file(f.File, bytes, bytes)
			return c.log.write(record{Kind: recPublished, Target: f.Target})
		}
	}
	if err := c.nothingThere(ctx, f.Target); err != nil {
		return err
	}
	c.meter.file(f.File, bytes, 0)
	inode, err := c.carryTree(ctx, f)
	if err != nil {
		return err
	}
	c.copied(f, bytes)
	there, _, err := hashTree(ctx, c.dst, f.partial)
	if err != nil {
		return err
	}
	if there != sum {
		return fmt.Errorf("cannot copy the folder %s to %s: what arrived is not equal; somebody changes it", f.Source, c.dst.Name())
	}
	if err := c.log.write(record{Kind: recFile, Job: c.plan.Job, Target: f.Target, Source: f.Source, Was: &was, Inode: inode}); err != nil {
		return err
	}
	c.meter.equal(f.Target, bytes)
	return c.log.write(record{Kind: recVerified, Target: f.Target, Sum: sum, Bytes: bytes})
}

func (c *Copy) carryTree(ctx context.Context, f *file) (inode uint64, err error) {
	what := "copy the folder " + f.Source
	from, err := c.src.Start(ctx, []string{"sh", "-c", packTreeScript, "horcrux-copy", f.Source})
	if err != nil {
		return 0, &lineError{what, string(c.src.Name()), err}
	}
	defer from.Close()
	parent := "" // made with the mode that libvirt gives the folder of all TPMs
	if f.Parent {
		parent = path.Dir(f.partial)
	}
	in := &capped{r: from, left: 2*maxTree + 1<<20}
	out, err := runLong(ctx, c.dst, "unpack "+f.partial, in, "sh", "-c", unpackTreeScript, "horcrux-copy", f.partial, parent)
	if text := virt.Clean(from.Stderr()); text != "" {
		return 0, &runError{what, string(c.src.Name()), text, 1}
	}
	var failed *runError
	if errors.As(err, &failed) && full(failed.why) {
		return 0, fmt.Errorf("%w: %w", errFull, err)
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(out), 10, 64)
}

// capped is a reader that ends where a folder cannot be that large.
type capped struct {
	r    io.Reader
	left int64
}

func (c *capped) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("too large")
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}
