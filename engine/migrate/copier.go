package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// Copier brings files from the source to the target while nobody writes to
// them. Every method may be called again, by another process too: what is over
// and proved is not sent twice.
type Copier interface {
	// Copy returns once the files are durable on the target, under their partial
	// names, and were read there and found equal; proof says how. A batch is a
	// number of its own for each set of files of a job.
	Copy(ctx context.Context, batch int, files []model.FilePlan, limit func() uint64, report func(CopyProgress)) (proof string, err error)
	// Compare proves that both nodes have the same bytes in the file of that name.
	Compare(ctx context.Context, path string) error
	// Same proves that guests read the same from both images of each pair. An error
	// that is model.ErrDiffer says that they do not.
	Same(ctx context.Context, pairs []DiskPair, report func(done, total int64)) (proof string, err error)
	// Publish gives the files their final names. It never replaces a file.
	Publish(ctx context.Context, batch int, files []model.FilePlan) error
	// Release lets go of the files on the source, which nobody could write to
	// since Copy began. It is called once nobody can any more, or may again.
	Release()
	// Discard ends what runs on the nodes for the copy and removes what is not
	// published.
	Discard(ctx context.Context) error
}

// CopyProgress is how far a copy is: bytes that are not holes, of all of them and
// read again on the target, and bytes per second. Way says by which path and
// why, Waiting what the copy waits for.
type CopyProgress struct {
	Total, Done, Rate uint64
	Way, Waiting      string
	Path              model.DataPath
}

// PartialName is the name of a file on the target until it is whole.
func PartialName(p string, job model.JobID) string { return p + ".partial-" + string(job) }

// copyFiles brings one batch over and proves it. The names that it will use on
// the target are announced first, each only after seeing that nothing is there.
func (j *Job) copyFiles(ctx context.Context, batch int, phase model.PhaseID, files []model.FilePlan) (string, error) {
	if len(files) == 0 {
		return "nothing to copy", nil
	}
	for _, f := range files {
		if err := j.announce(ctx, f); err != nil {
			return "", err
		}
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.Copying, Pass: batch}); err != nil {
		return "", err
	}
	if j.plan.Way == model.PathSSH {
		// The copier takes away itself what is there of a process that is gone.
		if err := j.Journal.Append(journal.Record{Kind: journal.Relaying, Note: model.RelayDir(j.Journal.View().Job)}); err != nil {
			return "", err
		}
	}
	began := j.Now()
	copyCtx, stop := context.WithCancel(ctx)
	defer stop()
	watched := j.heed(copyCtx, stop)
	way, waiting := "", ""
	proof, err := j.Copier.Copy(copyCtx, batch, files, func() uint64 { return j.limits().bandwidth }, func(p CopyProgress) {
		if p.Way != way {
			way = p.Way
			j.log("info", j.plan.From, "%s", way)
		}
		if p.Waiting != waiting {
			if waiting = p.Waiting; waiting != "" {
				j.log("warn", j.plan.From, "the copy waits: %s", waiting)
			}
		}
		j.tell(phase, p, began)
	})
	stop()
	<-watched
	if aborted := j.abortAsked(); aborted != nil {
		return "", aborted
	}
	if err != nil {
		return "", err
	}
	j.dropSockets(ctx, j.Source, j.Target)
	return proof, j.Journal.Append(journal.Record{Kind: journal.Copied, Pass: batch + 1, Note: proof})
}

// announce journals the partial name of a file.
func (j *Job) announce(ctx context.Context, f model.FilePlan) error {
	if f.Present {
		return nil
	}
	_, err := j.claim(ctx, journal.Volume{Node: j.plan.To, Path: PartialName(f.Path, j.Journal.View().Job), Tree: f.Role == model.FileTPM})
	return err
}

func (j *Job) exists(ctx context.Context, p string) bool {
	there, err := j.Target.VolumeExists(ctx, p)
	return err == nil && there
}

// claim journals that a path on the target is ours, unless it was before. It
// refuses one where something is already.
func (j *Job) claim(ctx context.Context, vol journal.Volume) (fresh bool, err error) {
	for _, v := range j.Journal.View().Volumes {
		if v.Path == vol.Path {
			return false, nil
		}
	}
	there, err := j.Target.VolumeExists(ctx, vol.Path)
	if err != nil {
		return false, fmt.Errorf("cannot look for %s on %s: %w", vol.Path, j.plan.To, err)
	}
	if there {
		return false, fmt.Errorf("%s has %s already, and it is not ours: move it away or remove it", j.plan.To, vol.Path)
	}
	return true, j.Journal.Append(journal.Record{Kind: journal.Creating, Volume: &vol})
}

// publish gives the files of a batch their final names.
func (j *Job) publish(ctx context.Context, batch int, files []model.FilePlan) error {
	for _, f := range files {
		if f.Present {
			continue
		}
		if _, err := j.claim(ctx, journal.Volume{Node: j.plan.To, Path: f.Path, Tree: f.Role == model.FileTPM}); err != nil {
			return err
		}
	}
	if err := j.Copier.Publish(ctx, batch, files); err != nil {
		return fmt.Errorf("cannot give the files on %s their names: %w", j.plan.To, err)
	}
	return nil
}

// heed takes wishes while files are copied: an abort stops the copy.
func (j *Job) heed(ctx context.Context, stop func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case c := <-j.wishes:
				if c.Kind != model.CommandTune {
					stop()
					return
				}
				if c.Bandwidth != nil {
					j.tune(func(l *limits) { l.bandwidth = *c.Bandwidth })
					j.log("info", j.plan.From, "bandwidth limit is %s now", limitWords(*c.Bandwidth))
				}
			}
		}
	}()
	return done
}

func limitWords(mibps uint64) string {
	if mibps == 0 {
		return "none"
	}
	return fmt.Sprintf("%d MiB/s", mibps)
}

// forecastAfter is how long a copy is watched before its end is forecast: its rate
// is a mean over as long, and begins with whatever came in the first moment.
const forecastAfter = 5 * time.Second

// tell shows how far a copy is.
func (j *Job) tell(phase model.PhaseID, p CopyProgress, began time.Time) {
	if p.Total == 0 {
		return // nothing is known yet
	}
	left := p.Total - min(p.Done, p.Total)
	out := model.Progress{
		At: j.Now().UTC(), Phase: phase, Elapsed: j.Now().Sub(began),
		DiskTotal: p.Total, DiskProcessed: p.Done, DiskRemaining: left, DiskRate: p.Rate, Bandwidth: j.limits().bandwidth, Path: p.Path,
	}
	if p.Rate > 0 && out.Elapsed >= forecastAfter {
		out.ETA = seconds(float64(left) / float64(p.Rate))
	}
	j.Emit(event.Event{Type: event.TypeProgress, Progress: &out})
}

// errNoCopier says that this process cannot copy files.
var errNoCopier = errors.New("this process has nothing to copy files with")
