//go:build lab

package test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"horcrux/lab"
)

// subject is a VM whose moves are judged from outside: what its guest said it
// had written, what runs where, what is left behind.
type subject struct {
	lab.VM
	// boots is how often the guest may have booted by now.
	boots int
	// want is the state that its owner must have it in.
	want string
	// fill is the hash of a file that the guest never touches.
	fill string
	// autostart is what it was before anything moved it.
	autostart string

	watch *lab.Watch
	mu    sync.Mutex
	best  lab.Beat // the newest beat that the guest answered with from its disk
}

// testify makes a VM a subject, and the VM itself unless it is there.
func testify(t *testing.T, spec lab.VMSpec) *subject {
	t.Helper()
	spec.Ledger = true
	if spec.State != lab.VMOff {
		spec.HTTP = true
	}
	if len(spec.Disks) == 0 {
		spec.Disks = []lab.DiskSpec{{}}
	}
	spec.Disks[0].FillMiB = max(spec.Disks[0].FillMiB, 4)
	ensure(t, spec)
	vm, _ := the.VM(spec.Name)
	s := &subject{VM: vm, boots: 1, want: "running"}
	if spec.State == lab.VMOff {
		s.want, s.boots = "shut off", 0
	}
	if spec.State == lab.VMPaused {
		s.want = "paused"
	}
	owner, err := s.owner(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.fill, err = s.fillHash(t.Context(), owner, s.Disks[0].Path()); err != nil {
		t.Fatal(err)
	}
	info, err := the.Node(owner).Virsh(t.Context(), "dominfo", s.Name)
	if err != nil {
		t.Fatal(err)
	}
	s.autostart = field(info, "Autostart")
	if b, err := the.Heartbeat(t.Context(), owner, s.Disks[0].Path()); err == nil {
		if n, err := lab.CheckBeats(b); err == nil {
			s.boots = max(s.boots, n)
		}
	}
	return s
}

func field(info, key string) string {
	for line := range strings.Lines(info) {
		if k, v, ok := strings.Cut(line, ":"); ok && k == key {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

func (s *subject) fillHash(ctx context.Context, node, image string) (string, error) {
	text, err := the.ReadGuestFile(ctx, node, image, "/fill")
	return hashOf(text), err
}

// observe watches subjects until the function that it returns is called.
func observe(all ...*subject) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var g sync.WaitGroup
	var watches []*lab.Watch
	for _, s := range all {
		s.watch = the.Watch(s.Name)
		watches = append(watches, s.watch)
		if s.HTTP {
			g.Go(func() { s.listen(ctx) })
		}
	}
	g.Go(func() { lab.RunAll(ctx, 50*time.Millisecond, watches...) })
	return func() { cancel(); g.Wait() }
}

// listen asks the guest for its newest beat, which is on its disk by then.
func (s *subject) listen(ctx context.Context) {
	tick := time.NewTicker(300 * time.Millisecond)
	defer tick.Stop()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		res, err := client.Get("http://" + s.IP + "/beat")
		if err != nil {
			continue
		}
		body, err := io.ReadAll(io.LimitReader(res.Body, 200))
		res.Body.Close()
		beats, bad := lab.ParseBeats(string(body))
		if err != nil || bad != nil || len(beats) != 1 {
			continue
		}
		s.mu.Lock()
		if beats[0].Counter > s.best.Counter {
			s.best = beats[0]
		}
		s.mu.Unlock()
	}
}

// owner is the one node that knows the VM, with every node asked.
func (s *subject) owner(ctx context.Context) (string, error) {
	var on []string
	for _, p := range the.Where(ctx, s.Name) {
		if p.Err != nil {
			return "", fmt.Errorf("cannot look at %s on %s: %w", s.Name, p.Node, p.Err)
		}
		if p.Known {
			on = append(on, p.Node)
		} else if len(p.Processes) > 0 {
			return "", fmt.Errorf("%s has a process on %s that libvirt does not know", s.Name, p.Node)
		}
	}
	if len(on) != 1 {
		return "", fmt.Errorf("%s is known on %v, not on one node", s.Name, on)
	}
	return on[0], nil
}

// judge returns every violation of what must hold once all jobs are settled.
func (s *subject) judge(ctx context.Context) (owner string, bad []string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	wrong := func(format string, args ...any) { bad = append(bad, s.Name+": "+fmt.Sprintf(format, args...)) }
	if s.watch != nil {
		if err := s.watch.Verdict(); err != nil {
			wrong("%v", err)
		}
	}
	owner, err := s.owner(ctx)
	if err != nil {
		wrong("%v", err)
		return "", bad
	}
	for _, p := range the.Where(ctx, s.Name) {
		if p.Node == owner && p.State != s.want {
			wrong("%s has it %s (%s), want %s", owner, p.State, p.Reason, s.want)
		}
	}
	for _, n := range the.Nodes {
		for _, f := range s.strangers(ctx, n, owner) {
			wrong("%s still has %s", n.Name, f)
		}
	}
	for _, w := range s.asBefore(ctx, the.Node(owner)) {
		wrong("%s: %s", owner, w)
	}
	for _, w := range s.content(ctx, owner) {
		wrong("%s: %s", owner, w)
	}
	return owner, bad
}

// files are what the VM has on its owner, by folder.
func (s *subject) files() []string {
	var out []string
	for _, d := range s.Disks {
		out = append(out, d.Path())
		if d.Backing != "" {
			out = append(out, d.BasePath())
		}
	}
	if s.ISO {
		out = append(out, s.ISOPath())
	}
	if s.UEFI {
		out = append(out, s.NVRAMPath())
	}
	return out
}

func (s *subject) isBase(file string) bool {
	return slices.ContainsFunc(s.Disks, func(d lab.DiskSpec) bool { return d.Backing != "" && d.BasePath() == file })
}

// isDevice tells that a path is that of a disk's block device, or of what has its
// bytes.
func (s *subject) isDevice(p string) bool {
	return slices.ContainsFunc(s.Disks, func(d lab.DiskSpec) bool { return d.Device && (p == d.Path() || p == d.DevicePath()) })
}

// strangers are files of the VM or of ours that must not be on a node.
func (s *subject) strangers(ctx context.Context, n *lab.Node, owner string) []string {
	out, err := n.Exec(ctx, "find", "/var/lib/libvirt", "/srv/shared", "/tmp", "/run", "/var/tmp", "/root", "-not", "-type", "d",
		"(", "-name", "*"+s.Name+"*", "-o", "-name", "*horcrux*", "-o", "-name", "*.partial*", "-o", "-path", "*"+s.UUID+"*", ")")
	if err != nil && out == "" {
		return []string{err.Error()}
	}
	own := s.files()
	mine := regexp.MustCompile(`(^|[^a-zA-Z0-9])` + regexp.QuoteMeta(s.Name) + `([^a-zA-Z0-9]|$)`)
	var bad []string
	for _, f := range strings.Fields(out) {
		base := path.Base(f)
		ours := strings.Contains(base, "horcrux") || strings.Contains(base, ".partial")
		switch {
		case s.isDevice(f): // every host has its own
		case strings.Contains(f, s.UUID) && n.Name == owner && !ours && !strings.Contains(f, ".migrated-"): // the state of its TPM
		case slices.Contains(own, f) && (n.Name == owner || strings.HasPrefix(f, "/srv/shared/")):
		case strings.HasPrefix(f, "/run/libvirt/") && !ours, strings.HasPrefix(f, "/var/lib/libvirt/qemu/") && n.Name == owner && !ours:
		case f == s.ISOPath() && s.ISO, s.isBase(f): // may be where it was before: others may use it too
		case mine.MatchString(base) || ours || strings.Contains(f, s.UUID):
			bad = append(bad, f)
		}
	}
	return bad
}

// asBefore tells what of the VM's definition is not as it was.
func (s *subject) asBefore(ctx context.Context, n *lab.Node) (bad []string) {
	ask := func(args ...string) string {
		out, err := n.Virsh(ctx, args...)
		if err != nil {
			bad = append(bad, err.Error())
		}
		return out
	}
	for _, args := range [][]string{{"dumpxml", s.Name}, {"dumpxml", s.Name, "--inactive"}} {
		if strings.Contains(ask(args...), "horcrux.dev") {
			bad = append(bad, "our mark is in `virsh "+strings.Join(args, " ")+"`")
		}
	}
	for line := range strings.Lines(ask("domblklist", s.Name)) {
		f := strings.Fields(line)
		if len(f) == 2 && strings.HasPrefix(f[1], "/") && !slices.Contains(s.files(), f[1]) && !s.isDevice(f[1]) {
			bad = append(bad, f[0]+" is on "+f[1])
		}
	}
	if snaps := strings.Fields(ask("snapshot-list", s.Name, "--name")); len(snaps) > 0 {
		bad = append(bad, fmt.Sprintf("it has snapshots %v", snaps))
	}
	if s.want != "shut off" {
		if info := ask("domjobinfo", s.Name); !strings.Contains(info, "None") {
			bad = append(bad, "it has a job: "+strings.Join(strings.Fields(info), " "))
		}
	}
	if s.want != "shut off" {
		bad = append(bad, s.unowned(ctx, n)...)
	}
	info := ask("dominfo", s.Name)
	if got := field(info, "Autostart"); got != s.autostart {
		bad = append(bad, fmt.Sprintf("autostart is %s, was %s", got, s.autostart))
	}
	if got := field(info, "Persistent"); (got == "yes") == s.Transient {
		bad = append(bad, "persistent: "+got)
	}
	return bad
}

// unowned tells which images do not belong to the QEMU that has them: it could
// not open them once more.
func (s *subject) unowned(ctx context.Context, n *lab.Node) (bad []string) {
	args := []string{"stat", "-L", "-c", "%U %n", "--"}
	for _, d := range s.Disks {
		if !d.Device {
			args = append(args, d.Path())
		}
	}
	if args[len(args)-1] == "--" {
		return nil // devices have no owner of their own
	}
	out, err := n.Exec(ctx, args...)
	if err != nil {
		bad = append(bad, err.Error())
	}
	for line := range strings.Lines(out) {
		if user, file, _ := strings.Cut(strings.TrimSpace(line), " "); user != "libvirt-qemu" {
			bad = append(bad, file+" belongs to "+user)
		}
	}
	return bad
}

// content compares what is on the disk with what the guest said that it wrote.
func (s *subject) content(ctx context.Context, owner string) (bad []string) {
	image := s.Disks[0].Path()
	got, err := the.ReadGuestFiles(ctx, owner, image, "/heartbeat", "/fill")
	if err != nil {
		return []string{err.Error()}
	}
	// A copy of a disk in use has blocks of different moments: a beat may be in it
	// whose block was not yet there when its place was copied.
	ledger, err := the.ReadGuestFile(ctx, owner, image, lab.LedgerFile)
	if err != nil {
		return []string{err.Error()}
	}
	if hashOf(got["/fill"]) != s.fill {
		bad = append(bad, fmt.Sprintf("a file that the guest never touches has changed (%d bytes)", len(got["/fill"])))
	}
	beats, err := lab.ParseBeats(got["/heartbeat"])
	if err != nil {
		return append(bad, err.Error())
	}
	boots, err := lab.CheckBeats(beats)
	if err != nil {
		bad = append(bad, err.Error())
	}
	if boots > s.boots {
		bad = append(bad, fmt.Sprintf("the guest booted %d times, not %d%s", boots, s.boots, lastWords(ctx, s.Name)))
	}
	if _, err := lab.CheckLedger(ledger, beats); err != nil {
		bad = append(bad, err.Error())
	}
	s.mu.Lock()
	best := s.best
	s.mu.Unlock()
	if best.Counter > 0 {
		i := slices.IndexFunc(beats, func(b lab.Beat) bool { return b.Counter == best.Counter })
		switch {
		case i < 0 && len(beats) > 0:
			bad = append(bad, fmt.Sprintf("writes are lost: the guest had beat %d on its disk, the last one there is %d", best.Counter, beats[len(beats)-1].Counter))
		case i < 0:
			bad = append(bad, "writes are lost: there is no beat on the disk")
		case beats[i] != best:
			bad = append(bad, fmt.Sprintf("beat %d is %+v, the guest had written %+v", best.Counter, beats[i], best))
		}
	}
	return bad
}

// settleAll runs recover, and confirms what waits for it, until no job of the
// console is open; it tells what is open still after that time.
func (c *console) settleAll(within time.Duration) (recoveries int, err error) {
	deadline := time.Now().Add(within)
	for {
		open := []string{}
		for id, j := range c.jobs() {
			switch j.State {
			case "done", "undone", "refused":
			case "awaiting-confirm":
				if o := c.run("confirm", id, "--yes"); o.code != 0 {
					open = append(open, id+": confirm: "+o.errOut+o.out)
				}
			default:
				open = append(open, id+" of "+j.VM+" is "+j.State)
			}
		}
		if len(open) == 0 {
			// Also what is only on the hosts must be settled.
			if o := c.run("recover"); o.code == 0 {
				return recoveries, nil
			} else if time.Now().After(deadline) {
				return recoveries, fmt.Errorf("recover: exit code %d: %s%s", o.code, o.out, o.errOut)
			}
		} else {
			o := c.run("recover")
			recoveries++
			if time.Now().After(deadline) {
				return recoveries, fmt.Errorf("not settled within %s: %s; recover: exit code %d: %s%s", within, strings.Join(open, "; "), o.code, o.out, o.errOut)
			}
		}
		time.Sleep(time.Second)
	}
}

// quiet tells which processes of jobs are left.
func (c *console) quiet() (bad []string) {
	for id := range c.jobs() {
		deadline := time.Now().Add(10 * time.Second)
		for c.worker(id) != 0 {
			if time.Now().After(deadline) {
				bad = append(bad, "job "+id+" still has a process")
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	return bad
}

// record is one line of a journal, as far as tests look at it.
type record struct {
	Kind string `json:"kind"`
}

func (c *console) records(id string) (kinds []string) {
	b, _ := os.ReadFile(filepath.Join(c.state, "horcrux", "jobs", id, "journal.jsonl"))
	for line := range strings.Lines(string(b)) {
		var r record
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &r) == nil {
			kinds = append(kinds, r.Kind)
		}
	}
	return kinds
}

// wrote waits until a job has written a record, or has no process any more; it
// tells whether it has.
func (c *console) wrote(id, kind string, within time.Duration) bool {
	deadline, look := time.Now().Add(within), time.Now().Add(time.Second)
	for time.Now().Before(deadline) {
		over := false
		if time.Now().After(look) { // asked before the records are read
			over, look = c.worker(id) == 0, time.Now().Add(time.Second)
		}
		kinds := c.records(id)
		if slices.Contains(kinds, kind) {
			return true
		}
		if over || slices.Contains(kinds, "ended") {
			return false
		}
		time.Sleep(5 * time.Millisecond)
	}
	return false
}
