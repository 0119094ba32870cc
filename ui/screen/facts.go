package screen

import (
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// vmFacts is what is known of a VM, as labelled lines.
func vmFacts(e *Env, v model.VM, w int) []string {
	th := e.Theme
	l, fresh := vmLook(e, v), e.Fresh(v.Seen)
	num := func(s string) string {
		if fresh == Lost {
			return text.Unknown
		}
		return s
	}
	now := func(s string) string { return num(s) }
	vcpus := fmt.Sprintf("%d, %s %% in use", v.VCPUs, cpuNumber(v.CPUPercent))
	if !isLive(&v) { // a guest that is not there uses nothing, and answers nobody
		now = func(string) string { return num("-") }
		vcpus = fmt.Sprint(v.VCPUs)
	}
	look := th.Text
	if fresh != Fresh {
		look = th.Stale
	}
	facts := []widget.Fact{
		{Label: "state", Value: l.String(), Style: l.style},
		{Label: "node", Value: name(v.Node), Style: th.Text},
		{Label: "vCPUs", Value: num(vcpus), Style: look},
		{Label: "memory", Value: num(text.Bytes(v.Memory)), Style: look},
		{Label: "disk", Value: now("read " + text.Rate(v.DiskRead) + ", write " + text.Rate(v.DiskWrite)), Style: look},
		{Label: "network", Value: now("in " + text.Rate(v.NetRx) + ", out " + text.Rate(v.NetTx)), Style: look},
		{Label: "agent", Value: agentSentence(v), Style: th.Text},
		{Label: "addresses", Value: text.Or(strings.Join(addresses(&v), ", "), "none known"), Style: th.Text},
	}
	if len(v.Tags) > 0 {
		facts = append(facts, widget.Fact{Label: "tags", Value: "#" + strings.Join(text.CleanAll(v.Tags), " #"), Style: th.Text})
	}
	if v.Title != "" {
		facts = append(facts, widget.Fact{Label: "title", Value: name(v.Title), Style: th.Text})
	}
	if !v.Started.IsZero() {
		facts = append(facts, widget.Fact{Label: "process", Value: "since " + stamp(v.Started), Style: th.Text})
	}
	facts = append(
		facts,
		widget.Fact{Label: "definition", Value: definition(v), Style: th.Text},
		widget.Fact{Label: "UUID", Value: name(v.UUID), Style: th.Muted},
		widget.Fact{Label: "seen", Value: e.seen(v.Seen), Style: look},
	)
	if v.Job != "" {
		value := "by another console, " + name(v.Job)
		if m := v.Mark; m != nil && !m.Ours {
			value = m.Whose()
			if m.Role == model.RoleWaiting {
				value = "waits: " + value
			}
		}
		if j, ok := e.Job(v.Job); ok {
			value = jobLook(th, j.State).String() + ", " + name(j.From) + " " + theme.SignMove + " " + name(j.To)
		}
		facts = append(facts, widget.Fact{Label: "move", Value: name(value), Style: th.Accent})
	}
	return widget.Facts(th, w, facts)
}

// addresses are those a guest has now; one that does not run has none.
func addresses(v *model.VM) []string {
	if !isLive(v) {
		return nil
	}
	return text.CleanAll(v.Addresses)
}

func agentSentence(v model.VM) string {
	if !isLive(&v) && v.Agent != model.AgentNone {
		return "a channel; the guest does not run"
	}
	switch v.Agent {
	case model.AgentConnected:
		return "connected"
	case model.AgentDisconnected:
		return "a channel, and nobody answers on it"
	}
	return "no channel for one"
}

func definition(v model.VM) string {
	parts := []string{"persistent"}
	switch {
	case v.Unsettled:
		parts[0] = "…"
	case !v.Persistent:
		parts[0] = "transient: gone when it stops"
	}
	if v.Autostart {
		parts = append(parts, "starts with its node")
	}
	if v.Snapshots > 0 {
		parts = append(parts, text.Count(v.Snapshots, "snapshot"))
	}
	return strings.Join(parts, ", ")
}

// nodeFacts is what is known of a node, as labelled lines.
func nodeFacts(e *Env, n model.Node, w int) []string {
	th := e.Theme
	l, fresh := nodeLook(th, n.State), e.Fresh(n.Seen)
	look := th.Text
	if fresh != Fresh {
		look = th.Stale
	}
	num := func(s string) string {
		if fresh == Lost {
			return text.Unknown
		}
		return s
	}
	state := l.String()
	if !n.Since.IsZero() {
		state += ", for " + text.Clock(e.Now.Sub(n.Since))
	}
	facts := []widget.Fact{{Label: "state", Value: state, Style: l.style}}
	if n.Reason != "" {
		facts = append(facts, widget.Fact{Label: "why", Value: name(n.Reason), Style: th.Warn})
	}
	if m := n.Maintenance; m != nil {
		facts = append(facts, widget.Fact{Label: "maintenance", Value: "since " + stamp(m.Since) + ", by " + name(m.By) + ": " + text.Or(name(m.Why), "no reason given"), Style: th.Warn})
	}
	used := n.MemTotal - min(n.MemFree, n.MemTotal)
	facts = append(
		facts,
		widget.Fact{Label: "address", Value: name(n.Address), Style: th.Text},
		widget.Fact{Label: "host name", Value: name(n.Hostname), Style: th.Text},
		widget.Fact{Label: "CPUs", Value: num(fmt.Sprintf("%d, %.0f %% in use", n.CPUs, n.CPUPercent)), Style: look},
		widget.Fact{Label: "CPU model", Value: name(n.CPUModel), Style: th.Text},
		widget.Fact{Label: "memory", Value: num(text.Bytes(used) + " of " + text.Bytes(n.MemTotal) + " in use, " + text.Bytes(n.MemFree) + " free"), Style: look},
		widget.Fact{Label: "VMs", Value: num(fmt.Sprintf("%d running, %d defined", n.Running, n.Defined)), Style: look},
		widget.Fact{Label: "libvirt", Value: name(n.Libvirt), Style: th.Text},
		widget.Fact{Label: "QEMU", Value: name(n.QEMU), Style: th.Text},
		widget.Fact{Label: "networks", Value: text.Or(strings.Join(text.CleanAll(n.Networks), ", "), "none active"), Style: th.Text},
		widget.Fact{Label: "host UUID", Value: name(n.HostUUID), Style: th.Muted},
		widget.Fact{Label: "seen", Value: e.seen(n.Seen), Style: look},
	)
	return widget.Facts(th, w, facts)
}

// jobFacts is the short form of a job, as labelled lines.
func jobFacts(e *Env, j model.Job, w int) []string {
	th := e.Theme
	l := jobLook(th, j.State)
	facts := []widget.Fact{
		{Label: "state", Value: l.String(), Style: l.style},
		{Label: "way", Value: name(j.From) + " " + theme.SignMove + " " + name(j.To) + ", " + name(j.Mode), Style: th.Text},
		{Label: "phase", Value: model.PhaseTitles[j.Current().ID], Style: th.Text},
		{Label: "time", Value: text.Clock(elapsed(j, e.Now)), Style: th.Text},
	}
	if s := jobNote(e, j); s != "" {
		facts = append(facts, widget.Fact{Label: "note", Value: s, Style: th.Text})
	}
	facts = append(
		facts,
		widget.Fact{Label: "begun", Value: stamp(j.Started), Style: th.Muted},
		widget.Fact{Label: "by", Value: text.Or(name(j.By), "-"), Style: th.Muted},
		widget.Fact{Label: "job", Value: name(j.ID), Style: th.Muted},
	)
	return widget.Facts(th, w, facts)
}
