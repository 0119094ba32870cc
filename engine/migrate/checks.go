package migrate

import (
	"context"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// checks are those of one stage under way. What they find is kept until
// somebody has an ear for it.
type checks struct {
	found  chan model.CheckResult
	all    []model.CheckResult
	cancel context.CancelFunc
	// When they were made; what was done beside them takes its own time.
	began, ended time.Time
}

// startChecks begins the checks of a stage beside other work.
func (j *Job) startChecks(ctx context.Context, stage model.CheckStage) *checks {
	ctx, cancel := context.WithCancel(ctx)
	c := &checks{found: make(chan model.CheckResult, 2*len(model.Checks)), cancel: cancel, began: j.Now()}
	base := j.Journal.View().Baseline
	go func() {
		defer close(c.found)
		c.all = j.health(ctx, stage, base, func(r model.CheckResult) { c.found <- r })
		c.ended = j.Now()
	}()
	return c
}

// wait reports each check and returns when all are made.
func (c *checks) wait(report func(model.CheckResult)) []model.CheckResult {
	for r := range c.found {
		report(r)
	}
	c.cancel()
	return c.all
}

// joinBaseline waits for the checks that were begun before anything was
// changed, and makes them durable.
func (j *Job) joinBaseline() (string, error) {
	if j.base == nil {
		return "baseline: " + tally(j.Journal.View().Baseline), nil
	}
	base := j.base.wait(j.check)
	j.base = nil
	return "baseline: " + tally(base), j.Journal.Append(journal.Record{Kind: journal.Baselined, Baseline: base})
}
