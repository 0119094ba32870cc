package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// insidePath is the PATH of every command in a host.
const insidePath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// enterOrder: the mount namespace comes last, because after it /proc is
// another one. The files are opened before, so only the order of effects
// matters.
var enterOrder = []struct {
	name string
	flag int
}{
	{"ipc", unix.CLONE_NEWIPC},
	{"uts", unix.CLONE_NEWUTS},
	{"net", unix.CLONE_NEWNET},
	{"pid", unix.CLONE_NEWPID},
	{"mnt", unix.CLONE_NEWNS},
}

// Start starts cmd inside the host, in all of its namespaces. The command is a
// child of this process as always, so Wait, signals and contexts work on it.
// The program is looked up in the host's PATH; an empty Env gets a plain one.
func (n *Node) Start(cmd *exec.Cmd) error {
	pid := n.PID()
	if pid == 0 {
		return n.errOff()
	}
	if len(cmd.Env) == 0 {
		cmd.Env = []string{insidePath, "HOME=/root", "USER=root", "LANG=C.UTF-8", "TERM=" + os.Getenv("TERM")}
	}
	if len(cmd.Args) > 0 && !strings.Contains(cmd.Args[0], "/") {
		path, err := n.lookPath(pid, cmd.Args[0])
		if err != nil {
			return err
		}
		cmd.Path, cmd.Err = path, nil
	}
	if err := onOwnThread(func() error { return startIn(pid, cmd) }); err != nil {
		return fmt.Errorf("cannot run %s on %s: %w", cmd.Args[0], n.Name, err)
	}
	return nil
}

// onOwnThread runs do on a thread that ends with it, whatever do made of the
// thread. The process's first thread cannot end: left behind in a host it would
// keep the host's file systems busy, so it is never taken.
func onOwnThread(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			done <- onOwnThread(do) // on another thread, as this one is taken
			runtime.UnlockOSThread()
			return
		}
		done <- do() // still locked: the thread goes with the goroutine
	}()
	return <-done
}

// startIn moves its thread into the host, for good, and starts cmd there.
func startIn(pid int, cmd *exec.Cmd) error {
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for _, ns := range enterOrder {
		fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/%s", pid, ns.name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("the host is gone: %w", err)
		}
		fds = append(fds, fd)
	}
	// Threads share their root and working directory; a mount namespace cannot
	// be joined before that ends.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	for i, ns := range enterOrder {
		if err := unix.Setns(fds[i], ns.flag); err != nil {
			return fmt.Errorf("cannot enter the %s namespace: %w", ns.name, err)
		}
	}
	return cmd.Start()
}

// lookPath finds a program in the host's PATH.
func (n *Node) lookPath(pid int, name string) (string, error) {
	for _, dir := range filepath.SplitList(strings.TrimPrefix(insidePath, "PATH=")) {
		full := filepath.Join(dir, name)
		st, err := os.Stat(n.path(pid, full))
		if err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return full, nil
		}
	}
	return "", fmt.Errorf("cannot run %s on %s: there is no such program", name, n.Name)
}

// ExecError is a command in a host that ended with an error.
type ExecError struct {
	Node   string
	Args   []string
	Stderr string
	Err    error
}

func (e *ExecError) Error() string {
	why := strings.TrimSpace(e.Stderr)
	if why == "" {
		why = e.Err.Error()
	}
	return fmt.Sprintf("cannot run `%s` on %s: %s", strings.Join(e.Args, " "), e.Node, why)
}

func (e *ExecError) Unwrap() error { return e.Err }

// Exec runs a command in the host and returns what it wrote to stdout. The
// error of a command that failed is an *ExecError with what it wrote to stderr.
func (n *Node) Exec(ctx context.Context, argv ...string) (string, error) {
	return n.ExecInput(ctx, "", argv...)
}

// ExecInput is Exec with something to read on stdin.
func (n *Node) ExecInput(ctx context.Context, stdin string, argv ...string) (string, error) {
	return n.execTo(ctx, new(bytes.Buffer), stdin, argv...)
}

// execTo is ExecInput that also keeps what the command says on stderr.
func (n *Node) execTo(ctx context.Context, stderr *bytes.Buffer, stdin string, argv ...string) (string, error) {
	if len(argv) == 0 {
		return "", errors.New("cannot run nothing: name a command")
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var stdout bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, stderr
	if stdin != "" {
		cmd.Stdin = strings.NewReader(stdin)
	}
	// A daemon that keeps the pipes open must not hold up its starter.
	cmd.WaitDelay = waitDelay
	err := n.Start(cmd)
	if err != nil {
		return "", err
	}
	err = cmd.Wait()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return stdout.String(), &ExecError{n.Name, argv, stderr.String(), err}
	}
	return stdout.String(), nil
}

// Virsh runs virsh against the host's own libvirtd and returns its stdout.
func (n *Node) Virsh(ctx context.Context, args ...string) (string, error) {
	return n.Exec(ctx, append([]string{"virsh", "-q", "-c", "qemu:///system"}, args...)...)
}

// signalPID sends a signal and takes a process that is gone for an error.
func signalPID(pid int, sig unix.Signal) error {
	if err := unix.Kill(pid, sig); err != nil {
		return fmt.Errorf("cannot signal process %s: %w", strconv.Itoa(pid), err)
	}
	return nil
}
