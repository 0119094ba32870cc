package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/rollback"
)

// settleOrphan settles a move whose journal was lost, by what both hosts say
// now.
func (j *Job) settleOrphan(ctx context.Context, src, dst model.DomainStatus) model.Result {
	s, d := j.side(ctx, j.Source, j.plan.From, src), j.side(ctx, j.Target, j.plan.To, dst)
	j.log("info", s.Node, "the VM is %s", s.Status)
	j.log("info", d.Node, "the VM is %s", d.Status)
	return j.act(ctx, rollback.Orphan(s, d), errors.New("the journal of the move is lost"), "")
}

// unproved names the files on the target that a move whose journal was lost may
// have made. Nothing proves that it did, so they are left to a person.
func (j *Job) unproved(ctx context.Context) string {
	if !j.Journal.View().Adopted {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	var left []string
	for _, d := range j.plan.Copies() {
		if there, err := j.Target.VolumeExists(ctx, d.Path); err == nil && there {
			left = append(left, d.Path)
		}
	}
	if len(left) == 0 {
		return ""
	}
	return fmt.Sprintf("%s has %s, which the move may have made before its journal was lost: look, remove what is not needed, then move the VM again", j.plan.To, strings.Join(left, ", "))
}
