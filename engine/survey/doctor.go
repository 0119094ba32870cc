package survey

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/store"
	"horcrux/engine/virt"
)

// Doctor looks at one node: can it be reached, is it fit, what to do if not.
func Doctor(ctx context.Context, n *fleet.Node) []model.Finding {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	waitCtx, stop := context.WithTimeout(ctx, 15*time.Second)
	err := n.Wait(waitCtx)
	stop()
	state, reason, since := n.Status()
	if err != nil || (state != model.NodeUp && state != model.NodeBusy) {
		return []model.Finding{unfit(state, reason, since)}
	}
	d := &doctor{n: n}
	d.reach(ctx)
	c, err := n.Act(ctx)
	if err != nil {
		d.add("libvirt", "libvirt", model.Fail, err.Error(), "see that libvirtd or virtqemud runs on the node")
		return d.all
	}
	d.libvirt(ctx, c)
	d.storage(ctx, c)
	d.commands(ctx)
	if why := noPostCopy(ctx, n); why == "" {
		d.add("post-copy", "post-copy", model.Pass, "QEMU may fetch the memory of a guest that runs", "")
	} else {
		d.add("post-copy", "post-copy", model.Skip, "QEMU cannot take moves by --policy post-copy: "+why, "if you want them, on the node: sysctl vm.unprivileged_userfaultfd=1")
	}
	return d.all
}

func unfit(state model.NodeState, reason string, since time.Time) model.Finding {
	f := model.Finding{ID: "reach", Title: "reachable", Verdict: model.Fail, Detail: fmt.Sprintf("%s since %s: %s", state, since.Local().Format("15:04:05"), reason)}
	switch state {
	case model.NodeDaemonDown:
		f.Remedy = "on the node: systemctl status libvirtd virtqemud.socket"
	case model.NodeRefused:
		f.Remedy = "the reason above names the file or key that is wrong"
	default:
		f.Remedy = "check power, network and sshd of the node, and its address in the configuration"
	}
	return f
}

type doctor struct {
	n   *fleet.Node
	all []model.Finding
}

func (d *doctor) add(id, title string, v model.Verdict, detail, remedy string) {
	if v == model.Pass {
		remedy = ""
	}
	d.all = append(d.all, model.Finding{ID: id, Title: title, Verdict: v, Detail: detail, Remedy: remedy})
}

func (d *doctor) libvirt(ctx context.Context, c *virt.Conn) {
	info, err := c.Host(ctx)
	if err != nil {
		d.add("libvirt", "libvirt", model.Fail, err.Error(), "see that libvirtd or virtqemud runs on the node")
		return
	}
	if load, err := c.Load(ctx); err == nil && load.MemTotal > 0 {
		info.MemTotal = load.MemTotal
	}
	d.add("libvirt", "libvirt", model.Pass, fmt.Sprintf("libvirt %s, QEMU %s, %d CPUs, %s", info.Libvirt, info.QEMU, info.CPUs, humanize.IBytes(info.MemTotal)), "")
	v, detail := model.Pass, "host UUID "+info.HostUUID
	if info.HostUUID == "" || strings.HasPrefix(info.HostUUID, "00000000-0000") {
		v, detail = model.Fail, "the host has no UUID of its own"
	}
	d.add("host-uuid", "host UUID", v, detail, "set host_uuid in libvirtd.conf; libvirt refuses to move between hosts that share one")
	if strings.HasPrefix(info.Hostname, "localhost") || info.Hostname == "" {
		d.add("hostname", "host name", model.Warn, fmt.Sprintf("the host calls itself %q", info.Hostname), "give the host a name of its own")
	} else {
		d.add("hostname", "host name", model.Pass, info.Hostname, "")
	}
	v3, err := c.SupportsFeature(ctx, featureMigrationV3)
	params, err2 := c.SupportsFeature(ctx, featureMigrationParams)
	if err != nil || err2 != nil || !v3 || !params {
		d.add("migration", "live moves", model.Fail, "this libvirt cannot be driven step by step", "libvirt 8.0 or newer is needed")
	} else {
		d.add("migration", "live moves", model.Pass, "migration protocol 3 with parameters", "")
	}
}

func (d *doctor) storage(ctx context.Context, c *virt.Conn) {
	pools, err := c.Pools(ctx)
	if err != nil {
		d.add("pools", "storage pools", model.Fail, err.Error(), "virsh pool-list --all on the node")
		return
	}
	active := 0
	for _, p := range pools {
		switch {
		case !p.Active:
			d.add("pool-"+p.Name, "pool "+p.Name, model.Warn, "not active", "virsh pool-start "+p.Name+" on the node")
		case p.Capacity > 0 && p.Available < p.Capacity/20:
			d.add("pool-"+p.Name, "pool "+p.Name, model.Warn, fmt.Sprintf("%s of %s free", humanize.IBytes(p.Available), humanize.IBytes(p.Capacity)), "free space in "+p.Path)
			active++
		default:
			d.add("pool-"+p.Name, "pool "+p.Name, model.Pass, fmt.Sprintf("%s of %s free in %s", humanize.IBytes(p.Available), humanize.IBytes(p.Capacity), p.Path), "")
			active++
		}
	}
	if active == 0 {
		d.add("pools", "storage pools", model.Warn, "no active pool: VMs with disks of their own cannot be moved here", "define a pool for the directory where images live")
	}
}

// needed are the commands that a move runs on a node besides libvirt's calls.
var needed = []string{"test", "mv", "rm", "tee", "cat", "stat", "find", "chown", "chmod"}

func (d *doctor) commands(ctx context.Context) {
	res, err := d.n.Exec(ctx, append([]string{"which", "--"}, needed...), nil)
	if no := new(fleet.SudoError); errors.As(err, &no) {
		return // said already
	}
	if err != nil {
		d.add("commands", "commands", model.Fail, err.Error(), "allow the user to run commands over SSH")
		return
	}
	found := len(strings.Fields(string(res.Stdout)))
	if found < len(needed) {
		d.add("commands", "commands", model.Warn, fmt.Sprintf("%d of %d found (%s)", found, len(needed), strings.Join(needed, ", ")), "install coreutils and findutils on the node")
		return
	}
	d.add("commands", "commands", model.Pass, strings.Join(needed, ", "), "")
	tools, err := store.Probe(ctx, d.n)
	if err != nil {
		d.add("copy-tools", "tools for copying disks", model.Warn, err.Error(), "")
		return
	}
	d.all = append(d.all, tools.Findings()...)
}
