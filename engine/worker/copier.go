package worker

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"horcrux/engine/fleet"
	"horcrux/engine/migrate"
	"horcrux/engine/model"
	"horcrux/engine/relay"
	"horcrux/engine/store"
	"horcrux/engine/virt"
)

// copier copies files for one job, by the two nodes' own tools.
type copier struct {
	src, dst *fleet.Node
	plan     store.Plan // without files
	open     *store.Copy
	batch    int
}

// copier makes the job's copier, nil if a node is not in the configuration.
func (p *process) copier() migrate.Copier {
	src, ok1 := p.fleet.Node(p.plan().From)
	dst, ok2 := p.fleet.Node(p.plan().To)
	if !ok1 || !ok2 {
		return nil
	}
	way := p.plan().Options.Path
	if p.plan().Way.BySockets() {
		way = p.plan().Way // the pre-flight has found out already
	}
	c := &copier{src: src, dst: dst, batch: -1, plan: store.Plan{
		Job: string(p.order.Job), Path: way, Bandwidth: p.plan().Options.Bandwidth << 20,
		Dir: filepath.Join(p.store.Dir(p.order.Job), "copy"),
	}}
	if way == model.PathSSH {
		c.plan.Tunnel = relay.NewFiles(p.order.Job, src, dst)
		c.plan.Detour = p.plan().Options.Path.Auto()
	}
	return c
}

// relay makes the job's relay, nil if a node is not in the configuration.
func (p *process) relay() migrate.Relay {
	src, ok1 := p.fleet.Node(p.plan().From)
	dst, ok2 := p.fleet.Node(p.plan().To)
	if !ok1 || !ok2 {
		return nil
	}
	if p.plan().Way == model.PathSSH {
		return relay.NewTunnel(p.order.Job, src, dst)
	}
	return relay.New(src, dst)
}

// detour makes the relay for a move whose way was not a person's choice, and
// which nothing forbids to go through this machine; nil for all others.
func (p *process) detour() func() migrate.Relay {
	src, ok1 := p.fleet.Node(p.plan().From)
	dst, ok2 := p.fleet.Node(p.plan().To)
	if !ok1 || !ok2 || p.plan().Way != model.PathSSH || !p.plan().Options.Path.Auto() {
		return nil
	}
	return func() migrate.Relay { return relay.New(src, dst) }
}

// Copy brings a batch over. Files that the target has already are not copied,
// only compared.
func (c *copier) Copy(ctx context.Context, batch int, files []model.FilePlan, limit func() uint64, report func(migrate.CopyProgress)) (string, error) {
	var same []string
	for _, f := range files {
		if !f.Present {
			continue
		}
		if err := c.Compare(ctx, f.Path); err != nil {
			return "", err
		}
		same = append(same, f.Path)
	}
	if err := c.use(ctx, batch, files); err != nil {
		return "", err
	}
	at := limit()
	c.open.SetBandwidth(at << 20)
	err := c.open.Run(ctx, func(p store.Progress) {
		if now := limit(); now != at {
			at = now
			c.open.SetBandwidth(at << 20)
		}
		report(migrate.CopyProgress{
			Total: uint64(max(p.Bytes, 0)), Done: uint64(max(p.Verified, 0)), Rate: uint64(max(p.Rate, 0)), Way: p.PathReason, Waiting: p.Waiting, Path: p.Path,
		})
	})
	if err != nil {
		return "", err
	}
	proof, err := c.open.Verify(ctx)
	if err != nil {
		return "", err
	}
	s := proof.String()
	if len(same) > 0 {
		s += fmt.Sprintf("; sha256 of %d layer(s) that were there equal", len(same))
	}
	return s, nil
}

// use opens a batch, unless it is open.
func (c *copier) use(ctx context.Context, batch int, files []model.FilePlan) error {
	if c.open != nil && c.batch == batch {
		return nil
	}
	c.Release()
	open, err := store.Open(ctx, c.src, c.dst, c.of(files))
	if err != nil {
		return err
	}
	c.open, c.batch = open, batch
	return nil
}

func (c *copier) of(files []model.FilePlan) store.Plan {
	p := c.plan
	for _, f := range files {
		if !f.Present {
			p.Files = append(p.Files, store.File{Source: f.Path, Target: f.Path, Tree: f.Role == model.FileTPM, Parent: f.Role == model.FileTPM})
		}
	}
	return p
}

// Same reads disks on both nodes as their guests do.
func (c *copier) Same(ctx context.Context, pairs []migrate.DiskPair, report func(done, total int64)) (string, error) {
	var all []store.Pair
	for _, p := range pairs {
		all = append(all, store.Pair{Disk: p.Disk, Source: p.Source, Target: p.Target, Format: p.Format, Top: p.Top, InUse: p.InUse})
	}
	return store.Same(ctx, c.src, c.dst, all, report)
}

// Publish gives the files of a batch their names.
func (c *copier) Publish(ctx context.Context, batch int, files []model.FilePlan) error {
	if err := c.use(ctx, batch, files); err != nil {
		return err
	}
	_, err := c.open.Publish(ctx)
	return err
}

// Release lets go of the lock on the source's files.
func (c *copier) Release() {
	if c.open != nil {
		c.open.Close()
	}
	c.open, c.batch = nil, -1
}

// Discard ends what runs on the nodes; the files are in the journal.
func (c *copier) Discard(ctx context.Context) error {
	c.Release()
	return store.Discard(ctx, c.src, c.dst, c.plan)
}

// Compare reads a file on both nodes.
func (c *copier) Compare(ctx context.Context, name string) error {
	type answer struct {
		sum string
		err error
	}
	sum := func(n *fleet.Node) <-chan answer {
		out := make(chan answer, 1)
		go func() {
			res, err := n.Exec(ctx, []string{"sha256sum", "-b", "--", name}, nil)
			if err == nil {
				err = res.Failed("sha256sum on " + string(n.Name()))
			}
			s, _, _ := strings.Cut(strings.TrimPrefix(string(res.Stdout), "\\"), " ")
			out <- answer{s, err}
		}()
		return out
	}
	a, b := sum(c.src), sum(c.dst)
	there, here := <-a, <-b
	for _, x := range []answer{there, here} {
		if x.err != nil {
			return fmt.Errorf("cannot compare %s: %w", virt.Clean(name), x.err)
		}
	}
	if there.sum != here.sum || len(here.sum) != 64 {
		return fmt.Errorf("%s has another %s than %s: move it away there, or rename it on %s", c.dst.Name(), virt.Clean(name), c.src.Name(), c.src.Name())
	}
	return nil
}
