package jobs

import (
	"strings"
	"testing"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// TestInterruption: where a VM is, is said only where the records leave no other
// place, and cause and next step always are.
func TestInterruption(t *testing.T) {
	plan := &model.Plan{Request: model.Request{From: "a", To: "b"}}
	for _, c := range []struct {
		name  string
		v     journal.View
		owner model.NodeName
		says  string
	}{
		{"waiting", journal.View{Plan: plan, Epoch: journal.BeforeCommit, Waiting: true}, "a", "nothing was changed"},
		{"before the switch", journal.View{Plan: plan, Epoch: journal.BeforeCommit, Gated: true}, "a", "b has not run"},
		{"in the switch", journal.View{Plan: plan, Epoch: journal.CommitUnknown}, "", "b was told to run"},
		{"after the switch", journal.View{Plan: plan, Epoch: journal.AfterCommit}, "b", "b has taken over"},
		{"undoing", journal.View{Plan: plan, Epoch: journal.BeforeCommit, Rollback: true}, "a", "b has not run"},
		{"undoing out of the switch", journal.View{Plan: plan, Epoch: journal.CommitUnknown, Rollback: true}, "", "b was told to run"},
		{"undone", journal.View{Plan: plan, Epoch: journal.CommitUnknown, Rollback: true, RolledBack: true}, "a", "back to a"},
		{"both ran", journal.View{Plan: plan, Epoch: journal.AfterCommit, SourceRan: true}, "", "one of a and b"},
		{"a person chose", journal.View{Plan: plan, Epoch: journal.AfterCommit, Keep: "a"}, "", "one of a and b"},
		{"restoring the source", journal.View{Plan: plan, Epoch: journal.AfterCommit, Rollback: true}, "", "b was told to run"},
	} {
		r := interruption(c.v)
		if r.Owner != c.owner || !strings.Contains(r.Reason, c.says) || !strings.Contains(r.Next, "horcrux recover") || r.Outcome != model.OutcomePerson {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}
