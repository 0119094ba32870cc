//go:build lab

package test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// kind is a kind of VM that every mode must move, or refuse with a way out.
type kind struct {
	name string
	spec lab.VMSpec
	// refused are the modes that may refuse it, with a word of the reason.
	refused map[string]string
	// brief: in every test run; all others with HORCRUX_ACCEPT=all.
	brief []string
}

var kinds = []kind{
	{name: "F10 backing chain qcow2 on qcow2", spec: lab.VMSpec{Name: "kchain", Agent: true, Disks: []lab.DiskSpec{{Backing: "qcow2"}}}},
	{name: "F10 backing chain qcow2 on raw", spec: lab.VMSpec{Name: "kraw", Agent: true, Disks: []lab.DiskSpec{{Backing: "raw"}}}, brief: []string{"live"}},
	{name: "F6 read-only medium", spec: lab.VMSpec{Name: "kiso", Agent: true, ISO: true}, refused: map[string]string{"live": "iso", "online": "iso", "block": "iso", "block-stop": "iso"}, brief: []string{"live"}},
	{name: "F9 heavy writes", spec: lab.VMSpec{Name: "kbusy", Agent: true, WriteRate: 4, Disks: []lab.DiskSpec{{SizeMiB: 96}}}},
	{name: "F11 sparse disk", spec: lab.VMSpec{Name: "ksparse", Agent: true, Disks: []lab.DiskSpec{{}, {SizeMiB: 1024, FillMiB: 16, Format: "raw"}}}},
	{name: "E10 paused", spec: lab.VMSpec{Name: "kpaused", State: lab.VMPaused}, refused: map[string]string{"offline": "paused", "block": "paused", "block-stop": "paused"}, brief: []string{"online"}},
	{name: "I1 off", spec: lab.VMSpec{Name: "koff", State: lab.VMOff}, refused: map[string]string{"live": "off", "online": "off", "block": "off", "block-stop": "off"}, brief: []string{"offline"}},
	{name: "I4 UEFI with NVRAM", spec: lab.VMSpec{Name: "kuefi", Agent: true, UEFI: true}, brief: []string{"offline"}},
	{name: "I4 vTPM", spec: lab.VMSpec{Name: "ktpm", Agent: true, TPM: true}, brief: []string{"live"}},
	{name: "disks named as volumes", spec: lab.VMSpec{Name: "kvolume", Agent: true, Disks: []lab.DiskSpec{{Named: true}, {Named: true, Format: "raw"}}}, brief: []string{"live", "offline"}},
	{name: "I5 transient", spec: lab.VMSpec{Name: "kpassing", Agent: true, Transient: true}, refused: map[string]string{"offline": "transient", "block-stop": "transient", "block": "transient"}, brief: []string{"live"}},
}

// kindSpecs are the VMs that need packages of their own: they must be known
// when the lab is made.
func kindSpecs() (out []lab.VMSpec) {
	for _, k := range kinds {
		if k.spec.UEFI || k.spec.TPM {
			k.spec.Ledger, k.spec.HTTP = true, true
			k.spec.Disks = []lab.DiskSpec{{FillMiB: 4}}
			out = append(out, k.spec)
		}
	}
	return out
}

// TestKinds moves each kind of VM there and back by each mode.
func TestKinds(t *testing.T) {
	all := os.Getenv("HORCRUX_ACCEPT") == "all"
	only := os.Getenv("HORCRUX_KIND")
	for _, k := range kinds {
		if only != "" && only != k.spec.Name || !all && len(k.brief) == 0 {
			continue
		}
		t.Run(strings.ReplaceAll(k.name, " ", "_"), func(t *testing.T) {
			s := testify(t, k.spec)
			for _, w := range ways {
				if w.name == "offline-off" || !all && !contains(k.brief, w.name) {
					continue
				}
				t.Run(w.name, func(t *testing.T) { k.move(t, s, w) })
			}
			shutdown(t, s)
		})
	}
}

// shutdown lets a VM take no more of the machine's time.
func shutdown(t *testing.T, s *subject) {
	t.Helper()
	if owner, err := s.owner(t.Context()); err == nil && s.want != "shut off" && !s.Transient && os.Getenv("HORCRUX_LAB_KEEP") == "" {
		_, _ = the.Node(owner).Virsh(t.Context(), "destroy", s.Name)
	}
}

func (k kind) move(t *testing.T, s *subject, w way) {
	c := newConsole(t)
	from, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := other(from)
	if o := c.run(append([]string{"plan", s.Name, "--to", to}, w.args...)...); o.code == 3 {
		word, may := k.refused[w.name]
		if text := strings.ToLower(o.out + o.errOut); !may || !strings.Contains(text, word) {
			t.Fatalf("refused: %s%s", o.out, o.errOut)
		}
		t.Logf("refused, as it may be: %s", o.errOut)
		return
	}
	before := allocated(t, s, from)
	stop := observe(s)
	if w.restarts() && s.want == "running" {
		s.boots++
	}
	began := time.Now()
	id, o := c.move(s, to, w.args...)
	took := time.Since(began)
	_, settled := c.settleAll(time.Minute)
	if s.want == "running" && o.code == 0 {
		w.up(t, s)
	}
	stop()
	now, bad := s.judge(t.Context())
	if o.code != 0 || now != to || settled != nil {
		bad = append(bad, fmt.Sprintf("it ended with %d on %s: %s%s%v", o.code, now, o.out, o.errOut, settled))
	}
	if len(bad) > 0 {
		c.fail(t, id, bad)
		return
	}
	if after := allocated(t, s, to); after > before+before/10+4<<20 {
		t.Errorf("the disks take up %d bytes, and took %d", after, before)
	}
	t.Logf("moved in %s, longest pause %s", took.Round(100*time.Millisecond), s.watch.LongestPause().Round(time.Millisecond))
}

// allocated is what a VM's disks take up on a node.
func allocated(t *testing.T, s *subject, node string) (sum int64) {
	t.Helper()
	for _, d := range s.Disks {
		out, err := the.Node(node).Exec(t.Context(), "stat", "-c", "%b", d.Path())
		if err != nil {
			t.Fatal(err)
		}
		blocks, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += blocks * 512
		if d.Backing != "" {
			if out, err := the.Node(node).Exec(t.Context(), "stat", "-c", "%b", d.BasePath()); err == nil {
				b, _ := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
				sum += b * 512
			}
		}
	}
	return sum
}

// E1, E2, E7, F2: what would go wrong is refused before anything is touched,
// and the refusal says what would mend it.
func TestRefusedBeforeAnythingIsTouched(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wacc", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 64, FillMiB: 32}}})
	to := other(from)
	virsh := func(t *testing.T, node string, args ...string) {
		t.Helper()
		if _, err := the.Node(node).Virsh(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	define := func(t *testing.T, name, uuid string) {
		t.Helper()
		xml := fmt.Sprintf("<domain type='qemu'><name>%s</name><uuid>%s</uuid><memory>65536</memory><os><type arch='x86_64'>hvm</type></os></domain>", name, uuid)
		if _, err := the.Node(to).ExecInput(t.Context(), xml, "virsh", "-q", "define", "/dev/stdin"); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		make, undo  func(t *testing.T)
		want, names string
	}{
		"E1 the name is taken": {
			func(t *testing.T) { define(t, s.Name, "11111111-2222-4333-8444-555555555555") },
			func(t *testing.T) { virsh(t, to, "undefine", "11111111-2222-4333-8444-555555555555") }, s.Name, to,
		},
		"E2 the UUID is taken": {
			func(t *testing.T) { define(t, "impostor", s.UUID) },
			func(t *testing.T) { virsh(t, to, "undefine", "impostor") }, "impostor", to,
		},
		"E7 it has a snapshot": {
			func(t *testing.T) { virsh(t, from, "snapshot-create-as", s.Name, "before") },
			func(t *testing.T) { virsh(t, from, "snapshot-delete", s.Name, "before") }, "snapshot", from,
		},
		"F2 no pool for its disk": {
			func(t *testing.T) { virsh(t, to, "pool-destroy", "images") },
			func(t *testing.T) { virsh(t, to, "pool-start", "images") }, "pool", to,
		},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			tt.make(t)
			o := horcrux(t, "migrate", from+"/"+s.Name, "--to", to, "--yes")
			tt.undo(t)
			// The move itself names the target before it says what is wrong where.
			_, why, _ := strings.Cut(o.errOut, "cannot move "+s.Name+" to "+to+": ")
			if o.code != 3 || !strings.Contains(why, tt.want) || !strings.Contains(why, tt.names) || strings.Contains(why, other(tt.names)) {
				t.Errorf("exit code %d, and it is %s that has it: %s%s", o.code, tt.names, o.out, o.errOut)
			}
			if now, bad := s.judge(t.Context()); now != from || len(bad) > 0 {
				t.Errorf("on %s: %v", now, bad)
			}
		})
	}
}

// one is a subject and the node that has it.
func one(t *testing.T, spec lab.VMSpec) (s *subject, owner string) {
	t.Helper()
	s = testify(t, spec)
	owner, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, owner
}

// movesTo moves a subject and checks from outside that it arrived whole.
func movesTo(t *testing.T, s *subject, to string) {
	t.Helper()
	c := newConsole(t)
	id, o := c.move(s, to)
	if now, bad := s.judge(t.Context()); o.code != 0 || now != to || len(bad) > 0 {
		c.fail(t, id, append(bad, fmt.Sprintf("exit code %d on %s: %s%s", o.code, now, o.out, o.errOut)))
	}
}

// G4: the first port of a migration is taken by something else on the target.
func TestG4PortIsTaken(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wacc", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 64, FillMiB: 32}}})
	to := the.Node(other(from))
	if _, err := to.Exec(t.Context(), "qemu-img", "create", "-q", "-f", "raw", "/tmp/squat", "1M"); err != nil {
		t.Fatal(err)
	}
	var squatters []*exec.Cmd
	for _, port := range []string{"49152", "49153"} {
		cmd := exec.Command("qemu-nbd", "-t", "-r", "-f", "raw", "-p", port, "--shared=8", "/tmp/squat")
		if err := to.Start(cmd); err != nil {
			t.Fatal(err)
		}
		squatters = append(squatters, cmd)
	}
	defer func() {
		for _, cmd := range squatters {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}()
	movesTo(t, s, to.Name)
}

// F13: a limit holds.
func TestF13TheLimitHolds(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wacc", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 64, FillMiB: 32}}})
	c := newConsole(t)
	id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", other(from), "--yes", "--detach", "--bandwidth", "4").out)
	c.copied(id, "disk")
	holds(t, from, 4, 4*time.Second)
	c.must(0, "abort", id, "--yes")
	if now, bad := s.judge(t.Context()); now != from || len(bad) > 0 {
		t.Errorf("on %s: %v", now, bad)
	}
}

// holds checks that a node sends no more than a limit in MiB/s, by its cable.
func holds(t *testing.T, node string, limit float64, long time.Duration) {
	t.Helper()
	sent := func() uint64 {
		b, err := the.Node(node).Exec(t.Context(), "cat", "/proc/net/dev")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b) {
			if f := strings.Fields(line); len(f) > 9 && strings.TrimSuffix(f[0], ":") == "eth0" {
				n, _ := strconv.ParseUint(f[9], 10, 64)
				return n
			}
		}
		t.Fatal("no cable in:\n", b)
		return 0
	}
	first, at := sent(), time.Now()
	wait(t.Context(), long)
	rate := float64(sent()-first) / time.Since(at).Seconds() / (1 << 20)
	if rate > limit*1.1+0.5 {
		t.Errorf("%.2f MiB/s were sent with a limit of %v", rate, limit)
	}
	t.Logf("%.2f MiB/s with a limit of %v", rate, limit)
}

var flowing = regexp.MustCompile(`"disk_rate":[1-9]`)

// F13: it holds for files too, on both ways on which the nodes send them themselves.
func TestF13TheLimitHoldsForFiles(t *testing.T) {
	ensure(t, lab.VMSpec{Name: "wrate", State: lab.VMOff, Disks: []lab.DiskSpec{{SizeMiB: 192, FillMiB: 100}}})
	c := newConsole(t)
	for _, path := range []string{"direct", "ssh"} {
		id := c.start("wrate", "node2", "--mode", "offline", "--bandwidth", "1", "--path", path)
		until(t, "bytes on their way", time.Minute, func() bool { return flowing.Match(c.events(id)) })
		holds(t, "node1", 1, 6*time.Second)
		c.must(0, "abort", id, "--yes")
		c.reach(id, "undone")
		absent(t, "wrate", "node2")
	}
}

// G5: the target calls itself localhost, as many a host does; nothing goes by
// the name that a host gives itself.
func TestG5TheTargetIsCalledLocalhost(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wacc", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 64, FillMiB: 32}}})
	to := the.Node(other(from))
	// libvirt asks for the name once, at its start.
	called := func(name string) {
		t.Helper()
		if _, err := to.Exec(t.Context(), "hostname", name); err != nil {
			t.Fatal(err)
		}
		if err := to.Kill(t.Context(), lab.Of(lab.Libvirtd)); err != nil {
			t.Fatal(err)
		}
		if err := to.Restart(t.Context(), lab.Libvirtd); err != nil {
			t.Fatal(err)
		}
	}
	called("localhost")
	defer called(to.Name)
	movesTo(t, s, to.Name)
}

// D2, D5: the user stops it while the memory goes over. The source keeps a VM
// that is as persistent as before.
func TestD2AbortInTheMemoryCopy(t *testing.T) {
	s, from := one(t, lab.VMSpec{Name: "wmem", Agent: true, DirtyMiB: 32, DirtyRate: 4, Disks: []lab.DiskSpec{{Pool: "shared", Format: "raw"}}})
	c := newConsole(t)
	stop := observe(s)
	id := strings.TrimSpace(c.must(0, "migrate", s.Name, "--to", other(from), "--yes", "--detach", "--bandwidth", "2").out)
	c.copied(id, "mem")
	c.must(0, "abort", id, "--yes")
	o := c.run("job", id, "-o", "json")
	stop()
	now, bad := s.judge(t.Context())
	if r := result(t, o.out); r.Outcome != "undone" || now != from || len(bad) > 0 {
		c.fail(t, id, append(bad, fmt.Sprintf("%+v, on %s", r, now)))
	}
}
