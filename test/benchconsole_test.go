//go:build lab && bench

package test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/sync/errgroup"

	"horcrux/lab"
)

const (
	manyNodes = 50
	manyVMs   = 200
	manyFile  = "/var/tmp/many.xml"
)

// manyHosts starts 50 hosts with sshd and libvirtd, in whose test driver each has
// 200 VMs, and returns the configuration by which they are reached as nodes are.
// HORCRUX_MANY_PREFIX and HORCRUX_MANY_SUBNET place them elsewhere.
func manyHosts(t *testing.T) (*lab.Lab, string) {
	t.Helper()
	o := lab.Options{Dir: os.Getenv("HORCRUX_LAB_DIR"), Prefix: cmp.Or(os.Getenv("HORCRUX_MANY_PREFIX"), "hm"), Subnet: cmp.Or(os.Getenv("HORCRUX_MANY_SUBNET"), "10.96.0.0/24"), Nodes: manyNodes, Log: t.Output()}
	_ = lab.Down(t.Context(), o)
	l, err := lab.Up(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b := readFile(t, l.ConfigPath())
	for i, host := range l.Nodes {
		var x strings.Builder
		x.WriteString("<node>\n")
		for j := range manyVMs {
			fmt.Fprintf(&x, "<domain type='test'><name>vm-%02d-%03d</name><uuid>00000000-0000-0000-%04d-%012d</uuid><memory>262144</memory>"+
				"<vcpu>2</vcpu><os><type>hvm</type></os><devices><disk type='file' device='disk'><source file='/d/%d'/><target dev='vda'/></disk>"+
				"<interface type='bridge'><source bridge='br0'/></interface></devices></domain>\n", i+1, j, i+1, j, j)
		}
		x.WriteString("</node>\n")
		if _, err := host.ExecInput(t.Context(), x.String(), "tee", manyFile); err != nil {
			t.Fatal(err)
		}
		address := fmt.Sprintf("address = %q\n", host.Address)
		b = strings.Replace(b, address, address+fmt.Sprintf("uri = %q\n", "test://"+manyFile), 1)
	}
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return l, path
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// listener is the console in a pseudo-terminal, heard as the terminal hears it.
type listener struct {
	t     *testing.T
	cmd   *exec.Cmd
	tty   *os.File
	began time.Time

	mu    sync.Mutex
	total int
	last  time.Time
	text  bytes.Buffer
	wake  chan struct{}
}

func listen(t *testing.T, config, state string, width, height uint16) *listener {
	t.Helper()
	cmd := command(t, "--config", config)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "LANG=C.UTF-8", "COLORTERM=", "XDG_STATE_HOME="+state)
	l := &listener{t: t, cmd: cmd, wake: make(chan struct{}, 1), began: time.Now()}
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: height, Cols: width})
	if err != nil {
		t.Fatal(err)
	}
	l.tty = tty
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := tty.Read(buf)
			l.mu.Lock()
			l.total += n
			l.last = time.Now()
			l.text.Write(buf[:n])
			l.mu.Unlock()
			select {
			case l.wake <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = tty.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return l
}

func (l *listener) bytes() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// until waits for a text in what was written since the last call.
func (l *listener) until(what string, limit time.Duration) time.Duration {
	l.t.Helper()
	deadline := time.After(limit)
	for {
		l.mu.Lock()
		found := bytes.Contains(l.text.Bytes(), []byte(what))
		if found {
			l.text.Reset()
		}
		at := l.last
		l.mu.Unlock()
		if found {
			return at.Sub(l.began)
		}
		select {
		case <-l.wake:
		case <-deadline:
			l.t.Fatalf("the console did not show %q within %s, but %.2000q", what, limit, l.text.String())
		}
	}
}

// key types one, and measures the time to the first byte after it. What came
// before it is let through first: a quiet moment of a few milliseconds.
func (l *listener) key(k string) (time.Duration, bool) {
	l.t.Helper()
	for quiet := time.Duration(0); quiet < 5*time.Millisecond; {
		l.mu.Lock()
		quiet = time.Since(l.last)
		l.mu.Unlock()
		wait(l.t.Context(), time.Millisecond)
	}
	select {
	case <-l.wake:
	default:
	}
	before := l.bytes()
	at := time.Now()
	if _, err := l.tty.WriteString(k); err != nil {
		l.t.Fatal(err)
	}
	deadline := time.After(2 * time.Second)
	for {
		select {
		case <-l.wake:
		case <-deadline:
			return 0, false
		}
		l.mu.Lock()
		total, last := l.total, l.last
		l.mu.Unlock()
		if total > before {
			return last.Sub(at), true
		}
	}
}

// used is the processor time of the console, and what it holds in memory.
func (l *listener) used() (cpu time.Duration, residentMiB int) {
	l.t.Helper()
	stat := readFile(l.t, fmt.Sprintf("/proc/%d/stat", l.cmd.Process.Pid))
	f := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	var user, system int64
	fmt.Sscan(f[11], &user)   //nolint:errcheck // the kernel writes a number
	fmt.Sscan(f[12], &system) //nolint:errcheck // the kernel writes a number
	for line := range strings.Lines(readFile(l.t, fmt.Sprintf("/proc/%d/status", l.cmd.Process.Pid))) {
		if n, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscan(n, &residentMiB) //nolint:errcheck // the kernel writes a number
		}
	}
	return time.Duration(user+system) * 10 * time.Millisecond, residentMiB >> 10
}

func percentile(v []time.Duration, p int) time.Duration {
	s := slices.Clone(v)
	slices.Sort(s)
	return s[min(len(s)-1, len(s)*p/100)]
}

// TestBenchConsole: the console with 50 nodes and 10,000 VMs over real SSH.
func TestBenchConsole(t *testing.T) {
	l50, config := manyHosts(t)
	refresh(t, l50, config)
	atOnce := floor(t, l50)
	for _, size := range [][2]uint16{{200, 60}, {120, 40}} {
		at := fmt.Sprintf("%dx%d", size[0], size[1])
		l := listen(t, config, t.TempDir(), size[0], size[1])
		first := l.until("NODES", time.Minute)
		all := l.until("m50 nodes up", 2*time.Minute) // and not "… of 50 nodes up"
		figure(t, at+", first paint after the start", "%s", first.Round(time.Millisecond))
		figure(t, at+", all 50 nodes shown", "%s, %.2f of ssh to all at once with virsh list", all.Round(10*time.Millisecond), ratio(all, atOnce))
		wait(t.Context(), time.Minute) // the first looks at 10,000 VMs are over
		cpu, _ := l.used()
		wrote, since := l.bytes(), time.Now()
		wait(t.Context(), 20*time.Second)
		took := time.Since(since)
		after, resident := l.used()
		figure(t, at+", written with no key pressed", "%.1f KB/s", float64(l.bytes()-wrote)/1e3/took.Seconds())
		figure(t, at+", CPU with no key pressed", "%.1f %% of a core", 100*float64(after-cpu)/float64(took))
		figure(t, at+", resident", "%d MiB", resident)
		groups := []struct {
			what string
			keys []string
		}{
			{"one row down or up", slices.Repeat([]string{"j", "j", "k"}, 40)},
			{"a page down or up, the end, the beginning", slices.Repeat([]string{"\x1b[6~", "\x1b[6~", "\x1b[5~", "G", "g"}, 20)},
			{"the filter", slices.Repeat([]string{"/", "v", "m", "-", "1", "7", "\x1b"}, 15)},
		}
		var every, alone []time.Duration // esc, which may be the beginning of another key, waits 50 ms for the rest
		for _, g := range groups {
			var took []time.Duration
			silent := 0
			for _, k := range g.keys {
				switch d, ok := l.key(k); {
				case !ok:
					silent++
				case k == "\x1b":
					alone = append(alone, d)
				default:
					took = append(took, d)
				}
			}
			every = append(every, took...)
			figure(t, at+", key to first byte, "+g.what, "p50 %s, p95 %s, %d keys, %d without an answer", percentile(took, 50).Round(100*time.Microsecond),
				percentile(took, 95).Round(100*time.Microsecond), len(took), silent)
		}
		figure(t, at+", key to first byte, esc alone", "p50 %s, p95 %s", percentile(alone, 50).Round(100*time.Microsecond), percentile(alone, 95).Round(100*time.Microsecond))
		figure(t, at+", key to first byte, all others", "p50 %s, p95 %s", percentile(every, 50).Round(100*time.Microsecond), percentile(every, 95).Round(100*time.Microsecond))
		figure(t, at+", gone after q", "%s", l.leave().Round(10*time.Millisecond))
	}
}

// floor is how long a raw ssh to all hosts at once takes, to run nothing and to
// list what the console lists: the hosts share the machine with it.
func floor(t *testing.T, l *lab.Lab) time.Duration {
	t.Helper()
	took := map[string][]time.Duration{}
	const nothing, list = "true", "virsh -c test://" + manyFile + " list --all"
	for range pairs() {
		for _, what := range []string{nothing, list} {
			began := time.Now()
			var all errgroup.Group
			for _, host := range l.Nodes {
				all.Go(func() error {
					out, err := exec.Command("ssh", "-i", l.KeyPath(), "-o", "UserKnownHostsFile="+l.KnownHostsPath(), "-o", "BatchMode=yes", "root@"+host.Address, what).CombinedOutput()
					if err != nil {
						return fmt.Errorf("ssh: %w: %s", err, out)
					}
					return nil
				})
			}
			if err := all.Wait(); err != nil {
				t.Fatal(err)
			}
			took[what] = append(took[what], time.Since(began))
		}
	}
	figure(t, "ssh to all 50 nodes at once", "%s to run nothing, %s for virsh list --all", median(took[nothing]).Round(10*time.Millisecond), median(took[list]).Round(10*time.Millisecond))
	return median(took[list])
}

// leave types q and waits for the end of the process.
func (l *listener) leave() time.Duration {
	l.t.Helper()
	began := time.Now()
	_, _ = l.tty.WriteString("q")
	gone := make(chan struct{})
	go func() {
		_ = l.cmd.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		l.t.Fatal("the console is still there 10 s after q")
	}
	return time.Since(began)
}

// refresh is the cost of all facts of 50 nodes once, against the two commands of
// virsh per node over ssh. Both pay for their logins.
func refresh(t *testing.T, l *lab.Lab, config string) {
	t.Helper()
	var ours, virsh, ourCPU, virshCPU []time.Duration
	for range pairs() {
		began := time.Now()
		cmd := command(t, "--config", config, "vms", "-o", "json")
		if out, err := cmd.Output(); err != nil || bytes.Count(out, []byte(`"vm-`)) < manyNodes*manyVMs {
			t.Fatalf("%d VMs: %v", bytes.Count(out, []byte(`"vm-`)), err)
		}
		ours = append(ours, time.Since(began))
		ourCPU = append(ourCPU, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
		began, before := time.Now(), children()
		for _, host := range l.Nodes {
			out, err := exec.Command("ssh", "-i", l.KeyPath(), "-o", "UserKnownHostsFile="+l.KnownHostsPath(), "root@"+host.Address,
				"virsh -c test://"+manyFile+" list --all && virsh -c test://"+manyFile+" domstats").CombinedOutput()
			if err != nil {
				t.Fatalf("ssh: %v: %s", err, out)
			}
		}
		virsh = append(virsh, time.Since(began))
		virshCPU = append(virshCPU, children()-before)
	}
	figure(t, "all VMs of 50 nodes once, wall time", "%s, virsh over ssh node by node %s, ratio %.2f", median(ours).Round(time.Millisecond), median(virsh).Round(time.Millisecond), ratio(median(ours), median(virsh)))
	figure(t, "the same, processor time on the jump host", "%s, ssh %s, ratio %.2f", median(ourCPU).Round(time.Millisecond), median(virshCPU).Round(time.Millisecond), ratio(median(ourCPU), median(virshCPU)))
}

// children is the processor time of all commands that ended.
func children() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestBenchMoving: what the console writes while three VMs move.
func TestBenchMoving(t *testing.T) {
	c := newConsole(t)
	var all []*subject
	for i := range 3 {
		all = append(all, testify(t, lab.VMSpec{Name: fmt.Sprintf("bwire%d", i), Disks: []lab.DiskSpec{{SizeMiB: 640, FillMiB: 512}}}))
		stopAfter(t, all[i].Name)
	}
	for _, s := range all {
		_, to := ends(t, s)
		c.must(0, "migrate", s.Name, "--to", to, "--yes", "--detach", "--bandwidth", "8")
	}
	for _, page := range []struct{ what, key string }{{"the cluster", ""}, {"the jobs", "J"}} {
		l := listen(t, c.config, c.state, 120, 40)
		first := l.until("NODES", time.Minute)
		all := l.until("3 nodes up", time.Minute)
		figure(t, "120x40, three nodes, after the start", "first picture %s, all nodes %s", first.Round(time.Millisecond), all.Round(time.Millisecond))
		if page.key != "" {
			l.key(page.key)
		}
		wait(t.Context(), 5*time.Second)
		wrote, since := l.bytes(), time.Now()
		wait(t.Context(), 10*time.Second)
		figure(t, "120x40, written while three VMs move, "+page.what, "%.2f KB/s", float64(l.bytes()-wrote)/1e3/time.Since(since).Seconds())
		_, _ = l.tty.WriteString("q")
	}
}
