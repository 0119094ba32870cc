package ui

import (
	"context"
	"fmt"
	"io"
	"time"

	"horcrux/engine"
	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
	"horcrux/ui/theme"
)

// Plain prints, line by line, what the cluster is and then what changes, until
// ctx ends: no drawing, no colours, states as words. It is for screen readers
// and logs. Because says who asked for it.
func Plain(ctx context.Context, s engine.Service, w io.Writer, now func() time.Time, because string) error {
	p := &plain{w: w, now: now, nodes: map[model.NodeName]string{}, vms: map[screen.Target]string{}, jobs: map[model.JobID]string{}}
	p.line("plain lines, because of %s; ctrl-c leaves, moves go on", because)
	for {
		select {
		case <-ctx.Done():
			return nil
		case u, ok := <-watchOnce(ctx, s, p):
			if !ok {
				return nil
			}
			p.update(u)
		}
		if p.err != nil {
			return p.err
		}
	}
}

// watchOnce keeps one stream of updates for a printer.
func watchOnce(ctx context.Context, s engine.Service, p *plain) <-chan engine.Update {
	if p.ch == nil {
		s.Look(model.Sight{}) // no figures are printed, and of states libvirt tells
		p.ch = s.Watch(ctx)
	}
	return p.ch
}

// plain is what was printed last of each thing, so that only changes are.
type plain struct {
	w     io.Writer
	now   func() time.Time
	ch    <-chan engine.Update
	nodes map[model.NodeName]string
	vms   map[screen.Target]string
	jobs  map[model.JobID]string
	err   error
}

func (p *plain) line(format string, args ...any) {
	if _, err := fmt.Fprintf(p.w, "%s %s\n", p.now().Format("15:04:05"), theme.ToASCII(text.Clean(fmt.Sprintf(format, args...)))); err != nil && p.err == nil {
		p.err = fmt.Errorf("cannot print: %w", err)
	}
}

func (p *plain) update(u engine.Update) {
	if u.Cluster != nil {
		p.cluster(u.Cluster)
	}
	for _, j := range u.Jobs {
		s := screen.PlainJob(j)
		if p.jobs[j.ID] != s && (!j.State.Ended() || p.jobs[j.ID] != "") {
			p.line("move %s: %s", j.ID, s)
		}
		p.jobs[j.ID] = s
	}
	for _, q := range u.Questions {
		p.line("a question waits: %s; answer it in the console, or with horcrux doctor on a terminal", q.Title)
	}
}

func (p *plain) cluster(c *model.Cluster) {
	for i := range c.Nodes {
		n := &c.Nodes[i]
		s := string(n.State)
		if n.Reason != "" {
			s += ": " + n.Reason
		}
		if n.Maintenance != nil {
			s += ", in maintenance by " + n.Maintenance.By
		}
		if p.nodes[n.Name] != s {
			p.line("node %s is %s", n.Name, s)
		}
		p.nodes[n.Name] = s
	}
	there := make(map[screen.Target]bool, len(c.VMs))
	for _, v := range c.VMs {
		t := screen.Target{UUID: v.UUID, Node: v.Node}
		there[t] = true
		if v.State == model.StateUnknown {
			continue // it is being asked about
		}
		s := screen.PlainVM(v)
		if p.vms[t] != s {
			p.line("VM %s on %s is %s", v.Name, v.Node, s)
		}
		p.vms[t] = s
	}
	for t := range p.vms {
		if n, ok := nodeOf(c, t.Node); !there[t] && ok && n.State == model.NodeUp {
			p.line("VM %s is not on %s any more", t.UUID, t.Node)
			delete(p.vms, t)
		}
	}
}

func nodeOf(c *model.Cluster, name model.NodeName) (model.Node, bool) {
	for _, n := range c.Nodes {
		if n.Name == name {
			return n, true
		}
	}
	return model.Node{}, false
}
