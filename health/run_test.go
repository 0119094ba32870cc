package health

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

func order(rs []model.CheckResult) []model.CheckID {
	var out []model.CheckID
	for _, r := range rs {
		out = append(out, r.Check)
	}
	return out
}

func TestHealthyVM(t *testing.T) {
	base := baseline(t)
	if d := cmp.Diff(model.Checks, order(base)); d != "" {
		t.Error(d)
	}
	for _, r := range base {
		want := model.Pass
		if r.Check == model.CheckApp {
			want = model.Skip
		}
		if r.Verdict != want || r.Evidence == "" || r.Title == "" || r.Node != "node2" || r.Stage != model.StageBaseline || r.At.IsZero() {
			t.Errorf("got %+v", r)
		}
	}
	evidence := map[model.CheckID]string{
		model.CheckRunning: "running (booted)",
		model.CheckMonitor: "QEMU says running in 0 ms; QEMU 7.2.22",
		model.CheckMemory:  "256 MiB of RAM; balloon 256 MiB of 256 MiB; QEMU holds 200 MiB of the host's",
		model.CheckCPU:     "2 vCPUs; 100 ms of CPU time in 0.2 s",
		model.CheckDisk:    "vda 1.0 GiB; sda empty; 10 reads and 5 writes in 0.2 s",
		model.CheckNetwork: "52:54:00:aa:00:01 on bridge br0, link up; 3 packets in and 2 out in 0.2 s; the guest has 192.0.2.9, 2001:db8::9",
		model.CheckAgent:   "answers in 0 ms; host name web.example; agent 7.2.22; boot aaaaaaaa",
		model.CheckApp:     "no application check is configured for this VM",
	}
	for _, r := range base {
		if r.Evidence != evidence[r.Check] && r.Check != model.CheckMonitor && r.Check != model.CheckAgent {
			t.Errorf("%s: %q, want %q", r.Check, r.Evidence, evidence[r.Check])
		}
	}
	if Verdict(base) != model.Pass {
		t.Error("the verdict is", Verdict(base))
	}

	gate := paused()
	o := Options{Baseline: base, Clock: gate.clock, VMName: "web"}
	for _, r := range Run(t.Context(), gate, model.StageGate, o, nil) {
		if r.Verdict != model.Pass {
			t.Errorf("gate: %+v", r)
		}
	}
	after := healthy()
	o.Clock = after.clock
	rs := Run(t.Context(), after, model.StageAfter, o, nil)
	for _, r := range rs {
		if r.Verdict != model.Pass && r.Check != model.CheckApp {
			t.Errorf("after: %+v", r)
		}
	}
	if !strings.Contains(rs[6].Evidence, "same boot aaaaaaaa") {
		t.Error(rs[6].Evidence)
	}
}

func TestGateIsShortAndFrugal(t *testing.T) {
	v := paused()
	before := v.clock.Now()
	rs := Run(t.Context(), v, model.StageGate, Options{Baseline: baseline(t), Clock: v.clock}, nil)
	want := []model.CheckID{model.CheckRunning, model.CheckMonitor, model.CheckMemory, model.CheckCPU, model.CheckDisk, model.CheckNetwork}
	if d := cmp.Diff(want, order(rs)); d != "" {
		t.Error(d)
	}
	if !v.clock.Now().Equal(before) {
		t.Errorf("the gate slept for %v", v.clock.Now().Sub(before))
	}
	for _, what := range []string{"status", "xml", "stats", "query-status", "query-memory-size-summary", "query-cpus-fast", "query-block"} {
		if n := v.count(what); n != 1 {
			t.Errorf("%s was asked %d times", what, n)
		}
	}
	if n := v.count("query-version") + v.count("guest-ping") + v.count("addresses"); n != 0 {
		t.Error("the gate asked for what it does not need")
	}
}

// A target that never answers: every check ends by its deadline, and the run
// with it.
func TestHangingTarget(t *testing.T) {
	for _, stage := range []model.CheckStage{model.StageBaseline, model.StageGate, model.StageAfter, model.StageNow} {
		synctest.Test(t, func(t *testing.T) {
			v := healthy()
			v.hang, v.xmlErr, v.statsErr, v.agentOff = true, errFake, errFake, -1
			began := time.Now()
			rs := Run(t.Context(), v, stage, Options{}, nil)
			limit := 20 * time.Second
			if stage == model.StageGate {
				limit = 2 * time.Second
			}
			if took := time.Since(began); took > limit {
				t.Errorf("%s took %v", stage, took)
			}
			for _, r := range rs {
				if r.Verdict != model.Fail && r.Check != model.CheckApp && r.Check != model.CheckAgent {
					t.Errorf("%s: %s is %s: %s", stage, r.Check, r.Verdict, r.Evidence)
				}
			}
		})
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := healthy()
		v.hang = true
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		began := time.Now()
		rs := Run(ctx, v, model.StageAfter, Options{}, nil)
		if took := time.Since(began); took > time.Second {
			t.Errorf("took %v", took)
		}
		for _, r := range rs {
			if r.Verdict == model.Pass {
				t.Errorf("%s passed", r.Check)
			}
		}
	})
}

// Real time: the baseline of a healthy VM takes a window and little more.
func TestBaselineIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := healthy()
		began := time.Now()
		Run(t.Context(), v, model.StageBaseline, Options{}, nil)
		if took := time.Since(began); took > 1200*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}

func TestReportsInOrderAsTheyCome(t *testing.T) {
	v := healthy()
	var got []model.CheckID
	rs := Run(t.Context(), v, model.StageNow, Options{Clock: v.clock}, func(r model.CheckResult) { got = append(got, r.Check) })
	if d := cmp.Diff(order(rs), got); d != "" {
		t.Error(d)
	}
}

func TestBrokenCheckDoesNotStopTheOthers(t *testing.T) {
	saved := checks
	defer func() { checks = saved }()
	checks = append([]check{{model.CheckRunning, true, within(time.Second), func(context.Context, *exam) finding { panic("oops") }}}, saved[1:]...)
	v := healthy()
	rs := v.run(t, model.StageNow, Options{})
	if r := rs[model.CheckRunning]; r.Verdict != model.Fail || !strings.Contains(r.Evidence, "the check itself broke: oops") {
		t.Errorf("got %+v", r)
	}
	if r := rs[model.CheckMemory]; r.Verdict != model.Pass {
		t.Errorf("got %+v", r)
	}
}

// panicky breaks in every reading.
type panicky struct{ *fakeVM }

func (panicky) XML(context.Context) (string, error) { panic("broken driver") }

func TestBrokenTarget(t *testing.T) {
	v := panicky{healthy()}
	for _, r := range Run(t.Context(), v, model.StageNow, Options{Clock: v.clock}, nil) {
		if r.Check == model.CheckDisk && (r.Verdict != model.Fail || !strings.Contains(r.Evidence, "broken driver")) {
			t.Errorf("got %+v", r)
		}
	}
}

func TestNoVMSaysOneThing(t *testing.T) {
	for _, st := range []model.DomainState{model.StateShutoff, model.StateMissing} {
		v := healthy()
		v.state = model.DomainStatus{State: st, Reason: "crashed"}
		rs := v.run(t, model.StageNow, Options{})
		for _, id := range model.Checks {
			r := rs[id]
			if id == model.CheckRunning {
				if r.Verdict != model.Fail {
					t.Errorf("got %+v", r)
				}
			} else if r.Verdict != model.Warn || !strings.Contains(r.Evidence, "not checked: the VM is "+string(st)) {
				t.Errorf("got %+v", r)
			}
		}
		if v.count("query-block") > 0 {
			t.Error("QEMU was asked although there is none")
		}
	}
}

// Silence about the state is not taken for a dead VM: the others look for
// themselves.
func TestUnknownStateDoesNotStopTheOthers(t *testing.T) {
	v := healthy()
	v.stateErr = errors.New("timeout")
	rs := v.run(t, model.StageNow, Options{})
	if rs[model.CheckRunning].Verdict != model.Fail || rs[model.CheckMemory].Verdict != model.Pass {
		t.Errorf("got %+v", rs)
	}
}

func TestConcurrentRunsShareNothing(t *testing.T) {
	var n atomic.Int32
	done := make(chan struct{})
	for range 4 {
		go func() {
			defer func() { done <- struct{}{} }()
			v := healthy()
			if Verdict(Run(t.Context(), v, model.StageNow, Options{Clock: v.clock}, nil)) == model.Pass {
				n.Add(1)
			}
		}()
	}
	for range 4 {
		<-done
	}
	if n.Load() != 4 {
		t.Errorf("%d of 4 passed", n.Load())
	}
}
