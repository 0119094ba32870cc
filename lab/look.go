package lab

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
)

// Presence is what one host has of a VM.
type Presence struct {
	Node      string
	Known     bool   // libvirt knows the VM
	State     string // as in `virsh domstate`: "running", "shut off", ...
	Reason    string // as in `virsh domstate --reason`: "booted", "migrated", ...
	Persist   bool   // it is defined, not only running
	Processes []QEMU // QEMUs of that VM, whatever libvirt says about them
	Err       error  // libvirt could not be asked
}

// QEMU is a QEMU process of a lab host.
type QEMU struct {
	Node     string
	PID      int // the machine's number
	Name     string
	UUID     string
	Incoming bool // was started to receive a migration
	Frozen   bool // by SIGSTOP
}

// QEMUs lists all QEMU processes in all hosts from the machine's process list,
// within milliseconds and without asking libvirt. Processes by which libvirt
// probes QEMU are left out.
func (l *Lab) QEMUs() []QEMU { return l.qemus(false) }

func (l *Lab) qemus(quick bool) []QEMU {
	nodes := map[string]string{}
	var out []QEMU
	for node, pid := range l.hostPIDs() {
		if ns, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/ns/pid"); err == nil {
			nodes[ns] = node
		}
	}
	for _, p := range l.procs.qemus(quick) {
		uuid, ok := p.option("-uuid")
		if !ok || nodes[p.PIDNS] == "" {
			continue
		}
		_, incoming := p.option("-incoming")
		out = append(out, QEMU{nodes[p.PIDNS], p.PID, p.guestName(), uuid, incoming, p.State == 'T'})
	}
	return out
}

// hostPIDs is hostProcesses, without another look through the process list
// while all that were found before are there still.
func (l *Lab) hostPIDs() map[string]int {
	l.mu.Lock()
	known := l.hosts
	l.mu.Unlock()
	if len(known) == len(l.Nodes) {
		whole := true
		for node, pid := range known {
			whole = whole && l.isHost(node, pid)
		}
		if whole {
			return known
		}
	}
	found := hostProcesses(l.paths)
	l.mu.Lock()
	l.hosts = found
	l.mu.Unlock()
	return found
}

// hostPID is that of one host, 0 if it is off.
func (l *Lab) hostPID(node string) int {
	l.mu.Lock()
	pid := l.hosts[node]
	l.mu.Unlock()
	if pid != 0 && l.isHost(node, pid) {
		return pid
	}
	return l.hostPIDs()[node]
}

func (l *Lab) isHost(node string, pid int) bool {
	p, ok := readProcess(pid)
	dir, prefix, name, host := p.hostArgs()
	return ok && host && !p.dead() && dir == l.paths.dir && prefix == l.paths.prefix && name == node
}

// UUID gives the UUID of a VM of the lab by name; a UUID stands for itself.
func (l *Lab) UUID(vm string) string {
	if v, ok := l.VM(vm); ok {
		return v.UUID
	}
	return vm
}

// Where looks for a VM, by name or UUID, on every host, in the order of the
// hosts: what libvirt says, and which processes there are.
func (l *Lab) Where(ctx context.Context, vm string) []Presence {
	out := make([]Presence, len(l.Nodes))
	qemus := l.QEMUs()
	var g errgroup.Group
	for i, n := range l.Nodes {
		g.Go(func() error {
			out[i] = n.presence(ctx, vm)
			for _, q := range qemus {
				if q.Node == n.Name && (q.UUID == l.UUID(vm) || q.Name == vm) {
					out[i].Processes = append(out[i].Processes, q)
				}
			}
			return nil
		})
	}
	g.Wait() //nolint:errcheck // errors are in the answers
	return out
}

func (n *Node) presence(ctx context.Context, vm string) Presence {
	p := Presence{Node: n.Name}
	if !n.Running() {
		p.Err = n.errOff()
		return p
	}
	out, err := n.Virsh(ctx, "domstate", "--reason", vm)
	if err != nil {
		if !strings.Contains(err.Error(), "failed to get domain") {
			p.Err = err
		}
		return p
	}
	p.Known = true
	p.State, p.Reason = parseState(out)
	info, err := n.Virsh(ctx, "dominfo", vm)
	p.Err = err
	p.Persist = infoField(info, "Persistent") == "yes"
	return p
}

// parseState reads "running (migrated)".
func parseState(out string) (state, reason string) {
	state, reason, _ = strings.Cut(strings.TrimSpace(out), " (")
	return state, strings.TrimSuffix(reason, ")")
}

// infoField reads one field of `virsh dominfo`.
func infoField(info, field string) string {
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == field {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// Owners lists the hosts where the VM has a process or libvirt says it is
// active, as "node1: running (booted), 1 process": for messages of tests.
func Owners(all []Presence) []string {
	var out []string
	for _, p := range all {
		active := p.Known && p.State != "shut off"
		if active || len(p.Processes) > 0 {
			out = append(out, fmt.Sprintf("%s: %s (%s), %d process(es)", p.Node, p.State, p.Reason, len(p.Processes)))
		}
	}
	return out
}
