//go:build lab

package lab

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/config"
)

func TestMain(m *testing.M) {
	InitIfChild()
	os.Exit(m.Run())
}

const (
	testPrefix = "hlt"
	testSubnet = "10.78.7.0/24"
)

// TestLab goes through the life of a lab with the real thing: it needs root and
// about two minutes.
func TestLab(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	o := Options{Prefix: testPrefix, Subnet: testSubnet, Nodes: 2, ImagesBytes: 1 << 30, Log: t.Output(), VMs: []VMSpec{
		{Name: "web", Agent: true, HTTP: true, Disks: []DiskSpec{{FillMiB: 4}}},
		{Name: "churn", DirtyMiB: 32, DirtyRate: 8, Disks: []DiskSpec{{Format: "raw"}}},
		{Name: "shared", Node: "node2", Disks: []DiskSpec{{Pool: "shared"}}},
		{Name: "attic", State: VMOff},
	}}
	if err := Down(ctx, o); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	l, err := Up(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up took %s", time.Since(start))
	defer func() {
		start := time.Now()
		if err := l.Down(context.Background()); err != nil {
			t.Error(err)
		}
		t.Logf("down took %s", time.Since(start))
		nothingLeft(t, l)
	}()
	t.Run("again", func(t *testing.T) { upAgain(ctx, t, o) })
	t.Run("ssh", func(t *testing.T) { sshStrict(ctx, t, l) })
	t.Run("identity", func(t *testing.T) { identity(ctx, t, l) })
	t.Run("paused", func(t *testing.T) { pausedIsIdle(ctx, t, l) })
	t.Run("migrate", func(t *testing.T) { migrate(ctx, t, l) })
	t.Run("agent", func(t *testing.T) { agentAndShutdown(ctx, t, l) })
	t.Run("services", func(t *testing.T) { services(ctx, t, l) })
	t.Run("disk", func(t *testing.T) { diskFull(ctx, t, l) })
	t.Run("network", func(t *testing.T) { network(ctx, t, l) })
	t.Run("power", func(t *testing.T) { power(ctx, t, l) })
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func upAgain(ctx context.Context, t *testing.T, o Options) {
	if _, err := Up(ctx, o); err != nil {
		t.Errorf("up of a lab that runs: %v", err)
	}
	other := o
	other.Prefix = "hlo"
	if _, err := Up(ctx, other); err == nil || !strings.Contains(err.Error(), "--subnet") {
		t.Errorf("a taken subnet was not refused: %v", err)
	}
	if fileExists(filepath.Join(DefaultDir, "hlo")) {
		t.Error("the refused lab left something")
	}
}

// sshRun runs a command on a host from the machine with strict host keys.
func sshRun(ctx context.Context, l *Lab, n *Node, command string) (string, error) {
	out, err := exec.CommandContext(ctx, "ssh", "-i", l.KeyPath(), "-o", "UserKnownHostsFile="+l.KnownHostsPath(),
		"-o", "GlobalKnownHostsFile=/dev/null", "-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes",
		"-o", "ConnectTimeout=5", "root@"+n.Address, command).CombinedOutput()
	return string(out), err
}

func sshStrict(ctx context.Context, t *testing.T, l *Lab) {
	out, err := sshRun(ctx, l, l.Nodes[0], "hostname; virsh list --all --name")
	if err != nil || !strings.HasPrefix(out, "node1\n") || !strings.Contains(out, "attic") {
		t.Errorf("ssh to node1: %v: %s", err, out)
	}
}

func identity(ctx context.Context, t *testing.T, l *Lab) {
	if _, err := config.Load(l.ConfigPath()); err != nil {
		t.Errorf("the configuration is refused: %v", err)
	}
	for _, argv := range [][]string{{"cat", "/etc/machine-id"}, {"virsh", "capabilities"}, {"hostname"}, {"cat", "/etc/ssh/ssh_host_ed25519_key.pub"}} {
		a, err1 := l.Nodes[0].Exec(ctx, argv...)
		b, err2 := l.Nodes[1].Exec(ctx, argv...)
		if err := errors.Join(err1, err2); err != nil || a == b || a == "" {
			t.Errorf("%v is not each host's own: %v", argv, err)
		}
	}
	out, err := l.Nodes[0].Exec(ctx, "virsh", "pool-list")
	if err != nil || !strings.Contains(out, "images") || !strings.Contains(out, "shared") {
		t.Errorf("pools: %v %s", err, out)
	}
}

func pausedIsIdle(ctx context.Context, t *testing.T, l *Lab) {
	w := l.Watch("web")
	seen, stop := context.WithTimeout(ctx, 5*time.Second)
	for len(w.Sample().Running) == 0 && seen.Err() == nil {
		<-time.After(50 * time.Millisecond)
	}
	stop()
	if got := w.Samples[len(w.Samples)-1].Running; len(got) != 1 {
		t.Errorf("a running guest was seen to run in %d copies", len(got))
	}
	_, err := l.Nodes[0].Virsh(ctx, "suspend", "web")
	must(t, err)
	w = l.Watch("web")
	for range 20 {
		time.Sleep(100 * time.Millisecond)
		if s := w.Sample(); len(s.Running) > 0 {
			t.Errorf("a paused guest was seen to run: %+v", s)
		}
	}
	_, err = l.Nodes[0].Virsh(ctx, "resume", "web")
	must(t, err)
}

// migrate proves by hand that the lab can do what it is for.
func migrate(ctx context.Context, t *testing.T, l *Lab) {
	for _, vm := range []string{"web", "churn"} {
		w := l.Watch(vm)
		wctx, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() { w.Run(wctx, 20*time.Millisecond); close(done) }()
		time.Sleep(500 * time.Millisecond)
		start := time.Now()
		_, err := l.Nodes[0].Virsh(ctx, "migrate", "--live", "--copy-storage-all", "--persistent", "--undefinesource", vm, "qemu+ssh://node2/system")
		took := time.Since(start)
		time.Sleep(time.Second)
		stop()
		<-done
		must(t, err)
		if err := w.Verdict(); err != nil {
			for _, s := range w.Samples {
				t.Log(s.At.Format("05.000"), s.Present, s.Running)
			}
			t.Error(err)
		}
		if n := w.Samples[len(w.Samples)-1].Present; n != 1 {
			t.Errorf("%s has %d processes after the move", vm, n)
		}
		t.Logf("%s moved in %s, longest pause %s, %d samples", vm, took, w.LongestPause(), len(w.Samples))
		v, _ := l.VM(vm)
		beats, err := l.Heartbeat(ctx, "node2", v.Disks[0].Path())
		must(t, err)
		boots, err := CheckBeats(beats)
		if err != nil || boots != 1 || len(beats) < 10 {
			t.Errorf("%s: %d beats, %d boots, %v", vm, len(beats), boots, err)
		}
	}
	where := l.Where(ctx, "web")
	if where[0].Known || !where[1].Known || where[1].State != "running" || !where[1].Persist || len(where[1].Processes) != 1 {
		t.Errorf("web is at %+v", where)
	}
}

func agentAndShutdown(ctx context.Context, t *testing.T, l *Lab) {
	n := l.Nodes[1]
	_, err := n.Virsh(ctx, "domfsfreeze", "web")
	must(t, err)
	_, err = n.Virsh(ctx, "domfsthaw", "web")
	must(t, err)
	for _, how := range [][]string{{"web", "--mode", "agent"}, {"churn", "--mode", "acpi"}} {
		_, err := n.Virsh(ctx, append([]string{"shutdown"}, how...)...)
		must(t, err)
		must(t, until(ctx, 30*time.Second, how[0]+" to shut down", func(ctx context.Context) (bool, error) {
			out, err := n.Virsh(ctx, "domstate", how[0])
			return strings.HasPrefix(out, "shut off"), err
		}))
	}
	v, _ := l.VM("web")
	a, err := l.Hash(ctx, "node2", v.Disks[0].Path())
	must(t, err)
	_, err = n.Exec(ctx, "qemu-img", "convert", "-O", "raw", v.Disks[0].Path(), "/tmp/web.raw")
	must(t, err)
	b, err := l.Hash(ctx, "node2", "/tmp/web.raw")
	if err != nil || a != b {
		t.Errorf("the same content in two formats has the fingerprints %s and %s (%v)", a, b, err)
	}
	_, err = n.Virsh(ctx, "start", "web")
	must(t, err)
	must(t, l.WaitVM(ctx, "web"))
	beats, err := l.Heartbeat(ctx, "node2", v.Disks[0].Path())
	must(t, err)
	if boots, err := CheckBeats(beats); err != nil || boots != 2 {
		t.Errorf("after a restart: %d boots, %v", boots, err)
	}
}

func services(ctx context.Context, t *testing.T, l *Lab) {
	n := l.Nodes[0]
	for _, s := range Services() {
		must(t, n.Kill(ctx, Of(s)))
		if got := n.serviceState(s); got != "down" {
			t.Errorf("%s is %s after the kill", s, got)
		}
		must(t, n.Restart(ctx, s))
		must(t, n.Freeze(ctx, Of(s)))
		if got := n.serviceState(s); got != "frozen" {
			t.Errorf("%s is %s after the freeze", s, got)
		}
		must(t, n.Thaw(Of(s)))
	}
	_, err := sshRun(ctx, l, n, "virsh list")
	must(t, err)
	_, err = n.Virsh(ctx, "start", "attic")
	must(t, err)
	must(t, n.Kill(ctx, OfVM("attic")))
	must(t, until(ctx, 10*time.Second, "libvirt to notice", func(ctx context.Context) (bool, error) {
		p := l.Where(ctx, "attic")[0]
		return p.State == "shut off" && p.Reason == "crashed" && len(p.Processes) == 0, p.Err
	}))
}

func diskFull(ctx context.Context, t *testing.T, l *Lab) {
	n := l.Nodes[0]
	must(t, n.FillImages(8<<20))
	_, err := n.Exec(ctx, "dd", "if=/dev/zero", "of="+imagesDir+"/x", "bs=1M", "count=32", "oflag=direct")
	if err == nil || !strings.Contains(err.Error(), "No space left") {
		t.Errorf("a full disk says %v", err)
	}
	must(t, n.UnfillImages())
	_, err = n.Exec(ctx, "dd", "if=/dev/zero", "of="+imagesDir+"/x", "bs=1M", "count=32", "oflag=direct")
	must(t, err)
}

func network(ctx context.Context, t *testing.T, l *Lab) {
	n := l.Nodes[0]
	must(t, n.CutLink())
	if _, err := sshRun(ctx, l, n, "true"); err == nil || n.LinkUp() {
		t.Error("the host answers without its cable")
	}
	must(t, n.HealLink())
	_, err := sshRun(ctx, l, n, "true")
	must(t, err)

	must(t, n.LimitRate(4<<20))
	start := time.Now()
	_, err = sshRun(ctx, l, n, "head -c 12000000 /dev/zero")
	must(t, err)
	if took := time.Since(start); took < 2*time.Second || took > 8*time.Second {
		t.Errorf("12 MB at 4 MiB/s took %s", took)
	}
	must(t, n.LimitRate(8<<20))
	must(t, n.UnlimitRate())
	must(t, n.UnlimitRate())

	must(t, n.BlockPeers(ctx))
	to := func(port string) error {
		_, err := n.Exec(ctx, "timeout", "2", "bash", "-c", "exec 3<>/dev/tcp/"+l.Nodes[1].Address+"/"+port)
		return err
	}
	must(t, to("22"))
	if err := to("49152"); err == nil || strings.Contains(err.Error(), "refused") {
		t.Errorf("a blocked port says %v", err)
	}
	must(t, n.UnblockPeers(ctx))
	if err := to("49152"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("an open port without a listener says %v", err)
	}
}

func power(ctx context.Context, t *testing.T, l *Lab) {
	n := l.Nodes[1]
	must(t, n.PowerOff(ctx))
	if len(l.QEMUs()) != 0 && n.Running() {
		t.Error("something of the host lives on")
	}
	if _, err := n.Exec(ctx, "true"); err == nil {
		t.Error("a host that is off runs commands")
	}
	must(t, n.PowerOn(ctx))
	out, err := n.Virsh(ctx, "list", "--all")
	if err != nil || !strings.Contains(out, "web") {
		t.Errorf("after the power came back: %v %s", err, out)
	}
	_, err = n.Virsh(ctx, "start", "web")
	must(t, err)
	must(t, l.WaitVM(ctx, "web"))
}
