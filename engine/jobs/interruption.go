package jobs

import (
	"fmt"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// interruption is what the journal of a job without a process says of it. No host
// was asked: where the VM is, is said only if the records leave no other place.
func interruption(v journal.View) *model.Result {
	r := &model.Result{
		Outcome: model.OutcomePerson, Reason: "the process of this move ended before the move did",
		Next: "run: horcrux recover, which looks at both nodes and settles it",
	}
	from, to := v.Plan.From, v.Plan.To
	switch {
	case v.Waiting:
		r.Owner, r.Reason = from, r.Reason+", while it waited for its turn: nothing was changed on any node"
	case v.Keep != "" || v.SourceRan || v.TargetRan:
		r.Reason += fmt.Sprintf(", while it saw to it that one of %s and %s has the VM", from, to)
	case v.RolledBack || v.Restored || v.Epoch == journal.BeforeCommit:
		r.Owner, r.Reason = from, r.Reason+fmt.Sprintf("; by its journal %s has not run the VM", to)
		if v.RolledBack || v.Restored {
			r.Reason = "the process of this move ended while it gave the VM back to " + string(from)
		}
	case v.Epoch == journal.AfterCommit && !v.Rollback:
		r.Owner, r.Reason = to, r.Reason+fmt.Sprintf("; by its journal %s has taken over, and %s may still have what is left there", to, from)
	default:
		r.Reason += fmt.Sprintf("; %s was told to run the VM, and its answer was not heard", to)
	}
	return r
}
