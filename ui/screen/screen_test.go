package screen

import (
	"slices"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/theme"
	"horcrux/ui/uitest"
)

func env() *Env {
	return &Env{Cluster: uitest.World(uitest.Epoch), Now: uitest.Epoch, Poll: 500 * time.Millisecond, Theme: theme.New(theme.Dark), W: 120, H: 36}
}

func TestFilter(t *testing.T) {
	vms := uitest.World(uitest.Epoch).VMs
	for _, c := range []struct {
		filter, want string
		fuzzy        bool
	}{
		{"web", "web01 web02 web10", false},
		{"WEB !web10", "web01 web02", false},
		{"node:node1 web", "web01 web02", false},
		{"state:paused", "win-ad", false},
		{"state:off", "template-deb12 sandbox", false},
		{"!state:running !state:off", "win-ad legacy-erp", false},
		{"10.20.1.5", "db01", false},
		{"w1", "web01 web10", true},
		{"!w1", "", false},
		{"zzz", "", true},
	} {
		order, fuzzy := parseFilter(c.filter).apply(vms)
		var got []string
		for _, i := range order {
			got = append(got, vms[i].Name)
		}
		if c.filter == "!w1" {
			if len(got) != len(vms) {
				t.Errorf("%q passes %d", c.filter, len(got))
			}
			continue
		}
		if fuzzy != c.fuzzy || strings.Join(got, " ") != c.want {
			t.Errorf("%q passes %v (fuzzy %v), want %s", c.filter, got, fuzzy, c.want)
		}
	}
}

func TestNatural(t *testing.T) {
	want := []string{"a", "db2", "web1", "web2", "web02b", "web10", "web010x", "web10y"}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, natural)
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// TestSortIsStable sorts by a key that many share: equal ones keep the order of
// their names, whatever the order was before.
func TestSortIsStable(t *testing.T) {
	vms := uitest.Many(uitest.Epoch, 500).VMs
	var n names
	n.refresh(vms)
	for _, k := range sortKeys {
		for _, reverse := range []bool{false, true} {
			a, _ := filter{}.apply(vms)
			n.sort(vms, a, k.id, reverse)
			b := slices.Clone(a)
			slices.Reverse(b)
			n.sort(vms, b, k.id, reverse)
			if !slices.Equal(a, b) {
				t.Fatalf("the order by %s depends on the order before", k.id)
			}
		}
	}
}

// TestClusterLayout checks that the panes fill the page and never more.
func TestClusterLayout(t *testing.T) {
	for h := range 80 {
		for _, w := range []int{60, 80, 159, 160, 200} {
			for _, nodes := range []int{0, 1, 4, 40} {
				for _, jobs := range []int{0, 1, 9} {
					b := clusterLayout(w, h, nodes, jobs)
					sum := b.nodes + 1 + b.vms
					if jobs > 0 {
						sum += b.jobs + 1
					}
					if b.vms > 0 && sum != h {
						t.Fatalf("%dx%d with %d nodes, %d jobs: %+v", w, h, nodes, jobs, b)
					}
					if h >= 13 && b.vms < 4 {
						t.Fatalf("%dx%d with %d nodes, %d jobs leaves %d lines for VMs", w, h, nodes, jobs, b.vms)
					}
					if b.side > 0 && b.main+3+b.side != w {
						t.Fatalf("%d cells: %+v", w, b)
					}
				}
			}
		}
	}
}

func TestAges(t *testing.T) {
	e := env()
	for _, c := range []struct {
		age  time.Duration
		want Freshness
	}{{0, Fresh}, {5 * time.Second, Fresh}, {6 * time.Second, Stale}, {29 * time.Second, Stale}, {30 * time.Second, Lost}, {time.Hour, Lost}} {
		if got := e.Fresh(e.Now.Add(-c.age)); got != c.want {
			t.Errorf("a fact of %v is %v, want %v", c.age, got, c.want)
		}
	}
	if e.FreshReading(e.Now.Add(-time.Second)) != Fresh || e.FreshReading(e.Now.Add(-2*time.Second)) != Stale {
		t.Error("a reading of a move is not stale after two seconds")
	}
	if e.Fresh(time.Time{}) != Lost {
		t.Error("a fact that never was is not lost")
	}
	e.Poll = 5 * time.Second
	if e.Fresh(e.Now.Add(-14*time.Second)) != Fresh || e.Fresh(e.Now.Add(-15*time.Second)) != Stale {
		t.Error("three polls are not what makes a fact stale")
	}
}

func TestOverall(t *testing.T) {
	phase := func(id model.PhaseID, st model.PhaseStatus) model.Phase { return model.Phase{ID: id, Status: st} }
	plan := &model.Plan{Memory: 4 << 30, CopyBytes: 12 << 30}
	for _, c := range []struct {
		name  string
		job   model.Job
		want  float64
		known bool
	}{
		{"nothing heard", model.Job{Plan: plan}, 0, false},
		{"half of the disks", model.Job{Plan: plan, Progress: &model.Progress{DiskTotal: 12 << 30, DiskProcessed: 6 << 30, DiskRemaining: 6 << 30}}, 6.0 / 16, true},
		{"disks done, memory not begun", model.Job{Plan: plan, Phases: []model.Phase{phase(model.PhaseDisks, model.PhaseOK)}}, 12.0 / 16, true},
		{"no disks, memory half", model.Job{Plan: &model.Plan{Memory: 4 << 30}, Progress: &model.Progress{MemTotal: 4 << 30, MemProcessed: 2 << 30, MemRemaining: 2 << 30}}, 0.5, true},
		{"a later pass", model.Job{Plan: &model.Plan{}, Progress: &model.Progress{MemTotal: 4 << 30, MemProcessed: 9 << 30, MemRemaining: 1 << 30}}, 0.75, true},
		{"switched", model.Job{Switched: true}, 1, true},
	} {
		got, known := overall(c.job)
		if known != c.known || got < c.want-0.001 || got > c.want+0.001 {
			t.Errorf("%s: %v (%v), want %v (%v)", c.name, got, known, c.want, c.known)
		}
	}
}

// TestWhere checks what the page says of where the guest runs: the line that
// must never be wrong.
func TestWhere(t *testing.T) {
	gate := []model.Phase{{ID: model.PhaseGate, Status: model.PhaseActive}}
	for _, c := range []struct {
		name    string
		job     model.Job
		owner   model.NodeName
		stopped bool
	}{
		{"copying", model.Job{From: "a", To: "b", State: model.JobRunning}, "a", false},
		{"gate", model.Job{From: "a", To: "b", State: model.JobRunning, Phases: gate}, "a", true},
		{"switched", model.Job{From: "a", To: "b", State: model.JobRunning, Phases: gate, Switched: true}, "b", false},
		{"cut off", model.Job{From: "a", To: "b", State: model.JobInterrupted, Phases: gate, Interrupted: &model.Result{Owner: "a"}}, "a", false},
		{"cut off in the switch", model.Job{From: "a", To: "b", State: model.JobInterrupted, Interrupted: &model.Result{}}, "", false},
		{"undone", model.Job{From: "a", To: "b", State: model.JobUndone, Result: &model.Result{Owner: "a"}}, "a", false},
		{"sent back", model.Job{From: "a", To: "b", State: model.JobDone, Switched: true, Result: &model.Result{Owner: "a"}}, "a", false},
	} {
		owner, stopped := where(c.job)
		if owner != c.owner || stopped != c.stopped {
			t.Errorf("%s: %s, stopped %v", c.name, owner, stopped)
		}
	}
}

// TestOutcomeWords: what was taken back before the guest ran elsewhere is not
// what was sent back because somebody wished it.
func TestOutcomeWords(t *testing.T) {
	for _, c := range []struct {
		job  model.Job
		want string
	}{
		{model.Job{State: model.JobUndone, From: "a", Result: &model.Result{Outcome: model.OutcomeUndone, Owner: "a"}}, "undone, a has the VM"},
		{model.Job{State: model.JobUndone, From: "a", Switched: true, Result: &model.Result{Outcome: model.OutcomeUndone, Owner: "a"}}, "rolled back, a has the VM"},
		{model.Job{State: model.JobAwaiting, From: "a", Switched: true, Result: &model.Result{Outcome: model.OutcomeDone, Owner: "b"}}, "waits for your word"},
	} {
		if got, _ := outcomeWords(&Env{Theme: plainTheme}, c.job); !strings.Contains(got, c.want) {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// TestLooksDiffer makes sure that no two states look alike without colour.
func TestLooksDiffer(t *testing.T) {
	seen := map[string]string{}
	add := func(kind, state string, l look) {
		if old := seen[kind+l.String()]; old != "" {
			t.Errorf("%s and %s both look %q", old, state, l)
		}
		seen[kind+l.String()] = state
	}
	for _, s := range []model.NodeState{model.NodeConnecting, model.NodeUp, model.NodeBusy, model.NodeDaemonDown, model.NodeUnreachable, model.NodeRefused} {
		add("node", string(s), nodeLook(plainTheme, s))
	}
	for _, s := range []model.DomainState{
		model.StateRunning, model.StatePaused, model.StateShutdown, model.StateShutoff, model.StateCrashed, model.StateSuspended,
		model.StateBlocked, model.StateNone, model.StateMissing, model.StateUnreachable,
	} {
		add("vm", string(s), domainLook(plainTheme, s))
	}
	for _, s := range []model.JobState{
		model.JobStarting, model.JobRunning, model.JobUndoing, model.JobAwaiting, model.JobDone, model.JobUndone,
		model.JobRefused, model.JobPerson, model.JobInterrupted,
	} {
		add("job", string(s), jobLook(plainTheme, s))
	}
	for _, v := range []model.Verdict{model.Pass, model.Skip, model.Warn, model.Fail} {
		add("verdict", string(v), verdictLook(plainTheme, v))
	}
}

// TestKeys holds the bindings of every page to the rules: no key twice, none of
// those that a torn escape sequence may produce, every one explained.
func TestKeys(t *testing.T) {
	e := env()
	two := []model.VM{*e.Cluster.VMs[0], *e.Cluster.VMs[1]}
	pages := []Screen{
		NewCluster(e), NewVM(e, uitest.UUID(1), "node1"), NewNode(e, "node1"), NewJobs(e), NewLog(e), NewMatrix(e, two), NewDoctor(e),
		NewMigrate(e, two[:1], ""), NewJob(e, "j", model.Job{}),
	}
	for _, p := range pages {
		seen := map[string]string{}
		for _, a := range p.Scope() {
			if a.ID == "" || a.Title == "" || a.Help == "" || a.Group == "" {
				t.Errorf("%s: %+v is not explained", p.Title(), a)
			}
			for _, k := range a.Keys {
				if seen[k] != "" {
					t.Errorf("%s: %s is both %s and %s", p.Title(), k, seen[k], a.ID)
				}
				seen[k] = a.ID
				if strings.Contains("[ABCDHFO~", k) || strings.HasPrefix(k, "alt+") || strings.Contains("?:JLTq", k) {
					t.Errorf("%s: %s has the key %s, which may not be taken", p.Title(), a.ID, k)
				}
			}
		}
		if seen["esc"] != "esc" {
			t.Errorf("%s: esc is %q", p.Title(), seen["esc"])
		}
	}
}

// TestDisabledHasAReason asks for moves that cannot be.
func TestCannotMove(t *testing.T) {
	e := env()
	byName := func(n string) []model.VM {
		for _, v := range e.Cluster.VMs {
			if v.Name == n {
				return []model.VM{*v}
			}
		}
		return nil
	}
	e.Cluster.VMs[0].Job = "x"
	e.Cluster.VMs[1].Tombstone = true
	for vm, want := range map[string]string{"web01": "has a move already", "web02": "left behind", "old-dns": "needs node4: ssh", "nobody": "no VM here", "db01": ""} {
		got := cannotMove(e, byName(vm))
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q", vm, got)
		}
	}
}

func TestTimeToGo(t *testing.T) {
	j := model.Job{State: model.JobRunning, Progress: &model.Progress{ETA: 65 * time.Second}}
	if got := timeToGo(j); got != "about 1m 05s to go" {
		t.Error(got)
	}
	j.Progress.Diverging = "too fast"
	if got := timeToGo(j); got != "will not converge: too fast" {
		t.Error(got)
	}
	if got := timeToGo(model.Job{State: model.JobRunning, Progress: &model.Progress{}}); got != "" {
		t.Errorf("a time to go out of nothing: %s", got)
	}
}

func TestQueuedSaysWhyAndWhere(t *testing.T) {
	j := model.Job{ID: "abc234", VMName: "web01", From: "node1", To: "node2", State: model.JobQueued, Place: 2, Waits: "2 moves out of node1 already (parallel_per_node = 2)"}
	var words []string
	for _, c := range jobRow(env(), j).Cells {
		words = append(words, c.Text)
	}
	if s := strings.Join(words, "|"); !strings.Contains(s, "queued") || !strings.Contains(s, "place 2: 2 moves out of node1 already") {
		t.Error(s)
	}
}

// What other consoles move is listed between the moves of this one.
func TestMovesOfOtherConsoles(t *testing.T) {
	e := env()
	e.Jobs = []model.Job{{ID: "own234", VMName: "db01", From: "node1", To: "node2", State: model.JobDone, Started: e.Now.Add(-time.Hour)}}
	e.Elsewhere = []model.Job{
		{ID: "xyz234", VMName: "web01", From: "node1", To: "node2", State: model.JobQueued, Started: e.Now.Add(-time.Minute), By: "ada@jump2", Elsewhere: true},
	}
	if n := len(e.Running()); n != 1 {
		t.Errorf("%d moves under way", n)
	}
	page := NewJobs(e).View(120, 20)
	for _, want := range []string{"2 moves", "db01", "web01", "queued", "of ada@jump2, by its mark"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
}

// The nodes answer one after another: until a person has done something, the
// cursor is on the first row, and then on the VM that was chosen.
func TestTheCursorWaitsForAPerson(t *testing.T) {
	at := func(names ...string) *Env {
		e := &Env{W: 120, H: 36}
		for _, n := range names {
			e.Cluster.VMs = append(e.Cluster.VMs, &model.VM{UUID: model.UUID(n), Name: n, Node: "node1"})
		}
		return e
	}
	c := NewCluster(at("m"))
	c.Update(at("a", "m"))
	if got := c.current().Name; got != "a" {
		t.Errorf("at the start the cursor is on %s", got)
	}
	c.Update(Do{ID: "down"})
	c.Update(at("0", "a", "m"))
	if got := c.current().Name; got != "m" {
		t.Errorf("a chosen row is lost: the cursor is on %s", got)
	}
}
