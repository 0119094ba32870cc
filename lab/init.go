package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// childEnv marks a process that Up started as process 1 of a host.
const childEnv = "HORCRUX_LAB_CHILD"

// File descriptors that process 1 of a host is born with.
const (
	goFD     = 3 // readable at its end once the machine has set up the link
	reportFD = 4 // takes readyWord, or the reason why the host did not come up
	loopFD   = 5 // holds the loop device until it is mounted
)

const readyWord = "ready"

// InitIfChild turns this process into process 1 of a lab host if it was
// started as one, and returns otherwise. A program that uses the lab calls it
// before anything else; Up refuses to work in a program that did not.
func InitIfChild() {
	initChecked = true
	if len(os.Args) != 4 || os.Args[0] != initArg0 || os.Getenv(childEnv) == "" {
		return
	}
	report := os.NewFile(reportFD, "report")
	if os.Getpid() != 1 {
		fmt.Fprintln(report, "the process is not process 1 of its namespace")
		os.Exit(1)
	}
	if err := bringUp(paths{os.Args[1], os.Args[2]}, os.Args[3]); err != nil {
		fmt.Fprintln(report, strings.ReplaceAll(err.Error(), "\n", "; "))
		os.Exit(1)
	}
	fmt.Fprintln(report, readyWord)
	report.Close()
	reap()
}

// initChecked is set once InitIfChild has run in this process.
var initChecked bool

// errNoInit tells the author of a program what is missing in it.
var errNoInit = errors.New("cannot start hosts: this program does not call lab.InitIfChild first thing in main (or TestMain)")

// bringUp makes the host out of its namespaces. All of it happens inside them:
// whatever it does is undone when this process ends.
func bringUp(p paths, node string) error {
	if err := awaitGo(); err != nil {
		return err
	}
	spec, err := readHostSpec(p, node)
	if err != nil {
		return err
	}
	steps := []struct {
		what string
		do   func(hostSpec) error
	}{
		{"set up the file systems", mountHost},
		{"set the identity", identify},
		{"set up the network", linkHost},
		{"start the services", startServices},
	}
	for _, s := range steps {
		if err := s.do(spec); err != nil {
			return fmt.Errorf("cannot %s: %w", s.what, err)
		}
	}
	return nil
}

// awaitGo waits until the parent has moved the link into this namespace. A
// parent that died leaves an empty pipe, and no host.
func awaitGo() error {
	f := os.NewFile(goFD, "go")
	defer f.Close()
	b := make([]byte, 2)
	if n, _ := f.Read(b); n == 0 {
		return errors.New("the process that started this host is gone")
	}
	return nil
}

// identify gives the host its name, its id and a name service of one file.
func identify(s hostSpec) error {
	if err := unix.Sethostname([]byte(s.Node)); err != nil {
		return err
	}
	var hosts strings.Builder
	hosts.WriteString("127.0.0.1 localhost\n::1 localhost ip6-localhost\n")
	for _, p := range s.Peers {
		fmt.Fprintf(&hosts, "%s %s\n", p.Address, p.Name)
	}
	files := []struct {
		path, text string
		mode       os.FileMode
	}{
		{"/etc/hostname", s.Node + "\n", 0o644},
		{"/etc/hosts", hosts.String(), 0o644},
		{"/etc/machine-id", s.Machine + "\n", 0o444},
		{"/etc/resolv.conf", "", 0o644},
		{"/etc/motd", "", 0o644},
		// Only the key logs in. A locked account could not even do that.
		{"/etc/shadow", "root:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n", 0o600},
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", 0o644},
	}
	for _, f := range files {
		// The machine's file may be a link to somewhere that does not exist here.
		if err := os.Remove(f.path); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := os.WriteFile(f.path, []byte(f.text), f.mode); err != nil {
			return err
		}
	}
	return nil
}

// serviceCommands start the host's services. Each puts itself into the
// background once it serves, but for sshd, which binds its port after that.
var serviceCommands = map[Service][]string{
	Virtlogd: {"/usr/sbin/virtlogd", "-d"},
	SSHD:     {"/usr/sbin/sshd", "-f", "/etc/ssh/sshd_config"},
	Libvirtd: {"/usr/sbin/libvirtd", "-d"},
}

func startServices(hostSpec) error {
	for _, dir := range []string{"/run/sshd", "/run/libvirt", "/run/lock"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for _, s := range []Service{Virtlogd, SSHD, Libvirtd} {
		argv := serviceCommands[s]
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = []string{insidePath, "HOME=/root", "LANG=C.UTF-8"}
		cmd.WaitDelay = waitDelay
		out, err := cmd.CombinedOutput()
		if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
			return fmt.Errorf("%s: %w: %s", s, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

// reap waits for every process that loses its parent in this host. QEMU and
// the daemons do so at their start; unreaped, a dead QEMU would hold up libvirt
// for 40 seconds.
func reap() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-end
		os.Exit(0)
	}()
	child := make(chan os.Signal, 1)
	signal.Notify(child, syscall.SIGCHLD)
	for {
		_, err := unix.Wait4(-1, nil, 0, nil)
		if err == nil || errors.Is(err, unix.EINTR) {
			continue
		}
		select {
		case <-child:
		case <-time.After(time.Second):
		}
	}
}
