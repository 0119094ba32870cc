package migrate

import (
	"context"
	"testing"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// The checks after the switch are made beside the clearing of the source; the
// time that is told of them is theirs, not what was left of them afterwards.
func TestVerifyTellsTheTimeOfItsChecks(t *testing.T) {
	s := newSim()
	j, err := journal.Create(t.TempDir(), "k3f9x2", time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	if err := j.Append(journal.Record{Kind: journal.Planned, Plan: simPlan()}); err != nil {
		t.Fatal(err)
	}
	var verify []model.Phase
	env := s.env(j, func(e event.Event) {
		if e.Phase != nil && e.Phase.ID == model.PhaseVerify {
			verify = append(verify, *e.Phase)
		}
	})
	var began, ended time.Time
	health := env.Health
	env.Health = func(ctx context.Context, st model.CheckStage, base []model.CheckResult, report func(model.CheckResult)) []model.CheckResult {
		if st == model.StageAfter {
			began = time.Now()
			defer func() { ended = time.Now() }()
		}
		return health(ctx, st, base, report)
	}
	if r := New(env).Run(context.Background()); r.Outcome != model.OutcomeDone {
		t.Fatal(r.Reason)
	}
	if len(verify) != 2 || verify[0].At.After(began) || verify[1].At.Before(ended) {
		t.Errorf("the checks took from %s to %s, told were %+v", began, ended, verify)
	}
}
