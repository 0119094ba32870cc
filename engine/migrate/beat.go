package migrate

import (
	"context"
	"time"

	"horcrux/engine/model"
)

// beatEvery is how often a move without a job of libvirt's shows that it lives.
const beatEvery = 10 * time.Second

// lives runs a stage. In the stages in which libvirt has no job that would show
// another console that the move lives, the mark on the source beats meanwhile.
func (j *Job) lives(ctx context.Context, s stage) (string, error) {
	switch {
	case s.phase == model.PhasePasses, s.phase == model.PhaseStop, s.phase == model.PhaseDisks && !s.tells:
	default:
		return s.run(ctx)
	}
	m, stop, done := j.mark(RoleMoving), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		j.beat(ctx, m, stop)
	}()
	// Nothing of it is under way any more when the next stage begins.
	defer func() { close(stop); <-done }()
	return s.run(ctx)
}

// beat counts the mark up until stop. A beat that fails is made up for by the
// next one; the move does not depend on them.
func (j *Job) beat(ctx context.Context, m Mark, stop <-chan struct{}) {
	ctx = context.WithoutCancel(ctx)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	// A count that is never that of an earlier process of the same move.
	m.Beat = uint64(time.Now().Unix())
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		callCtx, cancel := context.WithTimeout(ctx, lookTimeout)
		if now, err := j.Source.ReadMark(callCtx); err == nil && now.Job == m.Job && now.Role == RoleMoving {
			m.Beat++
			_ = j.Source.Mark(callCtx, m)
		}
		cancel()
	}
}
