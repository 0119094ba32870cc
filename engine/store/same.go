package store

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"horcrux/engine/model"
)

// Pair is one disk as an image on either node, whose files may differ although
// a guest reads the same from both.
type Pair struct {
	Disk           string // what to call it: "vda"
	Source, Target string
	Format         string // of both: raw or qcow2
	Top            bool   // what lies under the images is left out
	InUse          bool   // by QEMUs whose guests are paused
}

// Same reads the disks on both nodes, as a guest sees them, and compares the
// sha256 of every part that holds data on either. An error that is model.ErrDiffer
// says that they are not equal. Nobody may write to them meanwhile. report, if not
// nil, hears how many of the bytes were compared.
func Same(ctx context.Context, src, dst Node, pairs []Pair, report func(done, total int64)) (string, error) {
	var total, done int64
	var work []compared
	for _, p := range pairs {
		parts, err := p.parts(ctx, src, dst)
		if err != nil {
			return "", err
		}
		for _, w := range parts {
			total += w.bytes
		}
		work = append(work, parts...)
	}
	from, err := newComparer(ctx, src)
	if err != nil {
		return "", err
	}
	defer from.close()
	to, err := newComparer(ctx, dst)
	if err != nil {
		return "", err
	}
	defer to.close()
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(hashStreams)
	for _, w := range work {
		g.Go(func() error {
			if err := w.compare(ctx, from, to); err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			done += w.bytes
			if report != nil {
				report(done, total)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	return fmt.Sprintf("sha256 of %d disk(s) equal on both nodes as the guest sees them, %s read on each", len(pairs), size(total)), nil
}

// parts asks both nodes where the disk has data and cuts it into what is
// compared in one go.
func (p Pair) parts(ctx context.Context, src, dst Node) ([]compared, error) {
	source, err := pieces(ctx, src, p.Source, p)
	if err != nil {
		return nil, err
	}
	target, err := pieces(ctx, dst, p.Target, p)
	if err != nil {
		return nil, err
	}
	if a, b := endOf(source), endOf(target); a != b {
		return nil, fmt.Errorf("%w: %s has %d bytes on %s and %d on %s", model.ErrDiffer, p.Disk, a, src.Name(), b, dst.Name())
	}
	return cut(p.Disk, source, target), nil
}

// pieces asks a node in which files, and where in them, the data of an image
// are. A guest reads zeros everywhere else.
func pieces(ctx context.Context, n Node, name string, p Pair) ([]piece, error) {
	if err := checkPath(name); err != nil {
		return nil, err
	}
	if p.Format != "raw" && p.Format != "qcow2" {
		return nil, fmt.Errorf("cannot compare %s: its format is %q, and only raw and qcow2 can be", name, p.Format)
	}
	described := map[string]any{"driver": p.Format, "file": map[string]any{"driver": "file", "filename": name}}
	layers := []string{name}
	var err error
	switch {
	case p.Format == "raw":
	case p.Top:
		described["backing"] = nil
	default:
		if layers, err = layersOf(ctx, n, name, p.InUse); err != nil {
			return nil, err
		}
	}
	what := "find the data of " + name
	image, err := asJSON(described)
	if err != nil {
		return nil, err
	}
	args := []string{image}
	if p.InUse {
		args = []string{"-U", image}
	}
	return mapped(ctx, n, what, args, func(r io.Reader) ([]piece, error) { return readPieces(r, layers) })
}

// layersOf lists the files that hold the data of an image, from the top.
func layersOf(ctx context.Context, n Node, name string, inUse bool) ([]string, error) {
	chain, err := Chain(ctx, n, name, inUse)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, i := range chain {
		file := i.Path
		if i.DataFile != "" {
			file = i.DataFile
		}
		if err := checkPath(file); err != nil {
			return nil, err
		}
		out = append(out, file)
	}
	return out, nil
}

// compare hashes one part on both nodes at the same time.
func (c compared) compare(ctx context.Context, from, to *comparer) error {
	var a, b string
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) { a, err = from.sum(ctx, c.source); return err })
	g.Go(func() (err error) { b, err = to.sum(ctx, c.target); return err })
	if err := g.Wait(); err != nil {
		return err
	}
	if a != b {
		return fmt.Errorf("%w: %s on %s differs from that on %s somewhere from %d to %d", model.ErrDiffer, c.disk, to.node.Name(), from.node.Name(), c.from, c.to)
	}
	return nil
}

// piecesScript answers each request, lines of a file and of a place in it that
// end with an empty line, with the sha256 of all of it, or with what went wrong,
// and a dot. What it read does not stay in memory.
const piecesScript = `case $1 in openssl) h() { openssl dgst -sha256 -r; };; *) h() { sha256sum; };; esac
while IFS= read -r begin; do
{ while IFS= read -r f && [ -n "$f" ] && IFS=' ' read -r off len; do
flags=skip_bytes,count_bytes,fullblock
[ "$f" = /dev/zero ] || flags=$flags,nocache
dd if="$f" bs=1M iflag=$flags skip=$off count=$len status=none 2>&4
done | h; } 4>&1
echo .
done`

// comparer is a pool of sessions on one node that hash pieces.
type comparer struct{ *hashers }

func newComparer(ctx context.Context, n Node) (*comparer, error) {
	t, err := Probe(ctx, n)
	if err == nil {
		err = t.lacking(n)
	}
	if err != nil {
		return nil, err
	}
	h := newHashers(n, t, hashStreams)
	h.script = piecesScript
	return &comparer{h}, nil
}

func (c *comparer) sum(ctx context.Context, all []piece) (string, error) {
	var b strings.Builder
	b.WriteString("begin\n")
	for _, p := range all {
		fmt.Fprintf(&b, "%s\n%d %d\n", p.name(), p.at, p.len)
	}
	b.WriteString("\n")
	what := "hash the disk"
	if len(all) > 0 {
		what = fmt.Sprintf("hash %s at %d", all[0].name(), all[0].at)
	}
	return c.request(ctx, what, b.String())
}
