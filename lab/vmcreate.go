package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// AddVM makes one more VM in a running lab and returns when it is up.
func (l *Lab) AddVM(ctx context.Context, spec VMSpec) (VM, error) {
	have := l.vms()
	vms, err := resolveAfter(have, []VMSpec{spec}, l.Prefix, l.plan, len(l.Nodes))
	if err != nil {
		return VM{}, err
	}
	if missing := missingOf(neededBy(vms)); len(missing) > 0 {
		return VM{}, fmt.Errorf("cannot make %s: %s is missing; make the lab with such a VM, and it is installed", spec.Name, strings.Join(missing, " "))
	}
	image, err := ensureGuestImage(ctx, l.paths, l.logf)
	if err != nil {
		return VM{}, err
	}
	if err := l.createVMs(ctx, image, vms); err != nil {
		return VM{}, err
	}
	return vms[0], l.saveState(true)
}

func (l *Lab) vms() []VM {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.VMs)
}

// createVMs makes all VMs at once and waits until each answers.
func (l *Lab) createVMs(ctx context.Context, image guestImage, vms []VM) error {
	if len(vms) == 0 {
		return nil
	}
	machine, err := l.machine(ctx)
	if err != nil {
		return err
	}
	g, gctx := errgroup.WithContext(ctx)
	// More at once than cores would only make each of them slower to watch.
	g.SetLimit(4)
	for _, vm := range vms {
		g.Go(func() error { return l.defineVM(gctx, vm, image, machine) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	l.mu.Lock()
	l.VMs = append(l.VMs, vms...)
	l.mu.Unlock()
	g, gctx = errgroup.WithContext(ctx)
	for _, vm := range vms {
		if vm.State == VMOff {
			l.logf("%s is defined on %s and off", vm.Name, vm.Node)
			continue
		}
		g.Go(func() error { return l.bootVM(gctx, vm) })
	}
	return g.Wait()
}

// machine is machineType, or what this machine's QEMU has in its place.
func (l *Lab) machine(ctx context.Context) (string, error) {
	out, err := l.Nodes[0].Exec(ctx, "qemu-system-x86_64", "-machine", "help")
	if err != nil {
		return "", err
	}
	return pickMachine(out)
}

// pickMachine prefers machineType and else takes the newest q35, which QEMU
// lists first, by its versioned name.
func pickMachine(help string) (string, error) {
	newest := ""
	for line := range strings.Lines(help) {
		name, _, _ := strings.Cut(line, " ")
		if name == machineType {
			return name, nil
		}
		if newest == "" && strings.HasPrefix(name, "pc-q35-") {
			newest = name
		}
	}
	if newest == "" {
		return "", errors.New("cannot make VMs: this QEMU has no q35 machine")
	}
	return newest, nil
}

func (l *Lab) defineVM(ctx context.Context, vm VM, image guestImage, machine string) error {
	n := l.Node(vm.Node)
	for i, d := range vm.Disks {
		if err := n.makeVMDisk(ctx, d, i == 0); err != nil {
			return fmt.Errorf("cannot make the disk %s of %s: %w", d.Path(), vm.Name, err)
		}
		if d.Device {
			if err := l.makeDevices(ctx, vm, d); err != nil {
				return err
			}
		}
	}
	if vm.ISO {
		if _, err := n.Exec(ctx, "dd", "if=/dev/urandom", "of="+vm.ISOPath(), "bs=64K", "count=8", "status=none"); err != nil {
			return fmt.Errorf("cannot make the medium %s of %s: %w", vm.ISOPath(), vm.Name, err)
		}
	}
	text := vm.domainXML(image, machine)
	if vm.Transient {
		_, err := n.ExecInput(ctx, text, "virsh", "-q", "-c", "qemu:///system", "create", "/dev/stdin")
		return err
	}
	if _, err := n.ExecInput(ctx, text, "virsh", "-q", "-c", "qemu:///system", "define", "/dev/stdin"); err != nil {
		return err
	}
	if vm.Autostart {
		if _, err := n.Virsh(ctx, "autostart", vm.Name); err != nil {
			return err
		}
	}
	if vm.State == VMOff {
		return nil
	}
	for _, d := range vm.Disks {
		if d.Named { // libvirt starts nothing on a volume that it has not seen
			if _, err := n.Virsh(ctx, "pool-refresh", d.Pool); err != nil {
				return err
			}
		}
	}
	_, err := n.Virsh(ctx, "start", vm.Name)
	return err
}

// makeVMDisk makes an image inside the host. The first one of a VM gets a file
// system, without a journal, so that an image frozen at any moment can be read
// from outside as it is.
func (n *Node) makeVMDisk(ctx context.Context, d DiskSpec, first bool) error {
	size := strconv.Itoa(d.SizeMiB) + "M"
	raw := d.Path()
	if d.Format == "qcow2" {
		raw = path.Join(path.Dir(raw), "."+d.File+".raw")
	}
	cmds := [][]string{{"truncate", "-s", size, raw}}
	fill := "of=" + raw
	if first {
		cmds = append(cmds, []string{"mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard", raw})
		fill = "of=/tmp/" + d.File + ".fill"
	}
	if d.FillMiB > 0 {
		cmds = append(cmds, []string{"dd", "if=/dev/urandom", fill, "bs=1M", "count=" + strconv.Itoa(d.FillMiB), "conv=notrunc", "status=none"})
		if first {
			cmds = append(cmds,
				[]string{"debugfs", "-w", "-R", "write /tmp/" + d.File + ".fill fill", raw},
				[]string{"rm", "-f", "/tmp/" + d.File + ".fill"})
		}
	}
	made, format := d.Path(), d.Format
	if d.Backing != "" {
		made, format = d.BasePath(), d.Backing
	}
	if format == "qcow2" {
		cmds = append(cmds, []string{"qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, made}, []string{"rm", "-f", raw})
	} else if made != raw {
		cmds = append(cmds, []string{"mv", raw, made})
	}
	if d.Backing != "" {
		cmds = append(cmds, []string{"qemu-img", "create", "-q", "-f", "qcow2", "-b", made, "-F", format, d.Path()})
	}
	for _, c := range cmds {
		if _, err := n.Exec(ctx, c...); err != nil {
			return err
		}
	}
	return nil
}

// bootVM waits until a VM that was started does what it is for.
func (l *Lab) bootVM(ctx context.Context, vm VM) error {
	start := time.Now()
	if err := l.WaitVM(ctx, vm.Name); err != nil {
		return err
	}
	if vm.State == VMPaused {
		if _, err := l.Node(vm.Node).Virsh(ctx, "suspend", vm.Name); err != nil {
			return err
		}
	}
	l.logf("%s on %s at %s is %s (%s)", vm.Name, vm.Node, vm.IP, vm.State, time.Since(start).Round(100*time.Millisecond))
	return nil
}

// WaitVM returns when a VM of the lab is up, on whichever host: its address
// answers, its web server gives 200, its agent replies, as far as it has them.
func (l *Lab) WaitVM(ctx context.Context, name string) error {
	vm, ok := l.VM(name)
	if !ok {
		return fmt.Errorf("cannot find the VM %q in the lab", name)
	}
	return until(ctx, guestDeadline, name+" to come up", func(ctx context.Context) (bool, error) {
		if err := alive(ctx, vm.IP); err != nil {
			return false, err
		}
		if vm.HTTP {
			if err := healthy(ctx, vm.IP); err != nil {
				return false, err
			}
		}
		if vm.Agent {
			return l.agentAnswers(ctx, vm)
		}
		return true, nil
	})
}

// alive tells whether a machine has that address: a refusal is an answer too.
func alive(ctx context.Context, ip string) error {
	d := net.Dialer{Timeout: time.Second}
	c, err := d.DialContext(ctx, "tcp", net.JoinHostPort(ip, "9"))
	if err == nil {
		return c.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	return err
}

func healthy(ctx context.Context, ip string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ip+"/health", nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("its /health says %s", res.Status)
	}
	return nil
}

// agentAnswers asks the agent, on the VM's first host and then on the others.
func (l *Lab) agentAnswers(ctx context.Context, vm VM) (bool, error) {
	var errs []error
	hosts := []*Node{l.Node(vm.Node)}
	for _, n := range l.Nodes {
		if n != hosts[0] {
			hosts = append(hosts, n)
		}
	}
	for _, n := range hosts {
		_, err := n.Virsh(ctx, "qemu-agent-command", "--timeout", "2", vm.Name, `{"execute":"guest-ping"}`)
		if err == nil {
			return true, nil
		}
		errs = append(errs, err)
		// A VM that has moved may be defined there still, and off.
		if n == hosts[0] && !strings.Contains(err.Error(), "failed to get domain") && !strings.Contains(err.Error(), "not running") {
			break // it is here, and not ready
		}
	}
	return false, errors.Join(errs...)
}
