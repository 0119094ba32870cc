package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// DiskPair is a disk that was mirrored: its image on the source, and one of the
// same content on the target.
type DiskPair struct {
	Disk, Source, Target, Format string
	// Top leaves out what lies under the images.
	Top bool
	// InUse: QEMUs have both open; their guests are paused.
	InUse bool
}

// comparable lists what a proof is made of after the mirror. What is under the
// overlays of a move in passes was compared when it was copied.
func (j *Job) comparable() []DiskPair {
	v := j.Journal.View()
	if j.plan.Options.NoCompare || j.Copier == nil {
		return nil
	}
	var out []DiskPair
	if n := len(v.Passes); n > 0 {
		for _, o := range v.Passes[n-1].Overlays {
			out = append(out, DiskPair{Disk: o.Disk, Source: o.Path, Target: o.Path, Format: "qcow2", Top: true})
		}
		return out
	}
	for _, d := range j.plan.Copies() {
		if d.Type == "file" {
			out = append(out, DiskPair{Disk: d.Target, Source: d.Source, Target: d.Path, Format: d.Format})
		}
	}
	return out
}

// snapshotName is the name of the snapshot that the target's disk gets at the
// gate.
func snapshotName(p string, job model.JobID) string { return p + ".gate-" + string(job) }

// trySnapshots finds out, with the target's volumes still empty, whether their
// file system can make a snapshot of a file at once. Only then is one made at the
// gate, where the guest stands still.
func (j *Job) trySnapshots(ctx context.Context) error {
	if j.mayPostCopy() || j.stays() {
		return nil // there is no gate then; a guest that stays paused needs none
	}
	for _, d := range j.comparable() {
		vol := journal.Volume{Node: j.plan.To, Path: snapshotName(d.Target, j.Journal.View().Job), Of: d.Target}
		if _, err := j.claim(ctx, vol); err != nil {
			return err
		}
		err := j.Target.Snapshot(ctx, vol.Of, vol.Path)
		if left := j.Target.DeleteVolume(ctx, vol.Path); left != nil {
			return fmt.Errorf("cannot remove a trial snapshot on %s: %w", j.plan.To, left)
		}
		if err != nil {
			j.noSnapshot = err
			j.log("info", j.plan.To, "%s will not be compared in full: %v", d.Disk, err)
			if err := j.Journal.Append(journal.Record{Kind: journal.NotCreated, Volume: &vol}); err != nil {
				return err
			}
		}
	}
	return nil
}

// snapshots are those that the target may have. Without the journal of the move it
// may be any that has the move's name.
func snapshots(v journal.View) []journal.Volume {
	var out []journal.Volume
	if v.Adopted {
		for _, d := range v.Plan.Copies() {
			if d.Type == "file" && d.Path != "" {
				out = append(out, journal.Volume{Node: v.Plan.To, Path: snapshotName(d.Path, v.Job), Of: d.Path})
			}
		}
		return out
	}
	for _, vol := range v.Volumes {
		if vol.Of != "" {
			out = append(out, vol)
		}
	}
	return out
}

// snapshotAll makes the snapshots of the gate beside its checks. What it returns
// waits for them and makes it durable that they are whole.
func (j *Job) snapshotAll(ctx context.Context) (wait func() error) {
	all := snapshots(j.Journal.View())
	if len(all) == 0 {
		return func() error { return nil }
	}
	done := make(chan error, len(all))
	for _, vol := range all {
		go func() { done <- j.Target.Snapshot(ctx, vol.Of, vol.Path) }()
	}
	return func() error {
		var err error
		for range all {
			err = errors.Join(err, <-done)
		}
		if err != nil {
			j.noSnapshot = err
			j.log("warn", j.plan.To, "the disks will not be compared in full: %v", err)
			return nil
		}
		return j.Journal.Append(journal.Record{Kind: journal.Snapped})
	}
}

// compareAtGate reads the disks of a guest that stays paused anyway. The move
// ends here if they differ.
func (j *Job) compareAtGate(ctx context.Context) error {
	if !j.stays() || j.Journal.View().Compared != "" {
		return nil
	}
	pairs := j.comparable()
	if len(pairs) == 0 {
		return nil
	}
	for i := range pairs {
		pairs[i].InUse = true
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	watched := j.heed(ctx, stop)
	proof, err := j.Copier.Same(ctx, pairs, j.comparing(model.PhaseGate))
	stop()
	<-watched
	switch aborted := j.abortAsked(); {
	case aborted != nil:
		return aborted
	case errors.Is(err, model.ErrDiffer):
		return err
	case err != nil:
		j.noSnapshot = err
		j.log("warn", j.plan.To, "the disks could not be compared in full: %v", err)
		return nil
	}
	return j.Journal.Append(journal.Record{Kind: journal.Compared, Note: proof + ", with the guest paused"})
}

// compareAfter compares what the target's disks were at the gate with what the
// source still has, while the guest runs on the target. Nothing of it can make
// the move fail; a difference must not be let go of unseen. A guest that did not
// pass its checks is not kept waiting for it.
func (j *Job) compareAfter(ctx context.Context, healthy bool) error {
	v := j.Journal.View()
	if len(snapshots(v)) == 0 {
		return nil
	}
	if healthy && v.Snapped && v.Compared == "" && v.Differs == "" {
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		j.mayStopComparing(stop)
		defer j.mayStopComparing(nil)
		proof, err := j.Copier.Same(ctx, j.frozenPairs(ctx), j.comparing(model.PhaseVerify))
		rec := journal.Record{Kind: journal.Compared, Note: proof + ": the target's disks as they were at the gate, after the switch"}
		switch {
		case errors.Is(err, model.ErrDiffer):
			rec = journal.Record{Kind: journal.Differed, Note: err.Error()}
		case ctx.Err() != nil:
			err = ErrAborted
			fallthrough
		case err != nil:
			j.noSnapshot = err
			j.log("warn", j.plan.To, "the disks could not be compared in full: %v", err)
			rec.Kind = ""
		}
		if rec.Kind != "" {
			if err := j.Journal.Append(rec); err != nil {
				return err
			}
		}
	}
	return j.dropSnapshots(ctx)
}

// frozenPairs says where the source's images are by now, which the fence moved
// aside.
func (j *Job) frozenPairs(ctx context.Context) []DiskPair {
	v := j.Journal.View()
	var out []DiskPair
	for _, p := range j.comparable() {
		i := slices.IndexFunc(v.Volumes, func(vol journal.Volume) bool { return vol.Of == p.Target })
		if i < 0 {
			continue
		}
		p.Target = v.Volumes[i].Path
		for _, r := range v.Renames {
			if r.From != p.Source {
				continue
			}
			if there, err := j.Source.VolumeExists(ctx, r.To); err == nil && there {
				p.Source = r.To
			}
		}
		out = append(out, p)
	}
	return out
}

func (j *Job) dropSnapshots(ctx context.Context) error {
	for _, s := range snapshots(j.Journal.View()) {
		if err := j.Target.DeleteVolume(ctx, s.Path); err != nil {
			return fmt.Errorf("cannot delete %s on %s: %w", s.Path, j.plan.To, err)
		}
	}
	return nil
}

// comparing shows how far a comparison is, now and then.
func (j *Job) comparing(phase model.PhaseID) func(done, total int64) {
	var last time.Time
	return func(done, total int64) {
		now := j.Now()
		if now.Sub(last) < time.Second {
			return
		}
		last = now
		j.Emit(event.Event{Type: event.TypePhase, Phase: &model.Phase{
			ID: phase, Status: model.PhaseActive, At: now.UTC(), Comparing: phase == model.PhaseVerify,
			Detail: fmt.Sprintf("comparing the disks: %s of %s", humanize.IBytes(uint64(max(done, 0))), humanize.IBytes(uint64(max(total, 0)))),
		}})
	}
}

// mayStopComparing takes what ends a comparison after the switch, for an abort
// to call; nil once it is over.
func (j *Job) mayStopComparing(stop context.CancelFunc) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stopComparing = stop
}
