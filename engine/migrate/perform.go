package migrate

import (
	"context"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/virt"
)

// pollEvery is how often the source is asked how far it is; pollSoon while the
// end of the disks must not be missed.
const (
	pollEvery = 500 * time.Millisecond
	pollSoon  = 100 * time.Millisecond
)

type performed struct {
	cookie []byte
	err    error
}

// perform copies disks and memory. It returns when both copies are paused and
// the target has everything, or with the reason why not.
func (j *Job) perform(ctx context.Context) (string, error) {
	if err := j.Journal.Append(journal.Record{Kind: journal.Performing, Rights: j.rights(ctx, j.Target)}); err != nil {
		return "", err
	}
	w := newWatch(j)
	res := w.until(ctx, j.startPerform(ctx))
	w.finish(res.err)
	if res.err != nil {
		return "", w.why(ctx, res.err)
	}
	j.performed = j.Now()
	j.lastCookie = res.cookie
	if err := j.Journal.Append(journal.Record{Kind: journal.Performed}); err != nil {
		return "", err
	}
	j.measurePause(ctx, w.stopped)
	return w.summary(), nil
}

// startPerform makes the call, which has no deadline of its own: the copy takes
// as long as it takes, and is ended by an abort, which libvirt answers.
func (j *Job) startPerform(ctx context.Context) <-chan performed {
	done := make(chan performed, 1)
	link, params, cookie, flags := j.src, j.params, j.lastCookie, j.flags
	j.lastCookie = nil
	go func() {
		c, err := link.MigratePerform(context.WithoutCancel(ctx), j.plan.VM, params, cookie, flags)
		done <- performed{c, err}
	}()
	return done
}

func (j *Job) inDisks() bool {
	return len(j.plan.Copies()) > 0 && j.performed.IsZero() && !j.memoryBegan()
}

func (j *Job) memoryBegan() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.memory
}

// startMemory notes that the disks are done, and tells whether that is new.
func (j *Job) startMemory() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	was := j.memory
	j.memory = true
	return !was
}

// measurePause finds out how long the guest has stood still when Perform
// returned: since we stopped it, or as QEMU measured it. The guest does not
// wait for the answer.
func (j *Job) measurePause(ctx context.Context, stopped time.Time) {
	j.pause = make(chan time.Duration, 1)
	if !stopped.IsZero() {
		j.pause <- j.performed.Sub(stopped)
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		st, err := j.Source.JobStats(ctx)
		if err != nil || st.Type == virt.JobNone {
			st, err = j.Source.CompletedJobStats(ctx)
		}
		if err != nil {
			st.Downtime = 0
		}
		j.pause <- st.Downtime
	}()
}

// stoodStill is the guest's whole pause, now that the target runs: of one that was
// shut down, the time without it, which its boot prolongs.
func (j *Job) stoodStill() time.Duration {
	if !j.off.IsZero() {
		return j.Now().Sub(j.off)
	}
	if j.performed.IsZero() || j.pause == nil {
		return 0
	}
	now := j.Now()
	return <-j.pause + now.Sub(j.performed)
}
