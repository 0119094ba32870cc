package event

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

var at = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

var samples = []Event{
	{Type: TypePhase, Phase: &model.Phase{ID: model.PhaseGate, Status: model.PhaseActive, At: at}},
	{Type: TypeProgress, Progress: &model.Progress{At: at, Phase: model.PhaseMemory, MemTotal: 1 << 28, ETA: 3 * time.Second}},
	{Type: TypeCheck, Check: &model.CheckResult{Check: model.CheckMonitor, Title: "QEMU monitor", Verdict: model.Pass, Evidence: "running, 2 ms", At: at}},
	{Type: TypeStep, Step: &model.StepResult{Step: model.StepDisks, Kind: model.RollbackUndo, Status: model.PhaseOK}},
	{Type: TypeLog, Log: &model.LogLine{Level: "info", Text: "hello"}},
	{Type: TypeResult, Result: &model.Result{Outcome: model.OutcomeUndone, Owner: "node1", Reason: "QEMU died"}},
}

func TestJSONIsFlatAndComesBack(t *testing.T) {
	for i, e := range samples {
		e.Time, e.Job, e.Seq = at, "k3f9x2", uint64(i+1)
		b, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var flat map[string]any
		if err := json.Unmarshal(b, &flat); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"time", "job", "type", "seq"} {
			if flat[k] == nil {
				t.Errorf("%s: no field %s in %s", e.Type, k, b)
			}
		}
		if strings.Count(string(b), `"time"`) != 1 {
			t.Errorf("%s: a field stands twice: %s", e.Type, b)
		}
		var back Event
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, back); d != "" {
			t.Errorf("%s: %s", e.Type, d)
		}
	}
}

func TestWaitingIsAStateAndNotOnTheRail(t *testing.T) {
	j := Fold(model.Job{State: model.JobStarting}, Event{Type: TypePhase, Phase: &model.Phase{ID: model.PhaseQueue, Status: model.PhaseActive, Place: 2, Detail: "why"}})
	if j.State != model.JobQueued || j.Place != 2 || j.Waits != "why" || len(j.Phases) != 0 {
		t.Errorf("waiting: %+v", j)
	}
	k := Fold(j, Event{Type: TypePhase, Phase: &model.Phase{ID: model.PhaseQueue, Status: model.PhaseOK}})
	if k.State != model.JobStarting || k.Place != 0 || k.Waits != "" {
		t.Errorf("its turn: %+v", k)
	}
	k = Fold(j, Event{Type: TypeResult, Result: &model.Result{Outcome: model.OutcomeRefused}})
	if k.State != model.JobRefused || k.Place != 0 {
		t.Errorf("taken out: %+v", k)
	}
}

func TestResultFieldsAreTheContract(t *testing.T) {
	e := samples[len(samples)-1]
	b, _ := json.Marshal(e)
	for _, want := range []string{`"type":"result"`, `"outcome":"undone"`, `"owner":"node1"`, `"reason":"QEMU died"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in %s", want, b)
		}
	}
}

func TestFoldKeepsOlderValues(t *testing.T) {
	var j model.Job
	for _, e := range samples {
		before := j
		b, _ := json.Marshal(before)
		j = Fold(j, e)
		if a, _ := json.Marshal(before); string(a) != string(b) {
			t.Errorf("%s changed an older value", e.Type)
		}
	}
	if len(j.Phases) != 1 || len(j.Checks) != 1 || len(j.Steps) != 1 || len(j.Log) != 1 || j.Progress == nil || j.State != model.JobUndone {
		t.Errorf("folded: %+v", j)
	}
	j = Fold(j, Event{Type: TypePhase, Phase: &model.Phase{ID: model.PhaseGate, Status: model.PhaseOK, At: at.Add(time.Second)}})
	if len(j.Phases) != 1 || j.Phases[0].Status != model.PhaseOK || !j.Phases[0].Began.Equal(at) {
		t.Errorf("phase: %+v", j.Phases)
	}
}

func FuzzUnmarshal(f *testing.F) {
	for _, e := range samples {
		b, _ := json.Marshal(e)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var e Event
		if json.Unmarshal(b, &e) == nil {
			Fold(model.Job{}, e)
		}
	})
}
