package screen

import (
	"fmt"
	"slices"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/widget"
)

// powerAct is one act on the life cycle: its key in the menu of acts, its words,
// and when it makes sense.
type powerAct struct {
	act         model.PowerAct
	key         string
	title, help string
	word        string // while the host has not answered
	class       bind.Class
	fits        func(*model.VM) bool
	unfit       string
	lines       []string // what the question says
}

func isOff(v *model.VM) bool {
	return v.State == model.StateShutoff || v.State == model.StateCrashed && !model.DomainStatus{State: v.State}.Live()
}

func isLive(v *model.VM) bool { return model.DomainStatus{State: v.State}.Live() }

func isRunning(v *model.VM) bool {
	return v.State == model.StateRunning || v.State == model.StateBlocked
}

var powerActs = []powerAct{
	{
		model.PowerStart, "s", "start", "boot the VM where it is", "starting", bind.Free,
		isOff, "it is not off", nil,
	},
	{
		model.PowerShutdown, "d", "shut down", "ask the guest to shut down", "being asked to shut down", bind.Asked,
		isRunning, "it does not run",
		[]string{"The guest is asked to shut down; whether and when it does is up to the guest."},
	},
	{
		model.PowerReboot, "b", "reboot", "ask the guest to reboot", "being asked to reboot", bind.Asked,
		isRunning, "it does not run",
		[]string{"The guest is asked to reboot; whether and when it does is up to the guest."},
	},
	{
		model.PowerPause, "p", "pause", "stop the vCPUs; memory stays", "being paused", bind.Asked,
		isRunning, "it does not run",
		[]string{"The guest stops at once and keeps its memory; connections to it may time out."},
	},
	{
		model.PowerResume, "r", "resume", "let a paused guest go on", "being resumed", bind.Free,
		func(v *model.VM) bool { return v.State == model.StatePaused || v.State == model.StateSuspended }, "it is not paused", nil,
	},
	{
		model.PowerForceOff, "f", "force off", "pull the plug", "being forced off", bind.Typed,
		isLive, "it is off",
		[]string{"Its process is ended at once, as pulling the plug does: what the guest has not written to its disks is lost."},
	},
	{
		model.PowerAutostartOn, "t", "autostart on", "start it when its node boots", "", bind.Free,
		func(v *model.VM) bool { return v.Persistent && !v.Autostart }, "it is so already, or it is transient", nil,
	},
	{
		model.PowerAutostartOff, "t", "autostart off", "leave it off when its node boots", "", bind.Free,
		func(v *model.VM) bool { return v.Autostart }, "it is so already", nil,
	},
}

func findPower(act model.PowerAct) powerAct {
	for _, p := range powerActs {
		if p.act == act {
			return p
		}
	}
	return powerAct{}
}

// PowerWord is what is said of a VM while a host has not answered an act.
func PowerWord(act model.PowerAct) string { return findPower(act).word }

// PowerTitle is the act in words.
func PowerTitle(act model.PowerAct) string { return text.Or(findPower(act).title, string(act)) }

// cannotTouch says why nothing may be done to VMs now.
func cannotTouch(e *Env, vms []model.VM) string {
	if len(vms) == 0 {
		return "there is no VM here"
	}
	for i := range vms {
		v := &vms[i]
		n, _ := e.Node(v.Node)
		_, busy := e.Busy[Target{v.UUID, v.Node}]
		switch {
		case v.Tombstone:
			return name(v.Name) + " on " + name(v.Node) + " is what a finished move left behind"
		case v.Arriving:
			return name(v.Name) + " on " + name(v.Node) + " is being built by a move"
		case v.Job != "":
			if j, ok := e.Anyones(v.Job); ok && j.State == model.JobAwaiting {
				return "its move waits to be confirmed"
			}
			return "a move has hold of " + name(v.Name)
		case busy:
			return name(v.Name) + ": " + name(v.Node) + " has not answered the last act yet"
		case n.State != model.NodeUp && n.State != model.NodeBusy:
			return fmt.Sprintf("needs %s: %s", name(v.Node), text.Or(name(n.Reason), string(n.State)))
		}
	}
	return ""
}

// cannotWatch says why nobody can sit at the console of VMs now. A move is no
// reason: who is to confirm one wants to look inside first.
func cannotWatch(e *Env, vms []model.VM) string {
	if len(vms) > 1 {
		return "one VM at a time"
	}
	vms = slices.Clone(vms)
	for i := range vms {
		vms[i].Job = ""
	}
	switch why := cannotTouch(e, vms); {
	case why != "":
		return why
	case !isLive(&vms[0]):
		return "it does not run"
	}
	return ""
}

// why says what stands against the act on VMs; empty if nothing does.
func (p powerAct) why(e *Env, vms []model.VM) string {
	if w := cannotTouch(e, vms); w != "" {
		return w
	}
	if p.class == bind.Typed && len(vms) > 1 {
		return "one VM at a time"
	}
	if some, others := p.split(vms); len(some) == 0 {
		if len(others) > 1 {
			return "none of the " + text.Count(len(others), "VM") + ": " + p.unfit
		}
		return p.unfit
	}
	return ""
}

// split parts VMs into those to which the act is done, and those that it has no
// meaning for.
func (p powerAct) split(vms []model.VM) (some, others []model.VM) {
	for _, v := range vms {
		if p.fits(&v) {
			some = append(some, v)
		} else {
			others = append(others, v)
		}
	}
	return some, others
}

// namesOf lists VMs by name.
func namesOf(vms []model.VM) string {
	names := make([]string, 0, len(vms))
	for _, v := range vms {
		names = append(names, name(v.Name))
	}
	return strings.Join(names, ", ")
}

// powerScope lists the acts on VMs for the help and the list of actions. Their
// keys are those of the menu of acts, so nothing happens by one key alone.
func powerScope(e *Env, vms []model.VM) bind.Scope {
	const group = "acts"
	s := bind.Scope{{
		ID: "acts", Keys: []string{"a"}, Title: "acts", Help: "start, shut down, reboot, pause, force off, snapshot …", Group: group, Rank: 4,
		Disabled: noVM(vms),
	}}
	for _, p := range powerActs {
		s = append(s, bind.Action{
			ID: "power " + string(p.act), Show: "a " + p.key, Title: p.title, Help: p.help, Group: group, Class: p.class, Disabled: p.why(e, vms),
		})
	}
	one := cannotTouch(e, vms)
	if one == "" && len(vms) != 1 {
		one = "one VM at a time"
	}
	console := cannotWatch(e, vms)
	return append(
		s,
		bind.Action{ID: "snapshot", Show: "a n", Title: "snapshot", Help: "take a snapshot", Group: group, Class: bind.Asked, Disabled: one},
		bind.Action{ID: "console", Keys: []string{"c"}, Title: "console", Help: "its serial console; ctrl-] leaves it", Group: group, Disabled: console},
	)
}

func noVM(vms []model.VM) string {
	if len(vms) == 0 {
		return "there is no VM here"
	}
	return ""
}

// subjectOf names VMs in a title.
func subjectOf(vms []model.VM) string {
	if len(vms) == 1 {
		return name(vms[0].Name)
	}
	return text.Count(len(vms), "VM")
}

// power does what an action of powerScope means; false if it is none of them.
func power(e *Env, id string, vms []model.VM) (out []Intent, ok bool) {
	switch {
	case id == "acts":
		return []Intent{Choose{ID: "acts", Menu: actsMenu(e, vms)}}, true
	case id == "snapshot" && len(vms) == 1:
		return []Intent{Enter{ID: "snapshot", Prompt: snapshotPrompt(vms[0], e)}}, true
	case id == "console" && len(vms) == 1:
		return []Intent{Console{VM: vms[0]}}, true
	}
	act, is := strings.CutPrefix(id, "power ")
	if !is || len(vms) == 0 {
		return nil, false
	}
	p := findPower(model.PowerAct(act))
	if p.fits == nil || p.why(e, vms) != "" {
		return nil, true
	}
	vms, others := p.split(vms)
	then := Power{VMs: vms, Act: p.act}
	if p.class == bind.Free && len(others) == 0 {
		return []Intent{then}, true
	}
	q := widget.Confirm{Title: p.title + " " + subjectOf(vms) + "?", Facts: factsOf(e, vms), Lines: p.lines, Yes: p.title, No: "leave it"}
	if len(others) > 0 {
		q.Facts = append(q.Facts, widget.Fact{Label: "not", Value: namesOf(others) + ": " + p.unfit, Style: e.Theme.Muted})
	}
	if p.class == bind.Typed {
		q.Type, q.Grave = name(vms[0].Name), true
	}
	return []Intent{Ask{Question: q, Then: then, Gone: func(now *Env) string { return changedSince(now, vms, p) }}}, true
}

// changedSince says when an act makes no sense any more.
func changedSince(now *Env, vms []model.VM, p powerAct) string {
	fresh := make([]model.VM, 0, len(vms))
	for _, v := range vms {
		n, ok := now.VM(v.UUID, v.Node)
		if !ok || n.Node != v.Node {
			return name(v.Name) + " is not on " + name(v.Node) + " any more"
		}
		fresh = append(fresh, n)
	}
	return p.why(now, fresh)
}

func factsOf(e *Env, vms []model.VM) []widget.Fact {
	th := e.Theme
	if len(vms) > 1 {
		return []widget.Fact{{Label: "VMs", Value: namesOf(vms), Style: th.Strong}}
	}
	v := vms[0]
	l := vmLook(e, v)
	return []widget.Fact{
		{Label: "VM", Value: name(v.Name), Style: th.Strong},
		{Label: "node", Value: name(v.Node), Style: th.Text},
		{Label: "state", Value: l.String(), Style: l.style},
		{Label: "UUID", Value: name(v.UUID), Style: th.Muted},
	}
}

func actsMenu(e *Env, vms []model.VM) widget.Menu {
	m := widget.Menu{Title: "acts on " + subjectOf(vms)}
	for _, a := range powerScope(e, vms) {
		if a.ID == "acts" || a.ID == "power "+string(model.PowerAutostartOn) && len(vms) > 0 && vms[0].Autostart ||
			a.ID == "power "+string(model.PowerAutostartOff) && (len(vms) == 0 || !vms[0].Autostart) {
			continue
		}
		key := a.Label()
		if rest, ok := strings.CutPrefix(key, "a "); ok {
			key = rest
		}
		note := a.Help
		if a.Class == bind.Typed {
			note += ", wants the name typed"
		}
		if act, ok := strings.CutPrefix(a.ID, "power "); ok && len(vms) > 1 {
			if some, others := findPower(model.PowerAct(act)).split(vms); len(others) > 0 && len(some) > 0 {
				note = fmt.Sprintf("%d of %d: %s", len(some), len(vms), namesOf(some))
			}
		}
		m.Items = append(m.Items, widget.Item{ID: a.ID, Title: a.Title, Key: key, Note: note, Disabled: a.Disabled})
	}
	return m
}

func snapshotPrompt(v model.VM, e *Env) widget.Prompt {
	hint := "a name, then words that describe it if you like; disks must be able to hold it (qcow2)"
	if isLive(&v) {
		hint += "; memory goes in too, and the guest stands still meanwhile"
	}
	return widget.Prompt{
		Title: "snapshot of " + name(v.Name), Hint: hint,
		Input: widget.Suggest(e.Now.Format("2006-01-02-150405")),
		Check: func(s string) string {
			if s == "" {
				return "a name, please"
			}
			if strings.ContainsAny(strings.Fields(s)[0], "/\\") {
				return "a name without a slash, please"
			}
			return ""
		},
	}
}

// answered does what was chosen from a menu or typed into a prompt of this file;
// false if it is not one of them.
func powerAnswered(e *Env, m Answered, vms []model.VM) (out []Intent, ok bool) {
	switch m.ID {
	case "acts":
		out, _ = power(e, m.Value, vms)
		return out, true
	case "snapshot":
		if len(vms) != 1 || len(strings.Fields(m.Value)) == 0 {
			return nil, true
		}
		first, rest, _ := strings.Cut(strings.TrimSpace(m.Value), " ")
		return []Intent{Snap{VM: vms[0], Act: model.SnapshotAct{Kind: model.SnapshotCreate, Name: first, Description: strings.TrimSpace(rest)}}}, true
	}
	return nil, false
}
