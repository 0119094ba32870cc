package health

import (
	"context"

	"horcrux/engine/model"
)

// Run makes the checks of one stage.
func Run(ctx context.Context, t Target, stage model.CheckStage, o Options, report func(model.CheckResult)) []model.CheckResult {
	return nil
}

// Verdict is the worst verdict of all results.
func Verdict(results []model.CheckResult) model.Verdict {
	v := model.Pass
	for _, r := range results {
		v = v.Worse(r.Verdict)
	}
	return v
}
