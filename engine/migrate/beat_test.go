package migrate

import (
	"context"
	"testing"

	"horcrux/engine/model"
)

// No beat is under way when a stage has ended, whatever the stage.
func TestBeatEndsWithItsStage(t *testing.T) {
	s := newSim()
	j := simJob(t, s, simPlan())
	for _, p := range []model.PhaseID{model.PhasePasses, model.PhaseStop, model.PhaseDisks, model.PhaseGate} {
		ran := false
		detail, err := j.lives(context.Background(), stage{phase: p, run: func(context.Context) (string, error) { ran = true; return "x", nil }})
		if err != nil || detail != "x" || !ran {
			t.Errorf("%s: %q %v", p, detail, err)
		}
	}
	if len(s.calls) != 0 {
		t.Errorf("a stage that took no time was shown to live: %v", s.calls)
	}
}

func TestMachineInTheMark(t *testing.T) {
	for in, want := range map[string]string{
		"ada": "ada@jump1", "ada from 192.0.2.7": "ada@jump1 from 192.0.2.7", "ada (sudo root)": "ada (sudo root)@jump1", "ada@jump2": "ada@jump2",
	} {
		if got := at(in, "jump1"); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if at("ada", "") != "ada" {
		t.Error("a machine out of nothing")
	}
}
