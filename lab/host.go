package lab

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// create makes a host from nothing and starts it.
func (n *Node) create(ctx context.Context, fstype string) error {
	if err := n.writeSpec(fstype); err != nil {
		return fmt.Errorf("cannot prepare %s: %w", n.Name, err)
	}
	return n.power(ctx)
}

// writeSpec writes what the host's process 1 will read, but for the loop
// device, which is another one each time.
func (n *Node) writeSpec(fstype string) error {
	p := n.lab.paths
	machine, err := os.ReadFile(p.nodeFile(n.Name, "machine-id"))
	if err != nil {
		return err
	}
	spec := hostSpec{
		Dir: p.dir, Prefix: p.prefix, Node: n.Name, FSType: fstype,
		CIDR:    n.lab.plan.cidr(n.lab.plan.node(n.index)),
		Uplink:  vethInner(p.prefix, n.index),
		MAC:     macOf(p.prefix, "host", n.Name),
		Machine: strings.TrimSpace(string(machine)),
	}
	if n.release != "" {
		spec.Tree = p.tree(n.release)
	}
	for _, peer := range n.lab.Nodes {
		spec.Peers = append(spec.Peers, hostName{peer.Name, peer.Address})
	}
	return spec.write()
}

// macOf gives the same locally administered address for the same name, and
// different ones in different labs, because they may meet on one machine.
func macOf(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return fmt.Sprintf("52:54:00:%02x:%02x:%02x", h[0], h[1], h[2])
}

// power starts a host that is off and waits until its libvirt answers.
func (n *Node) power(ctx context.Context) (err error) {
	p := n.lab.paths
	spec, err := readHostSpec(p, n.Name)
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", n.Name, err)
	}
	var extra []*os.File // what process 1 gets: of no use here once it has it
	closeExtra := func() {
		for _, f := range extra {
			f.Close()
		}
		extra = nil
	}
	defer closeExtra()
	goR, goW, err := os.Pipe()
	if err != nil {
		return err
	}
	defer goW.Close()
	repR, repW, err := os.Pipe()
	if err != nil {
		goR.Close()
		return err
	}
	defer repR.Close()
	extra = append(extra, goR, repW)
	spec.Loop = ""
	dev, err := attachLoop(p.nodeFile(n.Name, imagesFile))
	if err != nil {
		n.lab.logf("%s: no disk of its own for images, \"disk full\" cannot be tried: %v", n.Name, err)
	} else {
		spec.Loop = dev.Name()
		extra = append(extra, dev)
	}
	if err := spec.write(); err != nil {
		return err
	}
	pid, err := n.spawn(extra)
	closeExtra()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, n.killHost(context.WithoutCancel(ctx)))
		}
	}()
	if err := n.plug(pid); err != nil {
		return err
	}
	if _, err := goW.WriteString("go"); err != nil {
		return fmt.Errorf("cannot start %s: %w", n.Name, err)
	}
	if err := n.awaitReady(ctx, repR); err != nil {
		return err
	}
	return n.awaitLibvirt(ctx)
}

// spawn starts process 1 of the host in its namespaces. It is a session of its
// own, so it outlives this process and its terminal.
func (n *Node) spawn(extra []*os.File) (int, error) {
	p := n.lab.paths
	log, err := os.OpenFile(p.nodeFile(n.Name, "host.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer log.Close()
	cmd := &exec.Cmd{
		Path:   "/proc/self/exe", // also finds a binary that was replaced meanwhile
		Args:   []string{initArg0, p.dir, p.prefix, n.Name},
		Env:    []string{insidePath, childEnv + "=1", "HOME=/root"},
		Dir:    "/",
		Stdout: log, Stderr: log,
		ExtraFiles: extra,
		SysProcAttr: &syscall.SysProcAttr{
			Setsid:     true,
			Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		},
	}
	if err := cmd.Start(); err != nil {
		return 0, fmt.Errorf("cannot start %s: %w; the machine must allow new namespaces", n.Name, err)
	}
	go cmd.Wait() //nolint:errcheck // only so that it does not stay a zombie of ours
	return cmd.Process.Pid, nil
}

// awaitReady waits for the word of the host's process 1.
func (n *Node) awaitReady(ctx context.Context, r *os.File) error {
	line := make(chan string, 1)
	go func() {
		s, _ := bufio.NewReader(r).ReadString('\n')
		line <- strings.TrimSpace(s)
	}()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(hostDeadline):
		return fmt.Errorf("cannot start %s: it is not up after %s; see %s", n.Name, hostDeadline, n.lab.paths.nodeFile(n.Name, "host.log"))
	case s := <-line:
		switch s {
		case readyWord:
			return nil
		case "":
			return fmt.Errorf("cannot start %s: its process 1 died; see %s", n.Name, n.lab.paths.nodeFile(n.Name, "host.log"))
		}
		return fmt.Errorf("cannot start %s: %s", n.Name, s)
	}
}

// awaitLibvirt waits until the host's libvirtd serves; before that it probes
// QEMU.
func (n *Node) awaitLibvirt(ctx context.Context) error {
	return until(ctx, hostDeadline, "libvirtd on "+n.Name, func(ctx context.Context) (bool, error) {
		_, err := n.Virsh(ctx, "pool-info", "images")
		return err == nil, err
	})
}

// awaitSSH waits for sshd's port: sshd goes to the background before it binds.
// It looks, and does not connect: that would make processes of sshd.
func (n *Node) awaitSSH(ctx context.Context) error {
	const listens = ":0016 00000000:0000 0A " // port 22 in /proc/net/tcp
	return until(ctx, hostDeadline, "sshd on "+n.Name, func(ctx context.Context) (bool, error) {
		sockets, err := n.Exec(ctx, "cat", "/proc/net/tcp")
		return err == nil && strings.Contains(sockets, listens), err
	})
}

// killHost ends the host at once, as a power failure does: the kernel kills
// every process of it. The link goes with it.
func (n *Node) killHost(ctx context.Context) error {
	pid := n.PID()
	if pid != 0 {
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("cannot end %s: %w", n.Name, err)
		}
	}
	err := until(ctx, goneDeadline, "the end of "+n.Name, func(context.Context) (bool, error) {
		return n.PID() == 0, nil
	})
	if err != nil {
		return err
	}
	if err := removeLink(vethName(n.lab.Prefix, n.index), n.lab.paths.alias()); err != nil {
		return err
	}
	// Two loop devices over one file would spoil the disk at the next start.
	return detachLoops(ctx, n.lab.paths.node(n.Name))
}
