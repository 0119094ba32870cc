package health

import (
	"context"
	"fmt"
	"time"

	"horcrux/engine/model"
)

// check is one of the eight.
type check struct {
	id model.CheckID
	// gate tells that it can be made on a paused target.
	gate bool
	// limit is its deadline.
	limit func(*exam) time.Duration
	run   func(context.Context, *exam) finding
}

// checks are all of them, in the order of the screen.
var checks = []check{
	{model.CheckRunning, true, within(4 * time.Second), checkRunning},
	{model.CheckMonitor, true, within(4 * time.Second), checkMonitor},
	{model.CheckMemory, true, within(4 * time.Second), checkMemory},
	{model.CheckCPU, true, within(windowLimit), checkCPU},
	{model.CheckDisk, true, within(windowLimit), checkDisk},
	{model.CheckNetwork, true, within(windowLimit), checkNetwork},
	{model.CheckAgent, false, agentLimit, checkAgent},
	{model.CheckApp, false, appLimit, checkApplications},
}

const (
	// gateLimit: the guest stands still while the gate is open. It is ten
	// times what a healthy host needs.
	gateLimit = 1500 * time.Millisecond
	// windowLimit leaves room for the longest window and its two readings.
	windowLimit = maxWindows*window + 3*time.Second
	// grace is how long a check may take to notice that its time is over.
	grace = 100 * time.Millisecond
)

func within(d time.Duration) func(*exam) time.Duration {
	return func(e *exam) time.Duration {
		if e.stage == model.StageGate {
			return min(d, gateLimit)
		}
		return d
	}
}

// finding is what a check has to say; Run adds the rest.
type finding struct {
	verdict  model.Verdict
	evidence string
	facts    map[string]string
}

func passed(evidence string, facts map[string]string) finding {
	return finding{model.Pass, evidence, facts}
}

func failed(format string, args ...any) finding {
	return finding{verdict: model.Fail, evidence: fmt.Sprintf(format, args...)}
}

func warned(format string, args ...any) finding {
	return finding{verdict: model.Warn, evidence: fmt.Sprintf(format, args...)}
}

func skipped(format string, args ...any) finding {
	return finding{verdict: model.Skip, evidence: fmt.Sprintf(format, args...)}
}

// Run makes the checks of one stage, all at once, and reports each in the order
// of model.Checks as soon as it and those before it are done. It returns when
// all are, at the latest when the longest of their deadlines is over, even if
// the target never answers. At the gate only those that need no running guest
// are made.
func Run(ctx context.Context, t Target, stage model.CheckStage, o Options, report func(model.CheckResult)) []model.CheckResult {
	e := newExam(ctx, t, stage, o)
	defer e.close()
	var pending []chan model.CheckResult
	for _, c := range checks {
		if stage == model.StageGate && !c.gate {
			continue
		}
		done := make(chan model.CheckResult, 1)
		pending = append(pending, done)
		go func() { done <- e.make(c) }()
	}
	results := make([]model.CheckResult, 0, len(pending))
	for _, done := range pending {
		r := <-done
		results = append(results, r)
		if report != nil {
			report(r)
		}
	}
	return results
}

// make carries out one check within its time, whatever it does.
func (e *exam) make(c check) model.CheckResult {
	limit := c.limit(e)
	ctx, cancel := context.WithTimeout(e.ctx, limit)
	defer cancel()
	began := e.o.Clock.Now()
	done := make(chan finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- failed("the check itself broke: %v", p)
			}
		}()
		done <- e.settle(ctx, c)
	}()
	var f finding
	select {
	case f = <-done:
	case <-ctx.Done():
		select {
		case f = <-done:
		case <-time.After(grace):
			f = failed("no answer within %s", limit)
			if e.ctx.Err() != nil {
				f = failed("stopped: %v", e.ctx.Err())
			}
		}
	}
	now := e.o.Clock.Now()
	return model.CheckResult{
		Check: c.id, Title: model.CheckTitles[c.id], Stage: e.stage, Node: e.t.Node(),
		Verdict: f.verdict, Evidence: f.evidence, Facts: f.facts, Duration: now.Sub(began), At: now,
	}
}

// settle asks first whether there is a QEMU process at all: without one the
// other checks have one thing to say and not seven.
func (e *exam) settle(ctx context.Context, c check) finding {
	if c.id == model.CheckRunning {
		return c.run(ctx, e)
	}
	if st, err := e.status(ctx); err == nil && !st.Live() && st.State != model.StateUnreachable {
		return warned("not checked: the VM is %s on %s", st, e.t.Node())
	}
	return c.run(ctx, e)
}

// Verdict is the worst verdict of all results.
func Verdict(results []model.CheckResult) model.Verdict {
	v := model.Pass
	for _, r := range results {
		v = v.Worse(r.Verdict)
	}
	return v
}
