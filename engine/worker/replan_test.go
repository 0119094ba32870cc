package worker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"horcrux/engine/jobs"
	"horcrux/engine/journal"
	"horcrux/engine/maintenance"
	"horcrux/engine/model"
)

// A target that was put into maintenance after the plan was made is refused,
// whether the plan is fresh or has waited, and before any host is asked: the
// process of this test has none.
func TestReplanRefusesATargetInMaintenance(t *testing.T) {
	for name, age := range map[string]time.Duration{"fresh": 0, "waited": time.Hour} {
		t.Run(name, func(t *testing.T) {
			s, err := jobs.Open(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			p := waiting(t, s, 0, 1) // from node1 to node2
			p.plan().Made = time.Now().Add(-age)
			if err := maintenance.Open(s.Root()).Set("node2", true, model.Maintenance{Since: time.Now(), By: "ann"}); err != nil {
				t.Fatal(err)
			}
			_, err = p.replan(t.Context())
			var no *refusal
			if !errors.As(err, &no) || !strings.Contains(no.Detail, "node2 is in maintenance") || no.Remedy == "" {
				t.Errorf("%v", err)
			}
			if last := p.journal.View().Last; last != journal.Planned {
				t.Errorf("the journal says %s", last)
			}
		})
	}
}

// Marks of other nodes, the source among them, let a fresh plan pass.
func TestReplanTakesAFreshPlan(t *testing.T) {
	s, err := jobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := waiting(t, s, 0, 1)
	p.plan().Made = time.Now()
	if err := maintenance.Open(s.Root()).Set("node1", true, model.Maintenance{Since: time.Now(), By: "ann"}); err != nil {
		t.Fatal(err)
	}
	if plan, err := p.replan(t.Context()); err != nil || plan.To != "node2" {
		t.Errorf("%v %v", plan, err)
	}
}
