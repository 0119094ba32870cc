package ui

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"horcrux/engine"
	"horcrux/engine/event"
	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/uitest"
)

// TestWatchMerges sends much ordinary news: few messages come of it, and the
// last has the newest values.
func TestWatchMerges(t *testing.T) {
	ch := make(chan engine.Update, 1)
	w := &watch{ch: ch, jobs: map[model.JobID]string{}, last: time.Now()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 500 {
			ch <- engine.Update{Cluster: &model.Cluster{At: time.Unix(int64(i), 0)}}
		}
		close(ch)
	})
	n, last := 0, time.Time{}
	for {
		m, ok := w.next().(updateMsg)
		if !ok {
			break
		}
		n, last = n+1, m.Cluster.At
	}
	wg.Wait()
	if n > 4 || !last.Equal(time.Unix(499, 0)) {
		t.Fatalf("%d messages, the last of %v", n, last)
	}
}

// TestNotableAtOnce sends a result right after a message was shown.
func TestNotableAtOnce(t *testing.T) {
	ch := make(chan event.Event, 1)
	f := &follow{id: "j", ch: ch, last: time.Now().Add(time.Hour)} // the interval is never over
	ch <- event.Event{Type: event.TypeResult, Result: &model.Result{}}
	got := make(chan screen.JobEvents, 1)
	go func() {
		m, _ := f.next().(followNews)
		events, _ := m.msg.(screen.JobEvents)
		got <- events
	}()
	select {
	case m := <-got:
		if len(m.Events) != 1 {
			t.Fatalf("%d events", len(m.Events))
		}
	case <-time.After(5 * time.Second):
		t.Fatal("a result had to wait")
	}
	close(ch)
	if m, _ := f.next().(followNews); m.msg != (screen.FollowEnded{ID: "j"}) {
		t.Fatal("the end of the stream was not told")
	}
}

// TestHostile gives every string of the engine the worst that a host could
// send, and draws all pages.
func TestHostile(t *testing.T) {
	for i, bad := range hostile {
		for k, sc := range hostileTours {
			if (i+k)%3 != 0 { // each string on a third of the tours, each tour with a third of them
				continue
			}
			d := hostileWorld(t, bad)
			for _, k := range splitKeys(sc) {
				d.press(k)
			}
			for _, s := range [][2]int{{60, 15}, {200, 60}} {
				fits(t, d.size(s[0], s[1]), s[0], s[1])
			}
		}
	}
}

// hostileTours are keys from the first page that lead to every other.
var hostileTours = []string{
	"", "enter", "enter 2", "enter 3 R", "enter 3 X", "enter 4 / a enter n", "enter 5 enter", "enter e", "m", "m M", "m o", "x", "x l f", "J enter", "J enter ?", "J j enter", "J", "?",
	": m i", "shift+tab enter", "shift+tab enter 2", "shift+tab enter 3", "shift+tab enter 4", "shift+tab j enter 2", "shift+tab enter M", "/ a", "a", "a f", "a d", "a n", "w", "N", "s",
	"T", "T j", "L", "L enter", "shift+tab",
}

// FuzzHostile begins with few of the strings: TestHostile has them all, and the
// race detector makes each cost seconds.
func FuzzHostile(f *testing.F) {
	for _, s := range hostile[3:7] {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d := hostileWorld(t, s)
		fits(t, d.size(80, 24), 80, 24)
		fits(t, d.press("enter"), 80, 24)
		fits(t, d.press("esc", "J", "enter").size(120, 40), 120, 40)
		fits(t, d.press("esc", "esc", "m"), 120, 40)
		for _, tour := range hostileTours {
			d := hostileWorld(t, s)
			for _, k := range splitKeys(tour) {
				d.press(k)
			}
			fits(t, d.size(80, 24), 80, 24)
			fits(t, d.size(200, 60), 200, 60)
		}
	})
}

var hostile = []string{
	strings.Repeat("wide ", 2000), strings.Repeat("漢", 5000), strings.Repeat("a\x1b[31m", 2000),
	"a\x1b[2J\x1b[H\x1b]0;owned\x07b", "\x9b31mred\x1b[", "line\nbreak\r\rback\x08\x08", "\u202eevil\u2066", "e" + string(combining(200)),
	"日本語のとても長い名前のバーチャルマシン", "👩‍👩‍👧‍👦🇩🇪🏽👍🏽", "\x00\x01\x7f\u0085\u2028", "\xff\xfe\xfd", "a\u200b\u200d\ufeff\u00ad", "\U000e0041\U000e007f", "ᄀ가각", "\x1bP+q544e\x1b\\ ", "",
	"\x1b]8;;http://evil\x1b\\click\x1b]8;;\x1b\\", "tab\ttab", "\u0600\u06dd\u0890", "\u1160\u1161", "क्षि", "\ufffd\ufffe",
}

func combining(n int) []rune {
	r := make([]rune, n)
	for i := range r {
		r[i] = 0x0301
	}
	return r
}

func splitKeys(s string) []string {
	var out []string
	word := ""
	for _, r := range s + " " {
		if r == ' ' {
			if word != "" {
				out = append(out, word)
			}
			word = ""
			continue
		}
		word += string(r)
	}
	return out
}

func hostileWorld(t testing.TB, s string) *driver {
	c := uitest.World(uitest.Epoch)
	c.Nodes = c.Nodes[:2]
	for i := range c.Nodes {
		n := &c.Nodes[i]
		n.Reason, n.Hostname, n.CPUModel, n.Libvirt, n.QEMU, n.Address = s, s, s, s, s, s
		n.Networks = []string{s}
		n.Pools = []model.Pool{{Name: s, Type: s, Path: s, Active: true, Capacity: 5, Available: 9}}
	}
	c.Nodes[1].Name, c.Nodes[1].State = model.NodeName("n"+s), model.NodeBusy
	c.VMs = c.VMs[:1]
	v := c.VMs[0]
	v.Name, v.Reason, v.Addresses, v.State = s, s, []string{s, s}, model.DomainState(s)
	v.Disks = []model.Disk{{Target: s, Source: s, Format: s, Cache: s, Capacity: 1}}
	v.NICs = []model.NIC{{Target: s, MAC: s, Model: s, Type: s, Source: s, Addresses: []string{s}}}
	j := model.Job{
		ID: model.JobID("j" + s), VM: v.UUID, VMName: s, From: "node1", To: model.NodeName(s), Mode: model.Mode(s), By: s, Started: uitest.Epoch, State: model.JobRunning,
		Progress: &model.Progress{At: uitest.Epoch, MemTotal: 1, MemProcessed: 99, Diverging: s},
		Checks:   []model.CheckResult{{Check: model.CheckCPU, Title: s, Evidence: s, Stage: model.StageBaseline, Node: model.NodeName(s), Verdict: model.Warn}},
		Phases:   []model.Phase{{ID: model.PhaseMemory, Status: model.PhaseActive, Detail: s, At: uitest.Epoch}},
		Log:      []model.JobLog{{At: uitest.Epoch, LogLine: model.LogLine{Level: s, Node: model.NodeName(s), Text: s}}},
		Plan:     &model.Plan{Steps: []model.PlanStep{{Phase: "disks", Text: s}}, Disks: []model.DiskPlan{{Disk: v.Disks[0], Decision: model.DiskDecision(s), Reason: s, Path: s}}},
	}
	ended := j
	ended.ID, ended.State, ended.Result = "k", model.JobPerson, &model.Result{Outcome: model.OutcomePerson, Reason: s, Next: s, Owner: model.NodeName(s)}
	v.Title, v.Tags = s, []string{s, s}
	c.Nodes[1].Maintenance = &model.Maintenance{Since: uitest.Epoch, By: s, Why: s}
	d := drive(t, c, []model.Job{j, ended})
	snap := model.Snapshot{Name: s, Description: s, Parent: s, State: model.DomainState(s)}
	d.fake.VM = model.VMDetails{
		XML: "<a b='" + s + "'>" + s + "</a>\n<!--" + s + "\n" + s, Chains: map[string][]model.ChainFile{s: {{Path: s, Format: s}, {Path: s, Size: 1, Taken: 9}}},
		Snapshots: []model.Snapshot{snap, snap}, Errs: []string{s},
	}
	d.fake.Node = model.NodeDetails{
		Volumes: []model.Volume{{Pool: s, Name: s, Path: s, Format: s}}, Networks: []model.Network{{Name: s, Bridge: s, Forward: s, Address: s}},
		Capabilities: []model.Capability{{Name: s, Value: s}}, Errs: []string{s},
	}
	d.fake.Checks = []model.CheckResult{{Check: model.CheckID(s), Title: s, Evidence: s, Verdict: model.Verdict(s)}}
	d.fake.Report = []engine.NodeReport{{Node: "node1", Findings: []model.Finding{{Title: s, Verdict: model.Fail, Detail: s, Remedy: s}}}}
	d.fake.Note(model.LogEntry{Time: uitest.Epoch, Kind: model.LogKind(s), Node: model.NodeName(s), VM: s, Text: s, By: s})
	d.fake.PlanFunc = func(r model.Request) (model.Plan, error) {
		if r.To != "node1" && len(s)%2 == 0 {
			return model.Plan{}, fmt.Errorf("%s", s)
		}
		return model.Plan{Request: r, VMName: s, ModeReason: s, Findings: []model.Finding{{Title: s, Verdict: model.Warn, Detail: s, Remedy: s}}, Disks: j.Plan.Disks, Steps: j.Plan.Steps}, nil
	}
	return d
}

// BenchmarkUpdateView10000 is one update of the cluster and one picture of it.
func BenchmarkUpdateView10000(b *testing.B) {
	for _, order := range []string{"name", "cpu"} {
		b.Run(order, func(b *testing.B) {
			c := uitest.Many(uitest.Epoch, 10000)
			d := drive(b, c, nil)
			d.size(200, 60)
			if order == "cpu" {
				d.press("s", "c")
			}
			jobs := []model.Job{}
			var later []model.Cluster // every VM has another load each time
			for i := range 8 {
				next := c
				next.VMs = append([]*model.VM(nil), c.VMs...)
				for k := range next.VMs {
					v := *next.VMs[k]
					v.CPUPercent += float64((k*17 + i*29) % 5)
					next.VMs[k] = &v
				}
				later = append(later, next)
			}
			b.ResetTimer()
			for i := range b.N {
				next := later[i%len(later)]
				next.At = next.At.Add(time.Duration(i))
				d.app.Update(updateMsg{engine.Update{Cluster: &next, Jobs: jobs}})
				_ = d.app.View()
			}
		})
	}
}

// BenchmarkKey10000 is one key and the picture after it.
func BenchmarkKey10000(b *testing.B) {
	d := drive(b, uitest.Many(uitest.Epoch, 10000), nil)
	d.size(200, 60)
	b.ResetTimer()
	for i := range b.N {
		k := "j"
		if i%200 >= 100 {
			k = "k"
		}
		d.app.Update(keyMsg(k))
		_ = d.app.View()
	}
}

func TestUsable(t *testing.T) {
	err := Run(context.Background(), uitest.NewFake(model.Cluster{}, nil), Options{Environ: []string{"TERM=dumb"}})
	if err == nil || err.Error() == "" {
		t.Fatal("a dumb terminal was taken")
	}
	if err := usable(map[string]string{"TERM": "xterm"}, nil, nil); err == nil {
		t.Fatal("no terminal was taken")
	}
}
