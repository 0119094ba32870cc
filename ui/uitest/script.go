package uitest

import (
	"fmt"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/model"
)

// Script is the course of a move: events with their times.
type Script struct {
	now    time.Time
	Events []event.Event
}

// NewScript begins a script at a moment.
func NewScript(at time.Time) *Script { return &Script{now: at} }

// Wait lets time pass.
func (s *Script) Wait(d time.Duration) *Script {
	s.now = s.now.Add(d)
	return s
}

func (s *Script) add(e event.Event) *Script {
	e.Time = s.now
	s.Events = append(s.Events, e)
	return s
}

// Phase says that a phase has a new status.
func (s *Script) Phase(id model.PhaseID, st model.PhaseStatus, detail string) *Script {
	return s.add(event.Event{Type: event.TypePhase, Phase: &model.Phase{ID: id, Status: st, Detail: detail, At: s.now}})
}

// Log says a line.
func (s *Script) Log(level, node, line string) *Script {
	return s.add(event.Event{Type: event.TypeLog, Log: &model.LogLine{Level: level, Node: model.NodeName(node), Text: line}})
}

// Progress tells a reading.
func (s *Script) Progress(p model.Progress) *Script {
	p.At = s.now
	return s.add(event.Event{Type: event.TypeProgress, Progress: &p})
}

// Result ends the job, or the stretch of it.
func (s *Script) Result(r model.Result) *Script {
	return s.add(event.Event{Type: event.TypeResult, Result: &r})
}

var evidence = map[model.CheckID]string{
	model.CheckRunning: "running (booted), 4 vCPUs",
	model.CheckMonitor: "answered query-status in 2 ms",
	model.CheckMemory:  "4.0 GiB, balloon at 4.0 GiB",
	model.CheckCPU:     "4 of 4 vCPUs ran, 37 % in 1 s",
	model.CheckDisk:    "vda, vdb: 214 requests in 1 s, no errors",
	model.CheckNetwork: "vnet0 on br-lan: 8.4 MiB in, no drops",
	model.CheckAgent:   "answered guest-ping in 6 ms",
	model.CheckApp:     "GET http://10.20.0.11/health: 200 in 12 ms, from node1",
}

// Checks makes the checks of a stage, one after the other.
func (s *Script) Checks(stage model.CheckStage, node string, each time.Duration, fail model.CheckID) *Script {
	for _, id := range model.Checks {
		if stage == model.StageGate && (id == model.CheckAgent || id == model.CheckApp) {
			continue
		}
		s.Wait(each)
		c := model.CheckResult{
			Check: id, Title: model.CheckTitles[id], Stage: stage, Node: model.NodeName(node),
			Verdict: model.Pass, Evidence: evidence[id], Duration: each, At: s.now,
		}
		if stage == model.StageGate {
			c.Evidence = "as planned, on the paused target"
		}
		if id == fail {
			c.Verdict, c.Evidence = model.Fail, "GET http://10.20.0.11/health: connection refused, from node2, 3 times in 5 s"
		}
		s.add(event.Event{Type: event.TypeCheck, Check: &c})
	}
	return s
}

// Step says how a step of a rollback stands.
func (s *Script) Step(id model.StepID, kind model.RollbackKind, st model.PhaseStatus, detail string) *Script {
	return s.add(event.Event{Type: event.TypeStep, Step: &model.StepResult{Step: id, Title: model.StepTitles[id], Kind: kind, Status: st, Detail: detail}})
}

// Copy is the part of a move up to a fraction of the disks and of the memory.
func (s *Script) Copy(from, to string, disk, mem float64) *Script {
	const diskAll, memAll, rate = 18 * gib, 4 * gib, 118 << 20
	s.Phase(model.PhasePreflight, model.PhaseActive, "").Log("info", from, "taking the baseline of the eight checks")
	s.Checks(model.StageBaseline, from, 150*time.Millisecond, "")
	s.Phase(model.PhasePreflight, model.PhaseOK, "").Phase(model.PhasePrepare, model.PhaseActive, "")
	s.Wait(300*time.Millisecond).Log("info", to, "made volume default/web01.qcow2, 40 GiB")
	s.Wait(500*time.Millisecond).Log("info", to, "waits for the guest on 10.77.0.12:49152")
	s.Phase(model.PhasePrepare, model.PhaseOK, "").Phase(model.PhaseDisks, model.PhaseActive, "")
	s.Log("info", from, "copying vda while the guest runs")
	const steps = 40
	for i := 1; i <= int(disk*steps); i++ {
		s.Wait(time.Second)
		left := uint64(diskAll * (steps - i) / steps)
		s.Progress(model.Progress{
			Phase: model.PhaseDisks, DiskTotal: diskAll, DiskProcessed: diskAll - left, DiskRemaining: left,
			DiskRate: rate*3 + uint64(i%7)*(20<<20), ETA: time.Duration(left/(rate*3))*time.Second + 40*time.Second,
		})
	}
	if disk < 1 {
		return s
	}
	s.Phase(model.PhaseDisks, model.PhaseOK, "").Phase(model.PhaseMemory, model.PhaseActive, "").Log("info", from, "disks are in step, copying memory")
	for i := 1; i <= int(mem*steps); i++ {
		s.Wait(500 * time.Millisecond)
		left := uint64(memAll * (steps - i) / steps)
		s.Progress(model.Progress{
			Phase: model.PhaseMemory, DiskTotal: diskAll, DiskProcessed: diskAll, MemTotal: memAll, MemProcessed: memAll - left, MemRemaining: left,
			MemRate: rate + uint64(i*i%11)*(4<<20), DirtyRate: uint64(14+i*7%23) << 20, Iteration: uint64(1 + i/12),
			Downtime: 120 * time.Millisecond, ETA: max(time.Second, time.Duration(left/rate)*time.Second),
		})
	}
	return s
}

// Switch is the part from the full memory to the end of the checks.
func (s *Script) Switch(from, to string, fail model.CheckID) *Script {
	s.Phase(model.PhaseMemory, model.PhaseOK, "").Phase(model.PhaseGate, model.PhaseActive, "").Log("info", from, "paused; memory is complete on "+to)
	s.Checks(model.StageGate, to, 6*time.Millisecond, "")
	s.Phase(model.PhaseGate, model.PhaseOK, "").Phase(model.PhaseSwitch, model.PhaseActive, "")
	s.Wait(20*time.Millisecond).Phase(model.PhaseSwitch, model.PhaseOK, "").Log("info", to, "the guest runs here; it stood still for 84 ms")
	s.Phase(model.PhaseVerify, model.PhaseActive, "").Checks(model.StageAfter, to, 400*time.Millisecond, fail)
	if fail != "" {
		s.Log("error", to, "application: connection refused")
		s.Phase(model.PhaseVerify, model.PhaseFailed, "")
	} else {
		s.Phase(model.PhaseVerify, model.PhaseOK, "")
	}
	r := model.Result{
		Outcome: model.OutcomeDone, Owner: model.NodeName(to), Duration: 92 * time.Second, Downtime: 84 * time.Millisecond,
		Next: fmt.Sprintf("c confirms and lets go of what is left on %s, r sends it back", from), Proof: "vda: 1,024 of 1,024 sampled extents are equal",
	}
	if fail != "" {
		r.Outcome, r.Reason = model.OutcomeDegraded, "the application does not answer on "+to
	}
	return s.Phase(model.PhaseConfirm, model.PhaseActive, "").Result(r)
}

// Compare is the time after the checks in which the disks are read on both nodes.
func (s *Script) Compare(from, to string) *Script {
	s.Phase(model.PhaseMemory, model.PhaseOK, "").Phase(model.PhaseGate, model.PhaseActive, "")
	s.Checks(model.StageGate, to, 6*time.Millisecond, "")
	s.Phase(model.PhaseGate, model.PhaseOK, "").Phase(model.PhaseSwitch, model.PhaseActive, "").Wait(20 * time.Millisecond)
	s.Phase(model.PhaseSwitch, model.PhaseOK, "").Phase(model.PhaseVerify, model.PhaseActive, "").Checks(model.StageAfter, to, 400*time.Millisecond, "")
	return s.add(event.Event{Type: event.TypePhase, Phase: &model.Phase{
		ID: model.PhaseVerify, Status: model.PhaseActive, Detail: "comparing the disks: 3.0 GiB of 18 GiB", At: s.now, Comparing: true,
	}})
}

// Confirm is the end of a move that was confirmed.
func (s *Script) Confirm(from, to string) *Script {
	s.Log("info", from, "the definition and the disks that were left are let go").Wait(700 * time.Millisecond)
	return s.Phase(model.PhaseConfirm, model.PhaseOK, "").Result(model.Result{
		Outcome: model.OutcomeDone, Owner: model.NodeName(to), Confirmed: true, Duration: 95 * time.Second, Downtime: 84 * time.Millisecond,
	})
}

// Undo is what follows an abort: n of the six steps, and the result if all.
func (s *Script) Undo(from, reason string, n int) *Script {
	s.Log("warn", from, reason).Phase(model.PhaseUndo, model.PhaseActive, reason)
	details := []string{"deleted default/web01.qcow2, which this job made", "no definition was left", "tunnel closed, port 49152 free", "autostart as before", "nothing was changed", "running, it never stopped"}
	for i, id := range model.RollbackSteps {
		if i > n {
			break
		}
		s.Step(id, model.RollbackUndo, model.PhaseActive, "").Wait(600 * time.Millisecond)
		if i < n {
			s.Step(id, model.RollbackUndo, model.PhaseOK, details[i])
		}
	}
	if n < len(model.RollbackSteps) {
		return s
	}
	return s.Phase(model.PhaseUndo, model.PhaseOK, "").Result(model.Result{
		Outcome: model.OutcomeUndone, Owner: model.NodeName(from), Reason: reason, Next: "look at the cause, then m on the VM begins anew", Duration: 61 * time.Second,
	})
}

// Fold makes the job that a script tells of.
func Fold(j model.Job, events []event.Event) model.Job {
	for _, e := range events {
		j = event.Fold(j, e)
	}
	return j
}

// Cold is the part of an offline move up to a fraction of the disks, of a guest
// that runs or of one that is off.
func (s *Script) Cold(from, to string, runs bool, disk float64) *Script {
	const all, rate, steps = 18 * gib, 118 << 20, 20
	s.Phase(model.PhasePreflight, model.PhaseActive, "")
	s.skipUnless(runs, model.StageBaseline, from)
	s.Phase(model.PhasePreflight, model.PhaseOK, "").Phase(model.PhasePrepare, model.PhaseActive, "").Wait(200*time.Millisecond).Phase(model.PhasePrepare, model.PhaseOK, "2 file(s) to bring over")
	s.Phase(model.PhaseStop, model.PhaseActive, "")
	if runs {
		s.Log("info", from, "asking the guest by agent to shut down, for at most 1m0s").Wait(4 * time.Second)
	}
	if disk < 0 {
		return s
	}
	s.Phase(model.PhaseStop, model.PhaseOK, "").Phase(model.PhaseDisks, model.PhaseActive, "")
	for i := 1; i <= int(disk*steps); i++ {
		s.Wait(2 * time.Second)
		left := uint64(all * (steps - i) / steps)
		s.Progress(model.Progress{
			Phase: model.PhaseDisks, DiskTotal: all, DiskProcessed: all - left, DiskRemaining: left,
			DiskRate: rate, ETA: time.Duration(left/rate) * time.Second,
		})
	}
	return s
}

// ColdSwitch is the rest of an offline move up to its result; without it, up to
// the gate.
func (s *Script) ColdSwitch(from, to string, runs, all bool) *Script {
	s.Phase(model.PhaseDisks, model.PhaseOK, "").Phase(model.PhaseGate, model.PhaseActive, "").Wait(300 * time.Millisecond)
	if !all {
		return s
	}
	s.Phase(model.PhaseGate, model.PhaseOK, "").Phase(model.PhaseSwitch, model.PhaseActive, "").Wait(200*time.Millisecond).Phase(model.PhaseSwitch, model.PhaseOK, "")
	s.Phase(model.PhaseVerify, model.PhaseActive, "").skipUnless(runs, model.StageAfter, to).Phase(model.PhaseVerify, model.PhaseOK, "")
	return s.Phase(model.PhaseConfirm, model.PhaseActive, "").Result(model.Result{
		Outcome: model.OutcomeDone, Owner: model.NodeName(to), Duration: 48 * time.Second,
		Next: "horcrux confirm lets go of what is left on " + from + "; horcrux rollback sends the VM back",
	})
}

func (s *Script) skipUnless(runs bool, stage model.CheckStage, node string) *Script {
	if runs {
		return s.Checks(stage, node, 150*time.Millisecond, "")
	}
	for _, id := range model.Checks {
		s.add(event.Event{Type: event.TypeCheck, Check: &model.CheckResult{
			Check: id, Title: model.CheckTitles[id], Stage: stage, Node: model.NodeName(node), Verdict: model.Skip,
			Evidence: "the VM is off, and was before the move", At: s.now,
		}})
	}
	return s
}
