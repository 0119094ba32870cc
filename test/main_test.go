//go:build lab

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// the is the lab that all tests of this package share. They run one after
// another and leave every VM running on some node.
var the struct {
	*lab.Lab
	binary, state string
}

func TestMain(m *testing.M) {
	lab.InitIfChild()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "horcrux-test-")
	if err != nil {
		return fail(err)
	}
	defer os.RemoveAll(dir)
	the.state = dir
	if the.binary = os.Getenv("HORCRUX"); the.binary == "" {
		the.binary = filepath.Join(dir, "horcrux")
		if out, err := exec.Command("go", "build", "-o", the.binary, "..").CombinedOutput(); err != nil {
			return fail(fmt.Errorf("cannot build: %w: %s", err, out))
		}
	}
	o := lab.Options{Prefix: "ht", Subnet: "10.86.0.0/24", Nodes: 3, Log: os.Stderr, VMs: []lab.VMSpec{
		{Name: "web", Agent: true, HTTP: true, Autostart: true},
		{Name: "pair", Agent: true, Disks: []lab.DiskSpec{{}, {SizeMiB: 512, FillMiB: 96}}},
		{Name: "common", Agent: true, Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}}},
		{Name: "mute", Disks: []lab.DiskSpec{{Format: "raw"}}, EmptyCDROM: true},
		{Name: "off", State: lab.VMOff, Agent: true},
	}}
	keep := adjust(&o)
	if keep {
		the.Lab, _ = lab.Open(o.Dir, o.Prefix)
	} else {
		_ = lab.Down(ctx, o)
	}
	if the.Lab == nil {
		if the.Lab, err = lab.Up(ctx, o); err != nil {
			return fail(err)
		}
	}
	if keep {
		return m.Run()
	}
	for _, vm := range the.VMs {
		park(ctx, the.Lab, vm.Name)
	}
	defer func() {
		if err := the.Down(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return m.Run()
}

// adjust lets the environment place the lab elsewhere, so that several may run:
// HORCRUX_LAB_PREFIX, HORCRUX_LAB_SUBNET, HORCRUX_LAB_DIR, HORCRUX_LAB_RELEASE for
// hosts that run another Debian, HORCRUX_LAB_VMS=none for a lab in which tests add
// the VMs that they need, and HORCRUX_LAB_KEEP=1 to use a lab that is up and leave
// it so.
func adjust(o *lab.Options) (keep bool) {
	for key, to := range map[string]*string{"PREFIX": &o.Prefix, "SUBNET": &o.Subnet, "DIR": &o.Dir, "RELEASE": &o.Release} {
		if v := os.Getenv("HORCRUX_LAB_" + key); v != "" {
			*to = v
		}
	}
	if os.Getenv("HORCRUX_LAB_VMS") == "none" {
		o.VMs = nil
	}
	if os.Getenv("HORCRUX_CRASH") == "all" {
		o.VMs = append(o.VMs, firmware) // its packages are installed when the lab is made
	}
	if os.Getenv("HORCRUX_ACCEPT") != "" {
		o.VMs = append(o.VMs, kindSpecs()...)
	}
	return os.Getenv("HORCRUX_LAB_KEEP") != ""
}

// ensure adds a VM to the lab, unless it is there.
func ensure(t *testing.T, spec lab.VMSpec) {
	t.Helper()
	if _, ok := the.VM(spec.Name); ok {
		if spec.State == "" || spec.State == lab.VMRunning {
			wake(t, spec.Name)
		}
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	if _, err := the.AddVM(ctx, spec); err != nil {
		t.Fatal(err)
	}
	if spec.State == lab.VMOff || spec.State == lab.VMPaused {
		return
	}
	if err := the.WaitVM(ctx, spec.Name); err != nil {
		t.Fatal(err)
	}
	wake(t, spec.Name)
}

// stopAfter ends a VM with the test that is the only one to use it, so that the
// others have the machine for themselves.
func stopAfter(t *testing.T, vm string) {
	t.Helper()
	if os.Getenv("HORCRUX_LAB_KEEP") != "" {
		return
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		for _, p := range the.Where(ctx, vm) {
			if p.Known && p.State != "shut off" {
				_, _ = the.Node(p.Node).Virsh(ctx, "destroy", vm)
			}
		}
	})
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// outcome is how one call of the program ended.
type outcome struct {
	code        int
	out, errOut string
}

// configure writes the lab's configuration with lines for [migration]. Unless one
// asks for TLS, moves go by QEMU's own connections, which most faults are about;
// the ways by SSH have tests of their own.
func configure(t *testing.T, file string, migration ...string) {
	t.Helper()
	text, err := os.ReadFile(the.ConfigPath())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(migration, "\n"), "tls =") {
		migration = append(migration, `tls = "off"`)
	}
	s := strings.Replace(string(text), "[[node]]", "[migration]\n"+strings.Join(migration, "\n")+"\n\n[[node]]", 1)
	if err := os.WriteFile(file, []byte(s), 0o600); err != nil {
		t.Fatal(err)
	}
}

// command makes a call of the program in the lab.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(the.binary, args...)
	config := filepath.Join(t.TempDir(), "config.toml")
	configure(t, config)
	cmd.Env = append(os.Environ(), "HORCRUX_CONFIG="+config, "XDG_STATE_HOME="+the.state)
	return cmd
}

// horcrux calls the program and waits for it.
func horcrux(t *testing.T, args ...string) outcome {
	t.Helper()
	cmd := command(t, args...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// must calls the program and wants this exit code.
func must(t *testing.T, code int, args ...string) outcome {
	t.Helper()
	o := horcrux(t, args...)
	if o.code != code {
		t.Fatalf("horcrux %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), o.code, code, o.out, o.errOut)
	}
	return o
}

// line is one line of -o json, with the fields that tests look at.
type line struct {
	Time    time.Time `json:"time"`
	Job     string    `json:"job"`
	Type    string    `json:"type"`
	Phase   string    `json:"phase"`
	Status  string    `json:"status"`
	Text    string    `json:"text"`
	Detail  string    `json:"detail"`
	Check   string    `json:"check"`
	Stage   string    `json:"stage"`
	Verdict string    `json:"verdict"`
	Step    string    `json:"step"`

	Outcome   string `json:"outcome"`
	Owner     string `json:"owner"`
	Reason    string `json:"reason"`
	Next      string `json:"next"`
	Confirmed bool   `json:"confirmed"`

	Diverging string `json:"diverging"`
	Downtime  int64  `json:"downtime"`

	MemProcessed  uint64 `json:"mem_processed"`
	MemRate       uint64 `json:"mem_rate"`
	DiskProcessed uint64 `json:"disk_processed"`
	Bandwidth     uint64 `json:"bandwidth"`
	Iteration     uint64 `json:"iteration"`
}

func parse(t *testing.T, text string) []line {
	t.Helper()
	var all []line
	for _, l := range strings.Split(strings.TrimSpace(text), "\n") {
		if l == "" {
			continue
		}
		var one line
		if err := json.Unmarshal([]byte(l), &one); err != nil {
			t.Fatalf("not a JSON object: %q: %v", l, err)
		}
		all = append(all, one)
	}
	return all
}

// result is the last line of a stream, which must be a result.
func result(t *testing.T, text string) line {
	t.Helper()
	all := parse(t, text)
	if len(all) == 0 || all[len(all)-1].Type != "result" {
		t.Fatalf("the stream does not end with a result:\n%s", text)
	}
	return all[len(all)-1]
}

// home is the one node that runs a VM, seen from outside.
func home(t *testing.T, vm string) string {
	t.Helper()
	wake(t, vm)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var on []string
	all := the.Where(ctx, vm)
	for _, p := range all {
		if p.Err != nil {
			t.Fatalf("cannot look at %s on %s: %v", vm, p.Node, p.Err)
		}
		if p.State == "running" {
			on = append(on, p.Node)
		}
	}
	if len(on) != 1 {
		t.Fatalf("%s runs on %v: %v", vm, on, lab.Owners(all))
	}
	return on[0]
}

func other(node string) string {
	if node == "node1" {
		return "node2"
	}
	return "node1"
}

// absent checks that nothing of a VM is left on a node: no definition, no
// process, no file.
func absent(t *testing.T, vm, node string) {
	t.Helper()
	for _, p := range the.Where(t.Context(), vm) {
		if p.Node == node && (p.Known || len(p.Processes) > 0 || p.Err != nil) {
			t.Errorf("%s is still on %s: %+v", vm, node, p)
		}
	}
	if left := images(t, vm, node); len(left) > 0 {
		t.Errorf("%s still has %v", node, left)
	}
}

// images lists the files of a VM in a node's own pool.
func images(t *testing.T, vm, node string) []string {
	t.Helper()
	out, err := the.Node(node).Exec(t.Context(), "ls", "/var/lib/libvirt/images")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Fields(out), func(f string) bool { return !strings.HasPrefix(f, vm+".") && !strings.HasPrefix(f, vm+"-") })
}

// unmarked checks that no marker of ours is left on a VM.
func unmarked(t *testing.T, vm, node string) {
	t.Helper()
	for _, inactive := range []string{"", "--inactive"} {
		args := []string{"dumpxml", vm}
		if inactive != "" {
			args = append(args, inactive)
		}
		xml, err := the.Node(node).Virsh(t.Context(), args...)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(xml, "horcrux.dev") {
			t.Errorf("%s on %s still has our marker %s", vm, node, inactive)
		}
	}
}

// watched runs do while the processes of the machine are watched, and checks
// that two copies never ran.
func watched(t *testing.T, vm string, do func()) {
	t.Helper()
	end := watching(t, vm)
	do()
	end()
}

// watching is watched until the function that it returns is called.
func watching(t *testing.T, vm string) (end func()) {
	t.Helper()
	w := the.Watch(vm)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx, 50*time.Millisecond) }()
	return func() {
		t.Helper()
		cancel()
		<-done
		if err := w.Verdict(); err != nil {
			t.Errorf("two copies of %s ran: %v", vm, err)
		}
		t.Logf("%s: %d looks from outside, longest pause %s", vm, len(w.Samples), w.LongestPause().Round(time.Millisecond))
	}
}

// beats reads the heartbeat from a VM's first disk and checks that no line is
// missing and the guest booted once.
func beats(t *testing.T, vm, node, image string) []lab.Beat {
	t.Helper()
	b, err := the.Heartbeat(t.Context(), node, image)
	if err != nil {
		t.Fatal(err)
	}
	boots, err := lab.CheckBeats(b)
	if err != nil || boots != 1 {
		t.Errorf("heartbeat of %s on %s: %d boots, %v%s", vm, node, boots, err, lastWords(t.Context(), vm))
	}
	return b
}

// lastWords is the end of what a guest said on its serial line on each node: it
// tells why one booted again.
func lastWords(ctx context.Context, vm string) string {
	var out strings.Builder
	for _, n := range the.Nodes {
		if text, err := n.Exec(ctx, "tail", "-c", "2000", "/var/log/libvirt/qemu/"+vm+"-serial.log"); err == nil {
			fmt.Fprintf(&out, "\n%s on %s: %q", vm, n.Name, text)
		}
	}
	return out.String()
}

// until waits for a condition with a deadline. A look that starts a process of
// its own is not made again at once: the hosts live on the same processors.
func until(t *testing.T, what string, within time.Duration, good func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		began := time.Now()
		if good() {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("%s: not within %s", what, within)
		case <-time.After(min(max(100*time.Millisecond, 3*time.Since(began)), time.Second)):
		}
	}
}
