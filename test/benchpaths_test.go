//go:build lab && bench

package test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"horcrux/lab"
)

// TestBenchPaths: the memory of one VM, and the disk of another, by every path, by
// virsh, and the disk's image by pipes of ssh, in turn within one run. Each is
// looked at from outside: what the source sends is counted at its network card,
// and CPU time is that of all processes of the hosts, of the console, and of the
// pipes on this machine. libvirt tunnels no disks, so there is memory alone, too.
func TestBenchPaths(t *testing.T) {
	const fill = 512
	mem := testify(t, lab.VMSpec{Name: "bpmem", Agent: true, MemoryMiB: 1024, DirtyMiB: fill, DirtyRate: 1, Disks: []lab.DiskSpec{{Pool: "shared"}}})
	disk := testify(t, lab.VMSpec{Name: "bpdisk", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 640, FillMiB: fill}}})
	stopAfter(t, mem.Name)
	stopAfter(t, disk.Name)
	c := newConsole(t)
	key := meet(t)
	move := func(s *subject, args ...string) func(from, to string) time.Duration {
		return func(_, to string) time.Duration {
			return c.spent(append([]string{"migrate", s.Name, "--to", to, "--yes"}, args...)...)
		}
	}
	tunnelled := func(from, to string) time.Duration {
		if out, err := the.Node(from).Exec(t.Context(), "virsh", "migrate", "--live", "--unsafe", "--p2p", "--tunnelled", "--persistent", "--undefinesource",
			mem.Name, fmt.Sprintf("qemu+ssh://root@%s/system?keyfile=%s&no_verify=1&no_tty=1", the.Node(to).Address, key)); err != nil {
			t.Fatalf("virsh: %v: %s", err, out)
		}
		return 0
	}
	image := disk.Disks[0].Path()
	pipes := func(n int) func(from, to string) time.Duration {
		return func(from, to string) time.Duration {
			script := `i=0; while [ $i -lt $4 ]; do
dd if="$1" bs=1M skip=$((i*$5/$4)) count=$(($5/$4)) status=none | ssh -F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -i "$3" "root@$2" "cat >'$1.pipe$i'" &
i=$((i+1)); done; wait`
			if out, err := the.Node(from).Exec(t.Context(), "sh", "-c", script, "x", image, the.Node(to).Address, key, strconv.Itoa(n), strconv.Itoa(fill)); err != nil {
				t.Fatalf("ssh: %v: %s", err, out)
			}
			if _, err := the.Node(to).Exec(t.Context(), "sh", "-c", `rm -f "$1".pipe*`, "x", image); err != nil {
				t.Fatal(err)
			}
			return 0
		}
	}
	rows := []*pathRow{
		{name: "memory, direct", s: mem, moves: true, do: move(mem, "--path", "direct")},
		{name: "memory, ssh", s: mem, moves: true, do: move(mem, "--path", "ssh")},
		{name: "memory, relay", s: mem, moves: true, do: move(mem, "--path", "relay")},
		{name: "memory, virsh", s: mem, moves: true, do: func(from, to string) time.Duration { byVirsh(t, mem, from, to, "--unsafe"); return 0 }},
		{name: "memory, virsh --p2p --tunnelled", s: mem, moves: true, do: tunnelled},
		{name: "disk, direct", s: disk, moves: true, do: move(disk, "--path", "direct")},
		{name: "disk, ssh", s: disk, moves: true, do: move(disk, "--path", "ssh")},
		{name: "disk, relay", s: disk, moves: true, do: move(disk, "--path", "relay")},
		{name: "disk, virsh", s: disk, moves: true, virsh: true, do: func(from, to string) time.Duration {
			byVirsh(t, disk, from, to, "--copy-storage-all")
			return 0
		}},
		{name: "image, one ssh from source to target", s: disk, do: pipes(1)},
		{name: "image, our sockets and ssh without QEMU", s: disk, do: func(from, to string) time.Duration { bySockets(t, image, from, to, key); return 0 }},
		{name: "image, ssh to ssh through the console", s: disk, do: func(from, to string) time.Duration { byPipe(t, disk, from, to); return 0 }},
		{name: "offline, direct", s: disk, moves: true, cold: true, do: move(disk, "--mode", "offline", "--path", "direct")},
		{name: "offline, ssh", s: disk, moves: true, cold: true, do: move(disk, "--mode", "offline", "--path", "ssh")},
		{name: "offline, relay", s: disk, moves: true, cold: true, do: move(disk, "--mode", "offline", "--path", "relay")},
		{name: "image, two ssh from source to target", s: disk, do: pipes(2)},
	}
	// The guest that is not looked at stands still: it would take CPU from the other.
	awake := map[*subject]bool{mem: true, disk: true}
	alone := func(s *subject) {
		for _, o := range []*subject{mem, disk} {
			if awake[o] == (o == s) {
				continue
			}
			at, _ := ends(t, o)
			do := map[bool]string{true: "resume", false: "suspend"}[o == s]
			if out, err := the.Node(at).Virsh(t.Context(), do, o.Name); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			awake[o] = o == s
		}
	}
	idle := map[*subject]float64{}
	for _, s := range []*subject{disk, mem} {
		alone(s)
		idle[s] = idleHosts(t)
	}
	for i := range pairs() {
		for _, s := range []*subject{mem, disk} {
			alone(s)
			settled(t, idle[s])
			own := slices.DeleteFunc(slices.Clone(rows), func(r *pathRow) bool { return r.s != s })
			for k := range own {
				own[(k+2*i)%len(own)].measure(t, idle[s]) // none is always the first
			}
		}
	}
	by := map[string]*pathRow{}
	figure(t, "path", "rate | CPU per GiB | pause | whole")
	for _, r := range rows {
		by[r.name] = r
		pause := "-"
		if r.moves && !r.cold {
			pause = fmt.Sprintf("%d ms", median(r.pause).Milliseconds())
		}
		figure(t, r.name, "%.0f MiB/s | %.1f s | %s | %.1f s", median(r.rate), median(r.cpu), pause, median(r.whole).Seconds())
	}
	for _, x := range [][2]string{
		{"image, our sockets and ssh without QEMU", "image, one ssh from source to target"},
		{"memory, ssh", "image, one ssh from source to target"},
		{"memory, ssh", "memory, virsh --p2p --tunnelled"},
		{"memory, relay", "image, ssh to ssh through the console"},
		{"memory, direct", "memory, virsh"},
		{"disk, ssh", "image, one ssh from source to target"},
		{"disk, relay", "image, ssh to ssh through the console"},
		{"disk, direct", "disk, virsh"},
		{"offline, ssh", "image, two ssh from source to target"},
		{"offline, relay", "image, ssh to ssh through the console"},
	} {
		figure(t, x[0]+" against "+x[1], "rate %.2f, CPU %.2f", median(by[x[0]].rate)/median(by[x[1]].rate), median(by[x[0]].cpu)/median(by[x[1]].cpu))
	}
}

type pathRow struct {
	name        string
	s           *subject
	moves       bool // the VM is on the other host afterwards
	virsh, cold bool
	// do carries the data, and gives the CPU time of what ran on this machine
	// and was not a child of the test.
	do func(from, to string) time.Duration

	rate, cpu    []float64
	pause, whole []time.Duration
}

// measure carries the data once. Rate is between 5 and 95 % of the bytes: what
// comes before and after differs, and is not of the path.
func (r *pathRow) measure(t *testing.T, idle float64) {
	s := r.s
	from, to := ends(t, s)
	if r.virsh {
		precreate(t, s, from, to)
	}
	dropped(t)
	looked := counting(t, from)
	before, began := hostsCPU(t)+ownCPU(), time.Now()
	var ours, pause time.Duration
	if r.moves && !r.cold {
		pause = gap(s, func() { ours = r.do(from, to) })
	} else {
		ours = r.do(from, to)
	}
	took := time.Since(began)
	used := hostsCPU(t) + ownCPU() - before + ours - time.Duration(idle*float64(took))
	sent := looked()
	if r.virsh {
		tidy(t, s, from)
	}
	total := sent[len(sent)-1].bytes - sent[0].bytes
	if total < 500<<20 {
		t.Fatalf("%s: %s sent only %d bytes", r.name, from, total)
	}
	var at [2]time.Duration
	for i, part := range []float64{0.05, 0.95} {
		for _, x := range sent {
			if float64(x.bytes-sent[0].bytes) >= part*float64(total) {
				at[i] = x.at
				break
			}
		}
	}
	r.rate = append(r.rate, 0.9*float64(total)/(1<<20)/(at[1]-at[0]).Seconds())
	r.cpu = append(r.cpu, used.Seconds()/(float64(total)/(1<<30)))
	r.pause, r.whole = append(r.pause, pause), append(r.whole, took)
	t.Logf("%s: %.0f MiB/s, %.1f s of CPU per GiB, pause %s, %s in all", r.name, r.rate[len(r.rate)-1], r.cpu[len(r.cpu)-1], pause, took.Round(10*time.Millisecond))
}

type sent struct {
	at    time.Duration
	bytes int64
}

// counting looks every 50 ms at what a host has sent to the others, until it is
// asked for the list.
func counting(t *testing.T, node string) func() []sent {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	script := `use Time::HiRes "time"; $SIG{TERM} = sub { exit 0 };
my ($dev) = (` + "`ip -o route get $ARGV[0]`" + ` =~ /dev (\S+)/);
my $end = time + 600;
while (time < $end && !-e "/tmp/counted") { open F, "/sys/class/net/$dev/statistics/tx_bytes"; my $n = <F>; close F; printf "%.3f %d\n", time, $n; select undef, undef, undef, 0.05; }`
	n := the.Node(node)
	if _, err := n.Exec(ctx, "rm", "-f", "/tmp/counted"); err != nil {
		t.Fatal(err)
	}
	type answer struct {
		out string
		err error
	}
	done := make(chan answer, 1)
	go func() {
		out, err := n.Exec(ctx, "perl", "-e", script, the.Node(other(node)).Address)
		done <- answer{out, err}
	}()
	return func() (list []sent) {
		defer cancel()
		if _, err := n.Exec(ctx, "touch", "/tmp/counted"); err != nil {
			t.Fatal(err)
		}
		a := <-done
		if a.err != nil {
			t.Fatal(a.err)
		}
		for line := range strings.Lines(a.out) {
			var at float64
			var x sent
			if _, err := fmt.Sscan(line, &at, &x.bytes); err != nil {
				t.Fatal(err)
			}
			x.at = time.Duration(at * float64(time.Second))
			list = append(list, x)
		}
		if len(list) < 5 {
			t.Fatalf("%s was looked at only %d times", node, len(list))
		}
		return list
	}
}

// hostsCPU is the CPU time of all processes of the hosts, those that are over
// included: each is counted by its parent.
func hostsCPU(t *testing.T) time.Duration {
	t.Helper()
	var all time.Duration
	for _, n := range the.Nodes {
		out, err := n.Exec(t.Context(), "sh", "-c", `cat /proc/[0-9]*/stat 2>/dev/null; :`)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out) {
			all += ticks(line)
		}
	}
	return all
}

// ticks are what a line of /proc/PID/stat says of CPU time.
func ticks(line string) (all time.Duration) {
	_, rest, ok := strings.Cut(line, ") ")
	f := strings.Fields(rest)
	if !ok || len(f) < 15 {
		return 0
	}
	for _, v := range f[11:15] {
		n, _ := strconv.ParseInt(v, 10, 64)
		all += time.Duration(n) * 10 * time.Millisecond
	}
	return all
}

// ownCPU is the CPU time of the children of the test that are over. What enters
// a host is among them, and its children are of that host: of those only pipes
// and consoles count, so the few that look are kept small.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// spent makes a call of the program and gives the CPU time of the process that
// did the move, which is no child of the test.
func (c *console) spent(args ...string) time.Duration {
	c.t.Helper()
	folders := func() map[string]bool {
		known := map[string]bool{}
		list, _ := os.ReadDir(filepath.Join(c.state, "horcrux", "jobs"))
		for _, e := range list {
			known[e.Name()] = true
		}
		return known
	}
	known, pid := folders(), 0
	done := make(chan outcome, 1)
	go func() { done <- c.run(args...) }()
	var last time.Duration
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case o := <-done:
			if o.code != 0 {
				c.t.Fatalf("horcrux %s: exit code %d\n%s%s", strings.Join(args, " "), o.code, o.out, o.errOut)
			}
			if last == 0 {
				c.t.Fatal("the process of the job was not seen")
			}
			return last
		case <-tick.C:
			for id := range folders() {
				if pid == 0 && !known[id] {
					pid = c.worker(id)
				}
			}
			if pid != 0 {
				b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
				last = max(last, ticks(string(b)))
			}
		}
	}
}

// idleHosts is how much CPU the hosts use while nothing is moved, of one core.
func idleHosts(t *testing.T) float64 {
	t.Helper()
	before, began := hostsCPU(t), time.Now()
	wait(t.Context(), 4*time.Second)
	return float64(hostsCPU(t)-before) / float64(time.Since(began))
}

// settled waits for a guest that stood still and makes up for it.
func settled(t *testing.T, idle float64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); idleHosts(t) > 1.2*idle+0.1; {
		if time.Now().After(end) {
			t.Fatal("the hosts do not come to rest")
		}
	}
}

// dropped has the hosts' disks done with what was written before.
func dropped(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("sync").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// bySockets carries an image as a connection of QEMU is carried by path ssh: from
// a socket at which systemd starts ssh, to one that in.sh joins with it.
func bySockets(t *testing.T, image, from, to, key string) {
	t.Helper()
	var in []byte // as the package puts it together
	for _, part := range []string{"in.sh", "join.sh"} {
		text, err := os.ReadFile("../engine/relay/" + part)
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, text...)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const dir = "/run/bench"
	waits := `i=0; while [ ! -S "$1" ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i+1)); done; `
	if _, err := the.Node(to).ExecInput(ctx, string(in), "sh", "-c", `rm -rf "$1" && mkdir "$1" && cat >"$1/in" && echo "$1/s" >"$1/m" && echo bench >"$1/mark"`, "x", dir); err != nil {
		t.Fatal(err)
	}
	serve := func(node, socket string, argv ...string) {
		n := the.Node(node)
		cmd := exec.CommandContext(ctx, "systemd-socket-activate", append([]string{"--accept", "--inetd", "-l", socket}, argv...)...)
		if err := n.Start(cmd); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Wait() })
	}
	serve(to, dir+"/s", "sh", "-c", `exec cat >"$0"`, image+".pipe")
	serve(from, "/run/bench-in", "ssh", "-F", "none", "-T", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-i", key,
		"-o", "Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com", "root@"+the.Node(to).Address, "SSH_ORIGINAL_COMMAND=m sh "+dir+"/in")
	for node, socket := range map[string]string{to: dir + "/s", from: "/run/bench-in"} {
		if _, err := the.Node(node).Exec(ctx, "sh", "-c", waits, "x", socket); err != nil {
			t.Fatal(err)
		}
	}
	script := `use Socket; open F, "<", $ARGV[0] or die; socket(S, PF_UNIX, SOCK_STREAM, 0); connect(S, sockaddr_un($ARGV[1])) or die "$!";
while (sysread(F, my $b, 262144)) { for (my $o = 0; $o < length $b;) { $o += syswrite(S, $b, length($b) - $o, $o) || die "$!" } }
shutdown(S, 1); sysread(S, my $b, 1);`
	if _, err := the.Node(from).Exec(ctx, "perl", "-e", script, image, "/run/bench-in"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := the.Node(to).Exec(t.Context(), "rm", "-rf", image+".pipe", dir); err != nil {
		t.Fatal(err)
	}
	if _, err := the.Node(from).Exec(t.Context(), "rm", "-f", "/run/bench-in"); err != nil {
		t.Fatal(err)
	}
}

// meet lets the hosts log in to each other for the rest of a test, and gives
// the path of the key on each.
func meet(t *testing.T) string {
	t.Helper()
	const key = "/root/bench-key"
	var public []string
	for _, n := range the.Nodes {
		out, err := n.Exec(t.Context(), "sh", "-c", `rm -f "$1" "$1.pub"; ssh-keygen -q -t ed25519 -N "" -C bench-key -f "$1" && cat "$1.pub"`, "x", key)
		if err != nil {
			t.Fatal(err)
		}
		public = append(public, strings.TrimSpace(out))
		t.Cleanup(func() {
			_, _ = n.Exec(context.Background(), "sh", "-c", `rm -f "$1" "$1.pub"; sed -i '/ bench-key$/d' /root/.ssh/authorized_keys`, "x", key)
		})
	}
	for _, n := range the.Nodes {
		if _, err := n.ExecInput(t.Context(), strings.Join(public, "\n")+"\n", "sh", "-c", "cat >>/root/.ssh/authorized_keys"); err != nil {
			t.Fatal(err)
		}
	}
	return key
}
