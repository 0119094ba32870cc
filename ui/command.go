package ui

import (
	"fmt"
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
	"horcrux/ui/widget"
)

// verb is one command of the command line; the words are those of the shell.
type verb struct {
	name, args, help string
}

var verbs = []verb{
	{"migrate", "VM [NODE]", "choose how to move a VM"},
	{"vms", "", "the list of all VMs"},
	{"nodes", "", "the list of all nodes"},
	{"vm", "VM", "open a VM"},
	{"node", "NODE", "open a node"},
	{"jobs", "", "all moves"},
	{"job", "ID", "open a move"},
	{"abort", "ID", "stop a move and undo it; asks first"},
	{"confirm", "ID", "let go of what is left on the source; asks first"},
	{"rollback", "ID", "take a VM back; asks first"},
	{"reconnect", "NODE", "try to reach a node now, and ask again what was declined"},
	{"start", "VM", "boot a VM where it is"},
	{"shutdown", "VM", "ask a guest to shut down; asks first"},
	{"reboot", "VM", "ask a guest to reboot; asks first"},
	{"pause", "VM", "stop its vCPUs; asks first"},
	{"resume", "VM", "let a paused guest go on"},
	{"force-off", "VM", "pull the plug; wants the name typed"},
	{"console", "VM", "its serial console; ctrl-] leaves it"},
	{"doctor", "", "look at every node: what it needs, and what to do"},
	{"log", "", "what the console did and was told"},
	{"help", "", "the keys of this page"},
	{"quit", "", "leave the console; moves go on"},
}

// aliases are words that hands know from other consoles and shells.
var aliases = map[string]string{
	"vms": "vms", "domains": "vms", "list": "vms", "ls": "vms",
	"no": "nodes", "hosts": "nodes", "cluster": "nodes",
	"moves": "jobs", "migrations": "jobs",
	"mv": "migrate", "move": "migrate", "host": "node", "dom": "vm", "domain": "vm",
	"h": "help", "?": "help", "q": "quit", "q!": "quit", "qa": "quit", "exit": "quit", "wq": "quit",
}

// maxCompletions bounds the list: a cluster may have ten thousand names.
const maxCompletions = 50

// complete lists how a line can go on: verbs first, and with nothing typed the
// actions of the page as well; then names.
func (a *app) complete(line string) []widget.Completion {
	words := strings.Fields(line)
	if len(words) == 0 || len(words) == 1 && !strings.HasSuffix(line, " ") {
		return a.completeVerb(strings.TrimSpace(line))
	}
	verb := words[0]
	if of, ok := aliases[verb]; ok {
		verb = of
	}
	last := ""
	if !strings.HasSuffix(line, " ") {
		last, words = words[len(words)-1], words[:len(words)-1]
	}
	var out []widget.Completion
	add := func(word, note string) {
		if len(out) < maxCompletions && strings.HasPrefix(strings.ToLower(word), strings.ToLower(last)) {
			out = append(out, widget.Completion{Line: strings.Join(append(slices.Clone(words), word), " ") + " ", Word: word, Note: note})
		}
	}
	switch {
	case len(words) == 1 && (verb == "migrate" || verb == "vm" || powerVerb(verb) != ""):
		for i := range a.env.Cluster.VMs {
			if v := a.env.Cluster.VMs[i]; !v.Tombstone {
				add(text.Clean(v.Name), text.Clean(string(v.Node))+", "+screen.StateWord(v.State))
			}
		}
	case len(words) == 1 && (verb == "node" || verb == "reconnect"), len(words) == 2 && verb == "migrate":
		from := model.NodeName("")
		if len(words) == 2 {
			if v, wrong := findVM(a.env, words[1]); wrong == "" {
				from = v.Node
			}
		}
		for _, n := range a.env.Cluster.Nodes {
			if n.Name == from {
				continue // it is there already
			}
			add(text.Clean(string(n.Name)), text.Clean(string(n.State)))
		}
	case len(words) == 1 && slices.Contains([]string{"job", "abort", "confirm", "rollback"}, verb):
		for _, j := range a.env.Jobs {
			add(text.Clean(string(j.ID)), text.Clean(j.VMName)+" to "+text.Clean(string(j.To))+", "+text.Clean(string(j.State)))
		}
	}
	return out
}

func (a *app) completeVerb(start string) []widget.Completion {
	var out []widget.Completion
	for _, v := range verbs {
		if strings.HasPrefix(v.name, start) {
			line := v.name
			if v.args != "" {
				line += " "
			}
			out = append(out, widget.Completion{Line: line, Word: strings.TrimSpace(v.name + " " + v.args), Note: v.help})
		}
	}
	for _, act := range a.top().Scope() {
		if act.Group != "move" && strings.HasPrefix(act.Title, start) && !slices.ContainsFunc(verbs, func(v verb) bool { return v.name == act.Title }) {
			note := act.Help
			if act.Disabled != "" {
				note = "not now, " + act.Disabled
			}
			out = append(out, widget.Completion{Line: act.Title, Word: act.Title + " (" + act.Label() + ")", Note: note})
		}
	}
	return out
}

// execute does a line, or says what is wrong with it.
func (a *app) execute(line string) (cmd tea.Cmd, wrong string) {
	words := strings.Fields(line)
	if len(words) == 0 {
		return nil, ""
	}
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	if of, ok := aliases[words[0]]; ok {
		words[0] = of
	}
	if list, ok := map[string]string{"vm": "vms", "node": "nodes", "job": "jobs"}[words[0]]; ok && len(words) == 1 {
		words[0] = list
	}
	switch words[0] {
	case "quit":
		return a.quit(), ""
	case "vms":
		return a.home(screen.FocusVMs), ""
	case "nodes":
		return a.home(screen.FocusNodes), ""
	case "jobs":
		return a.apply([]screen.Intent{screen.OpenJobs{}}), ""
	case "log":
		return a.apply([]screen.Intent{screen.OpenLog{}}), ""
	case "vm", "migrate":
		v, wrong := findVM(a.env, arg(1))
		if wrong != "" {
			return nil, wrong
		}
		if words[0] == "vm" {
			return a.apply([]screen.Intent{screen.OpenVM{UUID: v.UUID, Node: v.Node}}), ""
		}
		return a.migrate(v, arg(2))
	case "node":
		if n, ok := a.env.Node(model.NodeName(arg(1))); ok {
			return a.apply([]screen.Intent{screen.OpenNode{Name: n.Name}}), ""
		}
		return nil, fmt.Sprintf("there is no node %q", arg(1))
	case "doctor":
		return a.apply([]screen.Intent{screen.OpenDoctor{}}), ""
	case "reconnect":
		return a.reconnect(arg(1))
	case "job", "abort", "confirm", "rollback":
		return a.onJob(words[0], arg(1))
	}
	if id := powerVerb(words[0]); id != "" && len(words) == 2 {
		return a.powerOn(id, arg(1))
	}
	for _, act := range append(a.top().Scope(), global()...) {
		if act.Title == strings.Join(words, " ") {
			return a.run(act), ""
		}
	}
	return nil, fmt.Sprintf("there is no command %q; tab completes", words[0])
}

func (a *app) migrate(v model.VM, to string) (tea.Cmd, string) {
	if to != "" {
		n, ok := a.env.Node(model.NodeName(to))
		switch {
		case !ok:
			return nil, fmt.Sprintf("there is no node %q", to)
		case n.Name == v.Node:
			return nil, v.Name + " is on " + to + " already"
		}
	}
	act, _ := screen.NewVM(a.env, v.UUID, v.Node).Scope().Find("m")
	if act.Disabled != "" {
		return nil, act.Disabled
	}
	return a.apply([]screen.Intent{screen.OpenMigrate{VMs: []model.VM{v}, To: model.NodeName(to)}}), ""
}

// onJob opens a job, or asks what the page of the job would ask.
func (a *app) onJob(what, id string) (tea.Cmd, string) {
	j, wrong := findJob(a.env, id)
	if wrong != "" {
		return nil, wrong
	}
	if what == "job" {
		return a.apply([]screen.Intent{screen.OpenJob{ID: j.ID}}), ""
	}
	page := screen.NewJob(a.env, j.ID, j)
	for _, act := range page.Scope() {
		if act.ID == what {
			if act.Disabled != "" {
				return nil, act.Disabled
			}
			_, intents := page.Update(screen.Do{ID: what})
			return a.apply(intents), ""
		}
	}
	return nil, ""
}

// findVM finds a VM by name, node/name or UUID; a name that two nodes have is
// refused with both listed.
func findVM(e *screen.Env, s string) (model.VM, string) {
	var found []model.VM
	for i := range e.Cluster.VMs {
		v := e.Cluster.VMs[i]
		if !v.Tombstone && (v.Name == s || string(v.Node)+"/"+v.Name == s || string(v.UUID) == strings.ToLower(s)) {
			found = append(found, *v)
		}
	}
	switch {
	case s == "":
		return model.VM{}, "which VM?"
	case len(found) == 0:
		return model.VM{}, fmt.Sprintf("there is no VM %q on the nodes that answer", s)
	case len(found) > 1:
		names := make([]string, len(found))
		for i, v := range found {
			names[i] = text.Clean(string(v.Node) + "/" + v.Name)
		}
		return model.VM{}, "that may be any of " + strings.Join(names, ", ") + ": name one"
	}
	return found[0], ""
}

// findJob finds a job by its ID, a unique beginning of it, or the name of a VM
// with one move that is not over.
func findJob(e *screen.Env, s string) (model.Job, string) {
	if s == "" {
		return model.Job{}, "which job?"
	}
	var byID, byName []model.Job
	for _, j := range e.Jobs {
		switch {
		case string(j.ID) == s:
			return j, ""
		case strings.HasPrefix(string(j.ID), s):
			byID = append(byID, j)
		case j.VMName == s && !j.State.Ended():
			byName = append(byName, j)
		}
	}
	if len(byID) == 0 {
		byID = byName
	}
	switch len(byID) {
	case 0:
		return model.Job{}, fmt.Sprintf("there is no job %q", s)
	case 1:
		return byID[0], ""
	}
	return model.Job{}, fmt.Sprintf("%d jobs begin with %q: name one", len(byID), s)
}

// powerVerb is the action that a verb of the command line stands for.
func powerVerb(verb string) string {
	switch verb {
	case "start", "shutdown", "reboot", "pause", "resume", "force-off":
		return "power " + verb
	case "console":
		return verb
	}
	return ""
}

// powerOn does what the page of a VM would do, with the same questions.
func (a *app) powerOn(id, vm string) (tea.Cmd, string) {
	v, wrong := findVM(a.env, vm)
	if wrong != "" {
		return nil, wrong
	}
	page := screen.NewVM(a.env, v.UUID, v.Node)
	for _, act := range page.Scope() {
		if act.ID == id {
			if act.Disabled != "" {
				return nil, act.Disabled
			}
			_, intents := page.Update(screen.Do{ID: id})
			return a.apply(intents), ""
		}
	}
	return nil, "that cannot be done"
}
