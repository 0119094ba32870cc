//go:build lab

package test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"horcrux/lab"
)

// chaosDefault is how many moves every test run makes; `make chaos N=…` makes
// more.
const chaosDefault = 3

// TestChaos moves VMs with a random mode in a random direction, breaks
// something random at a random moment, lets recover settle it, and checks what
// must always hold. The seed decides everything but the speed of the machine.
// HORCRUX_CHAOS_N and HORCRUX_CHAOS_SEED set length and seed.
func TestChaos(t *testing.T) {
	n, seed := chaosDefault, uint64(1)
	if v, err := strconv.Atoi(os.Getenv("HORCRUX_CHAOS_N")); err == nil {
		n = v
	}
	if v, err := strconv.ParseUint(os.Getenv("HORCRUX_CHAOS_SEED"), 10, 64); err == nil {
		seed = v
	}
	c := newConsole(t, "parallel_per_node = 4", `shutdown_timeout = "20s"`, "force_off = true")
	x := &chaos{t: t, c: c, rng: rand.New(rand.NewPCG(seed, 0x486f7263727578)), seed: seed, faults: map[string]int{}, outcomes: map[string]int{}, moved: map[string]int{}, longest: map[string]pause{}}
	specs := chaosVMs
	if n <= 2*chaosDefault {
		specs = specs[:2]
	}
	for _, spec := range specs {
		x.all = append(x.all, testify(t, spec))
		stopAfter(t, spec.Name)
	}
	x.ways = x.allWays()
	began := time.Now()
	for x.moves < n && !x.broken {
		x.round(min(n-x.moves, 3))
	}
	x.report(time.Since(began))
}

// chaosVMs are small, so that a hundred moves take minutes.
var chaosVMs = []lab.VMSpec{
	{Name: "xone", Node: "node1", Agent: true, Autostart: true},
	{Name: "xtwo", Node: "node2", Disks: []lab.DiskSpec{{Format: "raw"}, {SizeMiB: 64, FillMiB: 8}}, EmptyCDROM: true},
	{Name: "xshared", Node: "node3", Agent: true, Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}}},
	{Name: "xoff", Node: "node1", State: lab.VMOff, Disks: []lab.DiskSpec{{Format: "raw", SizeMiB: 64}}},
}

type chaos struct {
	t    *testing.T
	c    *console
	rng  *rand.Rand
	seed uint64
	all  []*subject
	ways []way

	moves, recoveries, violations int
	faults, outcomes, moved       map[string]int
	// longest pause of a guest that no fault killed, by the way it was moved;
	// of a guest that was not moved in that round under "not moved".
	longest map[string]pause
	broken  bool
}

// pause is how long no copy ran, and in what.
type pause struct {
	time.Duration
	in string
}

// chaosPaths are the ways of a move's data, drawn apart from its mode. The
// hosts have no certificates, so that auto takes what encrypts without them.
var chaosPaths = []string{"direct", "ssh", "relay", "auto"}

func byPath(args []string, path string) []string {
	tls := map[bool]string{true: "auto", false: "off"}[path == "auto"]
	return append(slices.Clone(args), "--path", path, "--tls", tls)
}

// allWays are the modes, each of which the pre-flight must allow for the first
// VM by every path. A VM that is off goes by offline like any other.
func (x *chaos) allWays() (out []way) {
	x.t.Helper()
	owner, err := x.all[0].owner(x.t.Context())
	if err != nil {
		x.t.Fatal(err)
	}
	for _, w := range ways {
		if w.name == "offline-off" || w.name == "shared" || slices.Contains(w.args, "--path") {
			continue
		}
		for _, path := range chaosPaths {
			by := w
			by.args = byPath(w.args, path)
			by.allowed(x.t, x.c, x.all[0].Name, other(owner))
		}
		out = append(out, w)
	}
	return out
}

// attempt is one move of a round, with what shall happen to it.
type attempt struct {
	s        *subject
	way      way
	path     string
	from, to string
	fault    fault
	at       string        // the record after which it happens
	after    time.Duration // and how long after
	id       string
	code     int
	said     string
}

func (a *attempt) String() string {
	return fmt.Sprintf("%s %s by %s %s>%s, %s %s after %q: job %s, exit code %d", a.s.Name, a.way.name, a.path, a.from, a.to, a.fault.name, a.after, a.at, a.id, a.code)
}

// fault is something that goes wrong, and how it is mended; nil mend is none.
type fault struct {
	name string
	do   func(ctx context.Context, x *chaos, a *attempt) error
	mend func(ctx context.Context, x *chaos, a *attempt) error
	// lasts is how long it stays before it is mended at the earliest.
	lasts time.Duration
	// kills: guests on that node may be gone by it.
	kills bool
}

func from(a *attempt) *lab.Node { return the.Node(a.from) }
func to(a *attempt) *lab.Node   { return the.Node(a.to) }

// onNode makes a fault of either node of a move.
func onNode(name string, lasts time.Duration, kills bool, do, mend func(context.Context, *lab.Node) error) []fault {
	var out []fault
	for side, node := range map[string]func(*attempt) *lab.Node{"source": from, "target": to} {
		f := fault{name: name + " of the " + side, lasts: lasts, kills: kills}
		f.do = func(ctx context.Context, _ *chaos, a *attempt) error { return do(ctx, node(a)) }
		f.mend = func(ctx context.Context, _ *chaos, a *attempt) error { return mend(ctx, node(a)) }
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b fault) int { return strings.Compare(a.name, b.name) })
	return out
}

const powerCut = "power cut"

// chaosFaults are all kinds; each is as likely as the others.
var chaosFaults = slices.Concat(
	[]fault{
		{name: "nothing"},
		{name: "abort by the user", do: func(_ context.Context, x *chaos, a *attempt) error { x.c.run("abort", a.id, "--yes"); return nil }},
		{name: "kill of the job's process", do: killJob},
		{name: "kill of the job's process", do: killJob},
		{name: "full disk of the target", lasts: 4 * time.Second, do: fillTarget, mend: func(_ context.Context, _ *chaos, a *attempt) error { return to(a).UnfillImages() }},
		{
			name: "block between nodes", lasts: 6 * time.Second,
			do:   func(ctx context.Context, _ *chaos, a *attempt) error { return to(a).BlockPeers(ctx) },
			mend: func(ctx context.Context, _ *chaos, a *attempt) error { return to(a).UnblockPeers(ctx) },
		},
		{name: "kill of the target's QEMU", do: func(ctx context.Context, _ *chaos, a *attempt) error {
			return ignoreMissing(to(a).Kill(ctx, lab.OfVM(a.s.Name)))
		}, kills: true},
		{name: "kill of the source's QEMU", do: func(ctx context.Context, _ *chaos, a *attempt) error {
			return ignoreMissing(from(a).Kill(ctx, lab.OfVM(a.s.Name)))
		}, kills: true},
	},
	onNode("short cut of the link", 3*time.Second, false, func(_ context.Context, n *lab.Node) error { return n.CutLink() }, func(_ context.Context, n *lab.Node) error { return n.HealLink() }),
	onNode("long cut of the link", 25*time.Second, false, func(_ context.Context, n *lab.Node) error { return n.CutLink() }, func(_ context.Context, n *lab.Node) error { return n.HealLink() }),
	onNode("kill of libvirtd", time.Second, false, func(ctx context.Context, n *lab.Node) error { return ignoreMissing(n.Kill(ctx, lab.Of(lab.Libvirtd))) }, func(ctx context.Context, n *lab.Node) error { return n.Restart(ctx, lab.Libvirtd) }),
	onNode("kill of sshd", time.Second, false, func(ctx context.Context, n *lab.Node) error { return ignoreMissing(n.Kill(ctx, lab.Of(lab.SSHD))) }, func(ctx context.Context, n *lab.Node) error { return n.Restart(ctx, lab.SSHD) }),
	onNode(powerCut, 3*time.Second, true, func(ctx context.Context, n *lab.Node) error { return ignoreMissing(n.PowerOff(ctx)) }, func(ctx context.Context, n *lab.Node) error { return n.PowerOn(ctx) }),
	onNode("slow link", 5*time.Second, false, func(_ context.Context, n *lab.Node) error { return n.LimitRate(2 << 20) }, func(_ context.Context, n *lab.Node) error { return n.UnlimitRate() }),
)

// ignoreMissing: what another fault of the round has ended already cannot be
// hurt again.
func ignoreMissing(err error) error {
	if err != nil && (strings.Contains(err.Error(), "does not run there") || strings.Contains(err.Error(), "is off") || strings.Contains(err.Error(), "no such process")) {
		return nil
	}
	return err
}

func killJob(_ context.Context, x *chaos, a *attempt) error {
	if pid := x.c.worker(a.id); pid != 0 {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return nil
}

func fillTarget(_ context.Context, _ *chaos, a *attempt) error {
	err := to(a).FillImages(1 << 20)
	if err != nil && strings.Contains(err.Error(), "there are only") {
		return nil
	}
	return err
}

// moments are records that a fault may follow. Those that a mode does not
// write are never reached: then nothing happens, and the move must succeed.
var moments = []string{
	"planned", "marking", "creating", "begin", "prepare", "perform", "perform", "perform", "performed", "gated", "commit-intent", "committed", "fencing", "fenced",
	"freezing", "frozen", "copying", "copying", "copied", "stopping", "stopped", "registering", "flattening", "confirm-intent",
}

// plan draws the moves of a round.
func (x *chaos) plan(n int) (out []*attempt) {
	for _, i := range x.rng.Perm(len(x.all))[:min(n, len(x.all))] {
		a := &attempt{s: x.all[i], way: x.ways[x.rng.IntN(len(x.ways))], path: chaosPaths[x.rng.IntN(len(chaosPaths))]}
		f := chaosFaults[x.rng.IntN(len(chaosFaults))]
		moment := x.rng.IntN(1 << 20)
		after, jump := time.Duration(x.rng.IntN(400))*time.Millisecond, x.rng.IntN(len(the.Nodes)-1)
		if a.s.want == "shut off" {
			i := slices.IndexFunc(x.ways, func(w way) bool { return w.name == "offline" })
			if i < 0 {
				continue
			}
			a.way = x.ways[i]
		}
		if a.s.Disks[0].Pool == "shared" && strings.HasPrefix(a.way.name, "block") {
			a.way = x.ways[0] // nothing is to be copied in passes
		}
		a.fault, a.after = f, after
		a.at = moments[moment%len(moments)]
		if kinds := x.c.kindsOf(a.way.name); len(kinds) > 0 {
			a.at = kinds[moment%len(kinds)]
		}
		var err error
		if a.from, err = a.s.owner(x.t.Context()); err != nil {
			x.t.Fatal(err)
		}
		var targets []string
		for _, node := range the.Nodes {
			if node.Name != a.from {
				targets = append(targets, node.Name)
			}
		}
		a.to = targets[jump%len(targets)]
		out = append(out, a)
	}
	return out
}

// kindsOf are the moments that a mode has, as far as they are known.
func (c *console) kindsOf(name string) []string {
	live := []string{"planned", "marking", "creating", "begin", "prepare", "perform", "perform", "perform", "performed", "gated", "commit-intent", "committed", "fencing", "fenced", "confirm-intent"}
	cold := []string{"planned", "marking", "stopping", "stopped", "copying", "copying", "copied", "registering", "commit-intent", "committed", "fencing", "confirm-intent"}
	switch name {
	case "live", "online":
		return live
	case "offline":
		return cold
	case "block":
		return slices.Concat([]string{"freezing", "frozen", "copied", "flattening"}, live)
	case "block-stop":
		return slices.Concat([]string{"freezing", "frozen", "flattening"}, cold)
	}
	return nil
}

// round makes some moves at once, breaks what they drew, mends everything, and
// judges.
func (x *chaos) round(n int) {
	ctx := x.t.Context()
	round := x.plan(n)
	stop := observe(x.all...)
	done := make(chan *attempt)
	for _, a := range round {
		if a.way.restarts() && a.s.want == "running" {
			a.s.boots += 2
		}
		go func() { x.run(ctx, a); done <- a }()
	}
	for range round {
		<-done
	}
	if err := x.mendAll(ctx); err != nil {
		x.t.Fatal(err)
	}
	r, err := x.c.settleAll(4 * time.Minute)
	stop()
	x.recoveries += r
	x.moves += len(round)
	var bad []string
	if err != nil {
		bad = append(bad, err.Error())
	}
	killed := false
	for _, a := range round {
		if strings.HasPrefix(a.fault.name, powerCut) {
			for _, s := range x.all {
				if s.Autostart {
					s.boots++ // by its host, once that is back
				}
			}
		}
		x.faults[a.fault.name]++
		x.outcomes[outcomeName(a.code)]++
		x.moved[fmt.Sprintf("%s by %s", a.way.name, a.path)]++
		killed = killed || a.fault.kills
		x.t.Log(a)
		bad = append(bad, a.unexplained()...)
		if a.code != 0 && a.fault.do == nil && len(round) == 1 {
			bad = append(bad, fmt.Sprintf("a move that nothing happened to ended with %d: %s", a.code, a.said))
		}
	}
	for _, s := range x.all {
		way, in := "not moved", s.Name
		if i := slices.IndexFunc(round, func(a *attempt) bool { return a.s == s }); i >= 0 {
			way, in = round[i].way.name, round[i].String()
		}
		bad = append(bad, x.check(ctx, s, killed, way, in)...)
	}
	bad = append(bad, x.c.quiet()...)
	if len(bad) == 0 {
		return
	}
	x.violations += len(bad)
	x.broken = true
	x.t.Errorf("seed %d, moves %d to %d: %d violations", x.seed, x.moves-len(round)+1, x.moves, len(bad))
	for _, a := range round {
		x.t.Logf("%s\n%s", a, a.said)
	}
	for _, a := range round {
		x.c.fail(x.t, a.id, nil)
	}
	for _, b := range bad {
		x.t.Error(b)
	}
}

// check judges one VM. A guest that was killed is started first: by hand, on
// the one node that has it, which is what its admin would do.
func (x *chaos) check(ctx context.Context, s *subject, killed bool, way, in string) []string {
	stood := pause{s.watch.LongestPause(), in}
	if s.want == "running" {
		for _, p := range the.Where(ctx, s.Name) {
			if !p.Known || p.State == "running" {
				continue
			}
			if !killed && p.State == "shut off" && p.Reason != "shutdown" {
				return []string{fmt.Sprintf("%s is %s (%s) on %s, and nobody killed it", s.Name, p.State, p.Reason, p.Node)}
			}
			if p.State == "shut off" {
				s.boots++
				stood.Duration = 0
				if _, err := s.owner(ctx); err != nil {
					return []string{err.Error()}
				}
				if _, err := the.Node(p.Node).Virsh(ctx, "start", s.Name); err != nil {
					return []string{err.Error()}
				}
			}
		}
		if err := the.WaitVM(ctx, s.Name); err != nil {
			return []string{err.Error()}
		}
		if stood.Duration > x.longest[way].Duration {
			x.longest[way] = stood
		}
	}
	_, bad := s.judge(ctx)
	return bad
}

// run makes one move and lets its fault happen.
func (x *chaos) run(ctx context.Context, a *attempt) {
	args := append([]string{"migrate", a.s.Name, "--to", a.to, "--yes", "--bandwidth", "24"}, byPath(a.way.args, a.path)...)
	cmd := x.c.command(append(args, "--detach")...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	_ = cmd.Run()
	a.id = strings.TrimSpace(out.String())
	if a.code = cmd.ProcessState.ExitCode(); a.code != 0 || a.id == "" {
		a.said = errOut.String()
		return
	}
	follow := x.c.command("job", a.id)
	var said strings.Builder
	follow.Stdout, follow.Stderr = &said, &said
	over := make(chan struct{})
	if err := follow.Start(); err != nil {
		a.said, a.code = err.Error(), -1
		return
	}
	go func() { defer close(over); _ = follow.Wait() }()
	if a.fault.do != nil && x.c.wrote(a.id, a.at, 2*time.Minute) {
		wait(ctx, a.after)
		x.hurt(ctx, a)
	}
	select {
	case <-over:
	case <-time.After(4 * time.Minute):
		_ = follow.Process.Kill()
		<-over
	}
	a.said, a.code = said.String(), exitOf(follow)
	if a.code == 0 {
		a.code = codeOf(x.c.jobs()[a.id].State)
	}
}

// unexplained is what the words of a move that failed leave open: the node, the
// cause, where the VM is now, and what to do next.
func (a *attempt) unexplained() (bad []string) {
	if a.code == 0 {
		return nil
	}
	for _, want := range []string{"node", "cause: ", "the VM is", "next: "} {
		if !strings.Contains(a.said, want) {
			bad = append(bad, fmt.Sprintf("%s: no word of %q in: %s", a, want, a.said))
		}
	}
	return bad
}

// codeOf is the exit code that belongs to the state of a job.
func codeOf(state string) int {
	switch state {
	case "done", "awaiting-confirm":
		return 0
	case "refused":
		return 3
	case "undone":
		return 4
	}
	return 5
}

func exitOf(cmd *exec.Cmd) int {
	if cmd.ProcessState == nil {
		return -1
	}
	return cmd.ProcessState.ExitCode()
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// hurt does the fault and mends it after its time.
func (x *chaos) hurt(ctx context.Context, a *attempt) {
	if err := a.fault.do(ctx, x, a); err != nil {
		x.t.Logf("%s could not be done: %v", a.fault.name, err)
	}
	if a.fault.mend == nil {
		return
	}
	wait(ctx, a.fault.lasts)
	if err := a.fault.mend(ctx, x, a); err != nil {
		x.t.Logf("%s could not be mended at once: %v", a.fault.name, err)
	}
}

// mendAll brings every host back to health.
func (x *chaos) mendAll(ctx context.Context) error {
	for _, n := range the.Nodes {
		if err := n.PowerOn(ctx); err != nil {
			return err
		}
		if err := n.HealLink(); err != nil {
			return err
		}
		if err := n.UnfillImages(); err != nil {
			return err
		}
		if err := n.UnlimitRate(); err != nil {
			return err
		}
		if err := n.UnblockPeers(ctx); err != nil {
			return err
		}
		for _, s := range []lab.Service{lab.Virtlogd, lab.SSHD, lab.Libvirtd} {
			if n.Serves(s) {
				continue
			}
			if err := n.Restart(ctx, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func outcomeName(code int) string {
	switch code {
	case 0:
		return "moved"
	case 3:
		return "refused"
	case 4:
		return "undone"
	case 5:
		return "left for recover"
	case 6:
		return "moved, a check failed"
	}
	return fmt.Sprintf("exit code %d", code)
}

// report prints the figures, for a person and for docs/reliability.md.
func (x *chaos) report(took time.Duration) {
	var b strings.Builder
	fmt.Fprintf(&b, "\nchaos: seed %d, %d moves in %s, %d recoveries, %d violations\n", x.seed, x.moves, took.Round(time.Second), x.recoveries, x.violations)
	for _, m := range []map[string]int{x.outcomes, x.faults, x.moved} {
		for _, k := range slices.Sorted(maps.Keys(m)) {
			fmt.Fprintf(&b, "  %4d %s\n", m[k], k)
		}
		b.WriteString("  ----\n")
	}
	for _, w := range slices.Sorted(maps.Keys(x.longest)) {
		fmt.Fprintf(&b, "  %s: longest time without a running copy, of guests that nobody killed: %s (%s)\n", w, x.longest[w].Round(time.Millisecond), x.longest[w].in)
	}
	if x.violations > 0 {
		fmt.Fprintf(&b, "  again: make chaos N=%d SEED=%d\n", x.moves, x.seed)
	}
	x.t.Log(b.String())
	fmt.Fprintln(os.Stderr, b.String())
}
