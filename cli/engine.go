package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"horcrux/config"
	"horcrux/engine"
	"horcrux/engine/model"
)

// openWithin bounds the wait for the nodes' first answers.
const openWithin = 12 * time.Second

// load reads the configuration; everything wrong with it is wrong usage.
func (a *app) load() (config.Config, error) {
	path, err := config.Find(a.config, a.getenv)
	if err == nil {
		var c config.Config
		if c, err = config.Load(path); err == nil {
			return c, nil
		}
	}
	return config.Config{}, &ExitError{Code: ExitUsage, Err: err}
}

// open reads the configuration and connects to the nodes once begin is closed, at
// once if it is nil.
func (a *app) open(begin <-chan struct{}) (*engine.Engine, error) {
	c, err := a.load()
	if err != nil {
		return nil, err
	}
	worker, err := workerCommand()
	if err != nil {
		return nil, err
	}
	o := engine.Options{Worker: worker, Env: a.getenv, Begin: begin}
	if a.terminal() {
		a.asker = &asker{a: a}
		o.Prompter = a.asker
	}
	return engine.Open(c, o)
}

// openForConsole is open with an engine whose questions the console shows, and
// which connects to nothing before begin is closed.
func (a *app) openForConsole(c config.Config, begin <-chan struct{}) (*engine.Engine, error) {
	worker, err := workerCommand()
	if err != nil {
		return nil, err
	}
	return engine.Open(c, engine.Options{Worker: worker, Env: a.getenv, Desk: true, Begin: begin})
}

// withCluster runs do with an engine whose nodes have answered, or are known
// not to.
func (a *app) withCluster(ctx context.Context, do func(*engine.Engine) error) error {
	e, err := a.open(nil)
	if err != nil {
		return err
	}
	defer e.Close()
	if err := a.awaitNodes(ctx, e); err != nil {
		return err
	}
	// The jobs say which copy of a VM that moves is the VM.
	if _, err := e.Jobs(ctx); err != nil {
		return err
	}
	return do(e)
}

// awaitNodes waits for the nodes' first answers; the time in which a person
// answers a question does not count.
func (a *app) awaitNodes(ctx context.Context, e *engine.Engine) error {
	for {
		waitCtx, cancel := context.WithTimeout(ctx, openWithin)
		err := e.Wait(waitCtx)
		cancel()
		if err == nil || ctx.Err() != nil {
			return ctx.Err()
		}
		if a.asker == nil || !a.asker.since(openWithin) {
			return nil
		}
	}
}

// workerCommand is this program as the process of a job.
func workerCommand() ([]string, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program's own file: %w", err)
	}
	return []string{exe, "worker"}, nil
}

func (a *app) terminal() bool { return a.in != nil && term.IsTerminal(int(a.in.Fd())) }

// ask puts an ordinary question; yes answers it, and without a terminal it
// cannot be put.
func (a *app) ask(question string, yes bool) error {
	if yes {
		return nil
	}
	if !a.terminal() {
		return usage("%s: this needs an answer, and there is no terminal to ask on: add --yes", question)
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && line == "" {
		return usage("no answer")
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return usage("not confirmed, nothing was changed")
}

// findVM finds a VM by name, node/name or UUID. What a move left on its source
// is not a VM, and neither is the copy that it builds on its target.
func findVM(c model.Cluster, what string) (model.VM, error) {
	node, name, qualified := strings.Cut(what, "/")
	var hits []model.VM
	for _, v := range c.VMs {
		if v.Tombstone || v.Arriving {
			continue
		}
		if string(v.UUID) == strings.ToLower(what) || v.Name == what || (qualified && string(v.Node) == node && v.Name == name) {
			hits = append(hits, *v)
		}
	}
	switch len(hits) {
	case 1:
		return hits[0], nil
	case 0:
		return model.VM{}, noVM(c, what)
	}
	var all []string
	for _, v := range hits {
		all = append(all, string(v.Node)+"/"+v.Name)
	}
	return model.VM{}, usage("%q names several VMs: say %s", what, strings.Join(all, " or "))
}

// noVM is the user's mistake only where every node has been seen.
func noVM(c model.Cluster, what string) error {
	var down []string
	for _, n := range c.Nodes {
		if n.State == model.NodeUp || n.State == model.NodeBusy {
			continue
		}
		down = append(down, fmt.Sprintf("%s is %s", n.Name, n.State))
		if n.Reason != "" {
			down[len(down)-1] += ": " + n.Reason
		}
	}
	if len(down) == 0 {
		return usage("no VM %q on any node: see horcrux vms", what)
	}
	return fmt.Errorf("no VM %q on any node that answers, and not all do; nothing was changed\n  %s\n  horcrux doctor says what to do", what, strings.Join(down, "\n  "))
}

// findNode checks that a node is in the cluster.
func findNode(c model.Cluster, name string) (model.NodeName, error) {
	var all []string
	for _, n := range c.Nodes {
		if string(n.Name) == name {
			return n.Name, nil
		}
		all = append(all, string(n.Name))
	}
	return "", usage("no node %q in the configuration: there are %s", name, strings.Join(all, ", "))
}

// isRefused tells a refused pre-flight from other errors.
func isRefused(err error) (*engine.Refused, bool) {
	var r *engine.Refused
	ok := errors.As(err, &r)
	return r, ok
}
