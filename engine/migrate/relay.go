package migrate

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// Relay carries connections from sockets on the source to those of the same
// names on the target, through this process or from node to node.
type Relay interface {
	// Make makes a folder for sockets on both nodes; one that is there is an error.
	Make(ctx context.Context, dir string) error
	// Login opens the lines that carry the data, Listen the sockets on the source.
	Login(ctx context.Context) error
	Listen(ctx context.Context, sockets ...string) error
	// Err is the first connection that broke, nil if none did.
	Err() error
	Close()
}

// byRelay tells that what libvirt sends goes through sockets, and from there
// through this process or by an SSH of the nodes' own.
func (j *Job) byRelay() bool { return j.plan.Way.BySockets() }

// maxSocket is the longest path of a socket, sun_path less its end.
const maxSocket = 107

// relaySockets are the sockets of memory and of mirrored disks. They end as the
// profile that AppArmor has for QEMU wants it of a migration's sockets; where
// the VM's name does not fit into that, a host with AppArmor will refuse.
func relaySockets(dir, vm string) (memory, disks string) {
	const as = ".tunnelmigrate.dest."
	plain := !strings.ContainsFunc(vm, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
	})
	if !plain || len(dir)+len("/m")+len(as)+len(vm) > maxSocket {
		vm = "vm"
	}
	return dir + "/m" + as + vm, dir + "/d" + as + vm
}

func socketURI(p string) string { return (&url.URL{Scheme: "unix", Path: p}).String() }

// makeRelay makes the folder of the sockets and opens the lines, before libvirt
// is told anything.
func (j *Job) makeRelay(ctx context.Context) error {
	if !j.byRelay() {
		return nil
	}
	if j.Relay == nil {
		return errors.New("this process has no way to carry data")
	}
	dir := model.RelayDir(j.Journal.View().Job)
	if j.Journal.View().Relay != "" {
		// Of a process that is gone.
		for _, h := range []Host{j.Source, j.Target} {
			if err := h.DropSockets(ctx, dir); err != nil {
				return err
			}
		}
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.Relaying, Note: dir}); err != nil {
		return err
	}
	if err := j.Relay.Make(ctx, dir); err != nil {
		return err
	}
	err := j.Relay.Login(ctx)
	if err == nil || j.Detour == nil || ctx.Err() != nil {
		return err
	}
	return j.takeDetour(ctx, dir, err)
}

// takeDetour sends the data through this process, after the target has not let
// the source in. The sockets have the same names, so that the journal, and who
// settles this move later, need not know.
func (j *Job) takeDetour(ctx context.Context, dir string, why error) error {
	j.Relay.Close()
	for _, h := range []Host{j.Source, j.Target} {
		if err := h.DropSockets(ctx, dir); err != nil {
			return errors.Join(why, err)
		}
	}
	j.Relay, j.Detour, j.detoured = j.Detour(), nil, true
	j.log("warn", j.plan.From, "the data go through this machine instead: %v", why)
	if err := j.Relay.Make(ctx, dir); err != nil {
		return errors.Join(err, why)
	}
	if err := j.Relay.Login(ctx); err != nil {
		return errors.Join(err, why)
	}
	return nil
}

// nodeToNode tells that the data go by SSH without this process.
func (j *Job) nodeToNode() bool { return j.plan.Way == model.PathSSH && !j.detoured }

// listenRelay opens the sockets on the source, once the target waits at its own.
func (j *Job) listenRelay(ctx context.Context) error {
	if !j.byRelay() {
		return nil
	}
	memory, disks := relaySockets(j.Journal.View().Relay, j.plan.VMName)
	sockets := []string{memory}
	if len(j.plan.Copies()) > 0 {
		sockets = append(sockets, disks)
	}
	if err := j.Relay.Listen(ctx, sockets...); err != nil {
		return err
	}
	what := "memory" + map[bool]string{true: " and disks"}[len(sockets) > 1]
	if j.nodeToNode() {
		j.log("info", j.plan.From, "%s go straight to %s, encrypted by SSH with a key of this move", what, j.plan.To)
		return nil
	}
	j.log("info", j.plan.From, "%s go to %s through this machine, encrypted by SSH on both ways", what, j.plan.To)
	return nil
}

// dropRelay ends the way of the data and removes the sockets from the nodes. What cannot be removed is said,
// and tried again by confirm and recover: it holds no data, and /run does not
// outlive a host.
func (j *Job) dropRelay(ctx context.Context, nodes ...Host) {
	if j.Relay != nil && j.Journal.View().Relay != "" {
		j.Relay.Close()
	}
	j.dropSockets(ctx, nodes...)
}

func (j *Job) dropSockets(ctx context.Context, nodes ...Host) {
	dir := j.Journal.View().Relay
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	gone := true
	for _, h := range nodes {
		if err := h.DropSockets(ctx, dir); err != nil {
			gone = false
			j.log("warn", h.Name(), "the sockets in %s are not removed: %v", dir, err)
		}
	}
	if !gone {
		return
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.Relayed}); err != nil {
		j.log("warn", "", "%v", err)
	}
}
