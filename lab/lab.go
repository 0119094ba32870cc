package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/google/renameio/v2"
)

// Lab is one set of hosts on this machine. Its methods may be called from
// several goroutines.
type Lab struct {
	Dir    string
	Prefix string
	Subnet string
	Nodes  []*Node
	VMs    []VM // what Up and AddVM made, wherever it runs now

	paths   paths
	plan    addressPlan
	release string // as in Options

	mu    sync.Mutex // guards log, VMs and hosts
	log   io.Writer
	hosts map[string]int // process 1 of each host that was on at the last look

	procs procList
}

// Node is one host of a lab.
type Node struct {
	Name    string // node1, node2, ...
	Address string // its IP address in the lab's subnet

	index   int
	release string // of Debian, "" for the machine's own
	lab     *Lab
}

// ErrNoLab says that there is no lab of that prefix in that directory.
var ErrNoLab = errors.New("there is no such lab")

// stateFile is what a lab remembers; processes and links are always looked up.
type stateFile struct {
	Prefix  string `json:"prefix"`
	Subnet  string `json:"subnet"`
	Nodes   int    `json:"nodes"`
	Release string `json:"release,omitempty"`
	Ready   bool   `json:"ready"` // Up came to its end
	VMs     []VM   `json:"vms"`
}

const stateName = "lab.json"

func newLab(o Options) (*Lab, error) {
	plan, err := parseSubnet(o.Subnet)
	if err != nil {
		return nil, err
	}
	releases, err := parseRelease(o.Release, o.Nodes)
	if err != nil {
		return nil, err
	}
	l := &Lab{Dir: o.Dir, Prefix: o.Prefix, Subnet: o.Subnet, release: o.Release, paths: paths{o.Dir, o.Prefix}, plan: plan, log: o.Log}
	for i := 1; i <= o.Nodes; i++ {
		name := nodeName(i)
		l.Nodes = append(l.Nodes, &Node{Name: name, Address: plan.node(i).String(), index: i, release: releases[name], lab: l})
	}
	return l, nil
}

// Open finds a lab that an earlier Up made, running or not. The error wraps
// ErrNoLab if there is none. Empty arguments stand for the defaults.
func Open(dir, prefix string) (*Lab, error) {
	o := Options{Dir: dir, Prefix: prefix}.withDefaults()
	if err := errors.Join(checkDir(o.Dir), checkPrefix(o.Prefix)); err != nil {
		return nil, err
	}
	st, err := readState(paths{o.Dir, o.Prefix})
	if err != nil {
		return nil, err
	}
	o.Subnet, o.Nodes, o.Release = st.Subnet, st.Nodes, st.Release
	l, err := newLab(o)
	if err != nil {
		return nil, err
	}
	l.VMs = st.VMs
	return l, nil
}

func readState(p paths) (stateFile, error) {
	var st stateFile
	b, err := os.ReadFile(p.file(stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return st, fmt.Errorf("cannot find the lab %q in %s: %w; start it with `horcrux lab up`", p.prefix, p.dir, ErrNoLab)
	}
	if err != nil {
		return st, fmt.Errorf("cannot read the lab's state: %w", err)
	}
	if err := json.Unmarshal(b, &st); err != nil {
		return st, fmt.Errorf("cannot read the lab's state %s: %w; `horcrux lab down` removes it", p.file(stateName), err)
	}
	return st, nil
}

func (l *Lab) saveState(ready bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := json.MarshalIndent(stateFile{l.Prefix, l.Subnet, len(l.Nodes), l.release, ready, l.VMs}, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(l.paths.file(stateName), b, 0o600); err != nil {
		return fmt.Errorf("cannot write the lab's state: %w", err)
	}
	return nil
}

// SetLog sends progress lines to w from now on.
func (l *Lab) SetLog(w io.Writer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = w
}

// Node finds a host by its name. It is nil if the lab has no such host.
func (l *Lab) Node(name string) *Node {
	for _, n := range l.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// VM finds one of the lab's own VMs by name.
func (l *Lab) VM(name string) (VM, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, vm := range l.VMs {
		if vm.Name == name {
			return vm, true
		}
	}
	return VM{}, false
}

// ConfigPath is the configuration file for horcrux that names this lab's hosts.
func (l *Lab) ConfigPath() string { return l.paths.file("config.toml") }

// KeyPath is the private SSH key that every host accepts for root.
func (l *Lab) KeyPath() string { return l.paths.file(keyName) }

// KnownHostsPath lists the hosts' real keys, by address and by name.
func (l *Lab) KnownHostsPath() string { return l.paths.file("known_hosts") }

// SharedPath is the directory on the machine that every host sees as
// /srv/shared.
func (l *Lab) SharedPath() string { return l.paths.shared() }

func (l *Lab) node(name string) (*Node, error) {
	if n := l.Node(name); n != nil {
		return n, nil
	}
	return nil, fmt.Errorf("cannot find the node %q: this lab has node1 to node%d", name, len(l.Nodes))
}

func (l *Lab) logf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.log != nil {
		fmt.Fprintf(l.log, format+"\n", args...)
	}
}
