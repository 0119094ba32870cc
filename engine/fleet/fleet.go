package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"horcrux/config"
	"horcrux/engine/model"
	"horcrux/engine/transport"
)

// Options adjust Open.
type Options struct {
	// Prompter is asked for passphrases, once per key file; nil means that
	// nobody can be asked.
	Prompter transport.Prompter
	// Log hears of every change of state; nil for nobody. It must not block.
	Log func(node model.NodeName, text string)
	// Patience is how long a login may be silent before it is given up; zero for
	// what suits a screen. What is under way over a login ends with it.
	Patience time.Duration
	// Begin holds all logins back until it is closed; nil for at once. They are
	// mostly arithmetic, and would take the processor from a first picture.
	Begin <-chan struct{}
	// Turns is a folder in which all processes agree on how many logins to a server
	// are under way at a time; empty if they need not.
	Turns string
	// Answered are addresses at which nodes answered another process: the first
	// login goes there first.
	Answered map[model.NodeName]string
	// Only limits the fleet to some nodes of the configuration; empty is all.
	Only []model.NodeName
}

// Fleet is the set of nodes.
type Fleet struct {
	nodes  []*Node
	byName map[model.NodeName]*Node
	cancel context.CancelFunc
	wg     sync.WaitGroup
	bell   *bell
}

// Open begins to connect to all nodes and returns at once.
func Open(cfg config.Config, o Options) *Fleet {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Fleet{byName: make(map[model.NodeName]*Node), cancel: cancel, bell: &bell{}}
	keys := transport.NewKeyring(o.Prompter)
	if o.Patience <= 0 {
		o.Patience = sshTimeout
	}
	keys.Patience, keys.Turns = o.Patience, o.Turns
	for _, nc := range cfg.Nodes {
		name := model.NodeName(nc.Name)
		if len(o.Only) > 0 && !slices.Contains(o.Only, name) {
			continue
		}
		n := newNode(cfg, nc, keys, f.bell, o.Log)
		n.patience, n.answered = o.Patience, o.Answered[name]
		f.nodes = append(f.nodes, n)
		f.byName[name] = n
		after := turn(len(f.nodes) - 1)
		f.wg.Go(func() {
			if o.Begin != nil {
				select {
				case <-o.Begin:
				case <-ctx.Done():
				}
			}
			n.sleep(ctx, after, nil)
			n.run(ctx)
		})
	}
	return f
}

// turn is when the node of that index is logged in to, after the start: logins
// are mostly arithmetic, and those of many nodes at once would keep
// this machine from drawing its first picture, and a jump host from anything.
func turn(index int) time.Duration {
	const atOnce, apart = 4, 10 * time.Millisecond
	return time.Duration(max(index-atOnce+1, 0)) * apart
}

// Nodes are all nodes, in the order of the configuration.
func (f *Fleet) Nodes() []*Node { return slices.Clone(f.nodes) }

// Node finds one by name.
func (f *Fleet) Node(name model.NodeName) (*Node, bool) {
	n, ok := f.byName[name]
	return n, ok
}

// Changed is closed when the state of any node changes next. Take it before
// looking at the states.
func (f *Fleet) Changed() <-chan struct{} { return f.bell.next() }

// Close ends all connections, and waits for their goroutines.
func (f *Fleet) Close() {
	f.cancel()
	f.wg.Wait()
}

// Answered are the addresses at which nodes that have several answer now.
func (f *Fleet) Answered() map[model.NodeName]string {
	all := make(map[model.NodeName]string)
	for _, n := range f.nodes {
		if w, ok := n.Way(); ok && len(n.target.Others) > 0 {
			all[n.name] = w.Address
		}
	}
	return all
}
