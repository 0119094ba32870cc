package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"horcrux/engine/model"
)

// Streams and sessions. sshd allows ten sessions on a connection unless told
// otherwise; with the lock, the servers and single commands we stay below.
const (
	putStreams  = 2 // windows on their way at once
	hashStreams = 2 // on each node
	inFlight    = 6 // windows being sent, hashed or compared
	filesAtOnce = 3
)

// carrier is a way for the data of one file.
type carrier interface {
	// put brings a window to the partial file and on the target's disk, and
	// gives the sha256 of what the source read. again says that there may be
	// something else already.
	put(ctx context.Context, w window, again bool) (sum string, err error)
	close()
}

// route is a way for data between the two nodes.
type route interface {
	open(ctx context.Context, f *file) (carrier, error)
	words() string // for a person: which way, and whether it is encrypted
}

var (
	_ route = (*direct)(nil)
	_ route = (*relay)(nil)
)

// Copy is an opened plan. Run, Verify and Publish may be called one after
// another, by one goroutine; SetBandwidth by any.
type Copy struct {
	src, dst           Node
	plan               Plan
	log                *log
	srcTools, dstTools Tools
	guard              *guard
	pace               *pace
	meter              *meter
	files              []*file

	direct  *direct
	relay   *relay
	srcHash *hashers
	dstHash *hashers

	// afterPut is called when a window was sent and not yet read again; tests
	// damage the target there.
	afterPut func(*file, window)
}

// file is one file of the plan, with what is known of both ends.
type file struct {
	File
	partial   string
	was       Stat
	fresh     bool     // the partial file was made in this attempt
	cacheMode []string // how qemu-nbd writes the partial file
	readBy    way      // how it is read again
	extents   []extent
	windows   []window
	todo      []window
}

// Open reads the log and asks both nodes for their tools. Nothing is changed on
// them. Close it.
func Open(ctx context.Context, src, dst Node, p Plan) (*Copy, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	l, err := openLog(p.Dir)
	if err != nil {
		return nil, err
	}
	c := &Copy{src: src, dst: dst, plan: p, log: l, pace: newPace(p.Bandwidth, putStreams), meter: newMeter()}
	for _, f := range p.Files {
		c.files = append(c.files, &file{File: f, partial: partial(f.Target, p.Job)})
	}
	for n, t := range map[Node]*Tools{src: &c.srcTools, dst: &c.dstTools} {
		if *t, err = Probe(ctx, n); err == nil {
			err = t.lacking(n)
		}
		if err != nil {
			c.Close()
			return nil, err
		}
	}
	return c, nil
}

// Close gives the lock on the source back and ends what runs for the copy.
// What is done stays done.
func (c *Copy) Close() {
	c.endHelpers()
	c.guard.release()
	c.log.close()
}

// SetBandwidth limits the copy from now on, in bytes a second, 0 for no limit.
// It takes effect with the next piece, after some seconds.
func (c *Copy) SetBandwidth(limit uint64) { c.pace.set(limit) }

func (c *Copy) copied(f *file, bytes int64) { c.meter.copied(f.Target, bytes) }

const (
	// patience is how long a copy waits for a node that cannot be reached.
	patience = 10 * time.Minute
	// fruitless is how many attempts in a row may bring nothing.
	fruitless = 4
)

// Run copies what is not there yet and proves it equal. It waits out a lost
// connection and goes on; other errors say which node, what, and why. After an
// error or a cancel everything that is proved is kept for the next call.
func (c *Copy) Run(ctx context.Context, report func(Progress)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ticker sync.WaitGroup
	defer ticker.Wait()
	defer cancel()
	if report != nil {
		ticker.Go(func() { c.meter.report(ctx, report) })
	}
	for idle := 0; ; {
		before := c.meter.verified()
		err := c.attempt(ctx)
		c.endHelpers()
		switch {
		case err == nil:
			if report != nil {
				report(c.meter.progress())
			}
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("the copy was stopped: %w", context.Cause(ctx))
		case !interrupted(err):
			return err
		}
		if idle++; c.meter.verified() > before {
			idle = 0
		}
		if idle >= fruitless {
			return err
		}
		c.meter.wait(err.Error())
		if err := c.reachable(ctx, err); err != nil {
			return err
		}
		c.meter.wait("")
	}
}

// reachable waits until both nodes run commands again.
func (c *Copy) reachable(ctx context.Context, why error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not reachable for %s", patience))
	defer cancel()
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		up := true
		for _, n := range []Node{c.src, c.dst} {
			asked, stop := context.WithTimeout(ctx, short)
			_, err := n.Exec(asked, []string{"true"}, nil)
			stop()
			if err != nil {
				up = false
				c.meter.wait(fmt.Sprintf("%s runs no commands: %v", n.Name(), err))
			}
		}
		if up {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%w)", why, context.Cause(ctx))
		case <-t.C:
		}
	}
}

func (c *Copy) endHelpers() {
	for _, h := range []*hashers{c.srcHash, c.dstHash} {
		if h != nil {
			h.close()
		}
	}
	if c.relay != nil {
		c.relay.end()
	}
	if c.direct != nil {
		c.direct.end()
	}
	if c.plan.Tunnel != nil {
		c.plan.Tunnel.Close()
	}
	c.srcHash, c.dstHash, c.relay, c.direct = nil, nil, nil, nil
}

// attempt does all that is to do, once.
func (c *Copy) attempt(ctx context.Context) error {
	if err := c.look(ctx); err != nil {
		return err
	}
	if err := c.room(ctx); err != nil {
		return err
	}
	if err := c.choose(ctx); err != nil {
		return err
	}
	c.srcHash, c.dstHash = newHashers(c.src, c.srcTools, hashStreams), newHashers(c.dst, c.dstTools, hashStreams)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := c.meter.watch(ctx, cancel)
	defer stop()
	err := c.transfer(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errHelper) {
		c.pace.stuck()
		return cause
	}
	return err
}

// look locks the source, compares it with the log, and lists what is to do.
func (c *Copy) look(ctx context.Context) error {
	if !c.guard.held() {
		for _, n := range []Node{c.src, c.dst} {
			if err := sweep(ctx, n, c.plan.Job); err != nil {
				return err
			}
		}
		var names []string
		for _, f := range c.files {
			if !f.Tree {
				names = append(names, f.Source)
			}
		}
		if len(names) > 0 {
			g, err := lockFiles(ctx, c.src, names, token(c.plan.Job))
			if err != nil {
				return err
			}
			c.guard = g
		}
	} else if err := sweep(ctx, c.dst, c.plan.Job); err != nil {
		return err
	}
	for _, f := range c.files {
		if f.Tree {
			continue
		}
		if err := c.survey(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// room compares what is to come with what the target has left.
func (c *Copy) room(ctx context.Context) error {
	need := map[string]int64{} // by file system, told apart by what it has left
	left := map[string]Space{}
	for _, f := range c.files {
		if f.Tree || len(f.todo) == 0 {
			continue
		}
		s, err := Free(ctx, c.dst, f.Target)
		if err != nil {
			return err
		}
		st, err := Look(ctx, c.dst, f.partial)
		if err != nil {
			return err
		}
		id := fmt.Sprint(s)
		left[id] = s
		need[id] += max(min(f.was.Allocated, bytesOf(f.extents))-st.Allocated, 0)
		if s.Free < need[id] {
			return fmt.Errorf("cannot copy %s to %s: it needs %s more there and %s are free: %w",
				f.Source, c.dst.Name(), size(need[id]), size(s.Free), errFull)
		}
	}
	return nil
}

func bytesOf(all []extent) int64 {
	var n int64
	for _, e := range all {
		n += e.len
	}
	return n
}

// choose picks the way of the data, with the reason in words.
func (c *Copy) choose(ctx context.Context) error {
	c.relay = newRelay(c, putStreams)
	big := (*file)(nil)
	for _, f := range c.files {
		for _, w := range f.todo {
			if !w.small {
				big = f
			}
		}
	}
	if big == nil {
		if c.meter.progress().Path == "" {
			c.meter.path(model.PathRelay, "nothing large is to be copied")
		}
		return nil
	}
	var why string
	switch c.plan.Path {
	case model.PathRelay:
	case model.PathSSH:
		err := c.trySSH(ctx, big)
		if err == nil {
			c.meter.path(model.PathSSH, c.direct.words())
			return nil
		}
		err = fmt.Errorf("cannot copy by SSH from %s to %s: %w", c.src.Name(), c.dst.Name(), err)
		if !c.plan.Detour || ctx.Err() != nil || interrupted(err) {
			return err
		}
		c.plan.Tunnel.Close()
		c.plan.Path, why = model.PathRelay, ": "+err.Error()
	default:
		err := c.tryDirect(ctx, big)
		if err == nil {
			c.meter.path(model.PathDirect, c.direct.words())
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if c.plan.Path == model.PathDirect {
			return fmt.Errorf("cannot copy directly: %w", err)
		}
		why = ", because it does not go directly: " + err.Error()
	}
	pack := c.packs(ctx, big)
	c.meter.path(model.PathRelay, c.relay.words()+why+pack)
	return nil
}

func (c *Copy) tryDirect(ctx context.Context, f *file) error {
	if !c.dstTools.Has("qemu-nbd") {
		return fmt.Errorf("%s has no qemu-nbd", c.dst.Name())
	}
	d, err := newDirect(ctx, c)
	if err != nil {
		return err
	}
	return d.try(ctx, f)
}

func (c *Copy) trySSH(ctx context.Context, f *file) error {
	if !c.dstTools.Has("qemu-nbd") {
		return fmt.Errorf("%s has no qemu-nbd", c.dst.Name())
	}
	if err := c.plan.Tunnel.Open(ctx); err != nil {
		return err
	}
	return (&direct{c: c, tunnel: c.plan.Tunnel}).try(ctx, f)
}
