package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Up makes the lab and returns when its hosts serve and its guests are up. If
// that lab runs already and is healthy, it is returned as it is. A lab that
// fails to come up, or whose context ends, is removed completely.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o = o.withDefaults()
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if err := checkMachine(); err != nil {
		return nil, err
	}
	o.Log = &lockedWriter{w: o.Log}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("cannot make the lab directory: %w", err)
	}
	unlock, err := lockLab(ctx, paths{o.Dir, o.Prefix})
	if err != nil {
		return nil, err
	}
	defer unlock()
	if l, err := findHealthy(ctx, o); l != nil || err != nil {
		return l, err
	}
	l, err := newLab(o)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkSubnet(l.paths, l.plan), checkLinks(l.paths)); err != nil {
		return nil, err
	}
	start := time.Now()
	if err := l.build(ctx, o); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("cannot finish the lab: interrupted (%w)", context.Cause(ctx))
		}
		l.logf("it did not work out: removing what was made")
		return nil, errors.Join(err, l.remove(context.WithoutCancel(ctx)))
	}
	l.logf("the lab is up after %s", time.Since(start).Round(100*time.Millisecond))
	return l, nil
}

// checkMachine refuses machines on which a lab cannot be.
func checkMachine() error {
	switch {
	case !initChecked:
		return errNoInit
	case os.Getenv(childEnv) != "":
		return errors.New("cannot make a lab inside a lab host")
	case os.Geteuid() != 0:
		return errors.New("cannot make a lab without root: namespaces, mounts and links need it; run it with sudo")
	case runtime.GOARCH != "amd64":
		return fmt.Errorf("cannot make a lab on %s: its guests are for amd64", runtime.GOARCH)
	}
	return nil
}

// findHealthy returns the lab if it runs already, an error if only a part of it
// does, and nothing if there is none.
func findHealthy(ctx context.Context, o Options) (*Lab, error) {
	p := paths{o.Dir, o.Prefix}
	st, err := readState(p)
	hosts := hostProcesses(p)
	_, statErr := os.Stat(p.state())
	if errors.Is(err, ErrNoLab) && len(hosts) == 0 && os.IsNotExist(statErr) {
		return nil, nil
	}
	again := fmt.Sprintf("take it down first: `horcrux lab down --prefix %s --dir %s`", o.Prefix, o.Dir)
	if err != nil || !st.Ready {
		return nil, fmt.Errorf("cannot start the lab %q: something is left of an earlier one that never came up; %s", o.Prefix, again)
	}
	if st.Subnet != o.Subnet || st.Nodes != o.Nodes || st.Release != o.Release {
		return nil, fmt.Errorf("cannot start the lab %q: it exists with %d nodes in %s (release %q); use those, another --prefix, or %s", o.Prefix, st.Nodes, st.Subnet, st.Release, again)
	}
	l, err := Open(o.Dir, o.Prefix)
	if err != nil {
		return nil, err
	}
	l.SetLog(o.Log)
	for _, n := range l.Nodes {
		quick, cancel := context.WithTimeout(ctx, 10*time.Second)
		_, err := n.Virsh(quick, "uri")
		cancel()
		if err != nil {
			return nil, fmt.Errorf("cannot use the lab %q as it is: %s does not answer (%w); switch it on with `horcrux lab fault on %s`, or %s", o.Prefix, n.Name, err, n.Name, again)
		}
	}
	l.logf("the lab %q already runs and is healthy", o.Prefix)
	return l, nil
}

// build makes everything, in the order in which remove can undo it.
func (l *Lab) build(ctx context.Context, o Options) error {
	vms, err := resolveVMs(o.VMs, l.Prefix, l.plan, o.Nodes)
	if err != nil {
		return err
	}
	if err := l.install(ctx, vms, o.NoInstall); err != nil {
		return err
	}
	for _, dir := range []string{l.paths.state(), l.paths.cache(), l.paths.shared()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("cannot make the lab's directories: %w", err)
		}
	}
	if err := l.saveState(false); err != nil {
		return err
	}
	if err := l.ensureReleases(ctx); err != nil {
		return err
	}
	// The guests' system is built while the hosts start.
	g, gctx := errgroup.WithContext(ctx)
	var image guestImage
	if len(vms) > 0 {
		g.Go(func() (err error) {
			image, err = ensureGuestImage(gctx, l.paths, l.logf)
			return err
		})
	}
	g.Go(func() error {
		if err := l.startHosts(gctx, o); err != nil {
			return err
		}
		return l.shareCapabilities(gctx)
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := l.checkPeers(ctx); err != nil {
		return err
	}
	if err := l.createVMs(ctx, image, vms); err != nil {
		return err
	}
	if err := l.writeConfig(); err != nil {
		return err
	}
	return l.saveState(true)
}

// startHosts makes all hosts at once.
func (l *Lab) startHosts(ctx context.Context, o Options) error {
	if _, err := newEd25519(l.paths.file(keyName), "horcrux-lab-"+l.Prefix); err != nil {
		return fmt.Errorf("cannot make the lab's key: %w", err)
	}
	if err := l.makeBridge(); err != nil {
		return err
	}
	var mu sync.Mutex
	keys := map[string][]string{}
	fs := map[string]string{}
	g, gctx := errgroup.WithContext(ctx)
	for i, n := range l.Nodes {
		g.Go(func() error {
			k, err := n.prepare()
			if err != nil {
				return fmt.Errorf("cannot prepare %s: %w", n.Name, err)
			}
			fstype, err := n.makeDisk(gctx, o.ImagesBytes, i%2 == 1)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			keys[n.Name], fs[n.Name] = k, fstype
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if err := l.writeKnownHosts(keys); err != nil {
		return err
	}
	g, gctx = errgroup.WithContext(ctx)
	for _, n := range l.Nodes {
		g.Go(func() error {
			start := time.Now()
			if err := n.create(gctx, fs[n.Name]); err != nil {
				return err
			}
			l.logf("%s at %s is up (%s)", n.Name, n.Address, time.Since(start).Round(100*time.Millisecond))
			return nil
		})
	}
	return g.Wait()
}

// checkPeers makes sure that hosts reach each other. A machine that filters
// bridged traffic (Docker sets it up so) breaks that silently.
func (l *Lab) checkPeers(ctx context.Context) error {
	if len(l.Nodes) < 2 {
		return nil
	}
	a, b := l.Nodes[0], l.Nodes[1]
	_, err := a.Exec(ctx, "bash", "-c", "exec 3<>/dev/tcp/"+b.Address+"/22")
	if err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("cannot reach %s from %s over the bridge %s: %w; if this machine filters bridged traffic, run `sysctl net.bridge.bridge-nf-call-iptables=0`", b.Name, a.Name, bridgeName(l.Prefix), err)
}
