package migrate

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dustin/go-humanize"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/rollback"
)

const (
	// maxPasses bounds how often the disks are frozen: each adds a layer that the
	// guest reads through until the end.
	maxPasses = 4
	// smallEnough is what the guest may have written since the last freeze for
	// the rest to be left to the end of the move.
	smallEnough = 64 << 20
)

// blockStages is the way of a move whose disks go first, in passes, while the
// guest runs.
func (j *Job) blockStages() []stage {
	begun := []stage{
		{phase: model.PhasePreflight, run: j.baseline, done: func(v journal.View) bool { return v.Marked }},
		{phase: model.PhasePasses, run: j.passes},
	}
	if j.plan.Options.Finish == model.FinishStop {
		return append(begun,
			stage{phase: model.PhaseStop, run: j.stopGuest},
			stage{phase: model.PhaseDisks, run: j.lastPass},
			stage{phase: model.PhaseGate, run: j.blockGate},
		)
	}
	return append(begun,
		stage{phase: model.PhasePrepare, run: j.blockPrepare},
		stage{phase: model.PhaseMemory, run: j.perform, tells: true},
		stage{phase: model.PhaseGate, run: j.gate},
	)
}

// passes copies the disks while the guest writes to overlays, then what it wrote
// meanwhile, until little is left or more passes would not help. Pass by pass
// it can be gone on with after a crash.
func (j *Job) passes(ctx context.Context) (string, error) {
	if j.Copier == nil {
		return "", errNoCopier
	}
	if v := j.Journal.View(); v.Stopping {
		return fmt.Sprintf("%d pass(es)", v.Copied), nil
	}
	if n := j.Journal.View().Copied; n > 0 {
		// A crash may have come between a pass and the names of its files.
		if err := j.publish(ctx, n-1, j.passFiles(n-1)); err != nil {
			return "", err
		}
		j.Copier.Release()
	}
	before := uint64(0)
	for {
		if err := j.abortAsked(); err != nil {
			return "", err
		}
		n := j.Journal.View().Copied
		if err := j.freeze(ctx, n); err != nil {
			return "", err
		}
		files := j.passFiles(n)
		if _, err := j.copyFiles(ctx, n, model.PhasePasses, files); err != nil {
			return "", err
		}
		if err := j.publish(ctx, n, files); err != nil {
			return "", err
		}
		// The guest has its base open itself; what others may not write to is its
		// overlay's business.
		j.Copier.Release()
		left, err := j.written(ctx)
		if err != nil {
			return "", err
		}
		j.log("info", j.plan.From, "pass %d is over; the guest has written %s since it began", n+1, humanize.IBytes(left))
		if left <= smallEnough || n+1 >= maxPasses || n > 0 && left > before*3/4 {
			return fmt.Sprintf("%d pass(es), %s left for the end", n+1, humanize.IBytes(left)), nil
		}
		before = left
	}
}

// passFiles are what pass n copies: at first the images as they were, then what
// lay on top of them until the freeze of this pass.
func (j *Job) passFiles(n int) []model.FilePlan {
	if n == 0 {
		return slices.DeleteFunc(slices.Clone(j.plan.Files), func(f model.FilePlan) bool {
			return f.Role != model.FileDisk && f.Role != model.FileLayer && f.Role != model.FileMedia
		})
	}
	return overlayFiles(j.Journal.View().Passes[n-1])
}

func overlayFiles(p journal.Pass) []model.FilePlan {
	var out []model.FilePlan
	for _, o := range p.Overlays {
		out = append(out, model.FilePlan{Path: o.Path, Role: model.FileDisk, Disk: o.Disk, Format: "qcow2"})
	}
	return out
}

// freeze puts overlay n on every disk that is copied.
func (j *Job) freeze(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	v := j.Journal.View()
	if len(v.Passes) > n && v.Passes[n].Frozen {
		return nil
	}
	if len(v.Passes) <= n {
		pass := j.overlays(n)
		for _, o := range pass {
			there, err := j.Source.VolumeExists(ctx, o.Path)
			if err != nil {
				return fmt.Errorf("cannot look for %s on %s: %w", o.Path, j.plan.From, err)
			}
			if there {
				return fmt.Errorf("%s has %s already: move it away or remove it", j.plan.From, o.Path)
			}
		}
		if err := j.Journal.Append(journal.Record{Kind: journal.Freezing, Pass: n, Overlays: pass}); err != nil {
			return err
		}
	}
	pass := j.Journal.View().Passes[n].Overlays
	frozen, err := j.frozen(ctx, pass)
	if err == nil && !frozen {
		err = j.freezeNow(ctx, pass)
	}
	if err != nil {
		return err
	}
	return j.Journal.Append(journal.Record{Kind: journal.Frozen, Pass: n})
}

func (j *Job) freezeNow(ctx context.Context, pass []journal.Overlay) error {
	files := map[string]string{}
	for _, o := range pass {
		files[o.Disk] = o.Path
	}
	var others []string
	for _, d := range j.plan.Disks {
		if files[d.Target] == "" {
			others = append(others, d.Target)
		}
	}
	err := j.Source.FreezeDisks(ctx, files, others)
	if done, lookErr := j.frozen(ctx, pass); lookErr != nil || !done {
		return fmt.Errorf("cannot freeze the disks on %s: %w", j.plan.From, errors.Join(err, lookErr))
	}
	return nil
}

// frozen looks whether the guest writes to these overlays. It is all or none.
func (j *Job) frozen(ctx context.Context, pass []journal.Overlay) (bool, error) {
	n := 0
	for _, o := range pass {
		src, err := j.Source.DiskSource(ctx, o.Disk)
		if err != nil {
			return false, fmt.Errorf("cannot look at disk %s on %s: %w", o.Disk, j.plan.From, err)
		}
		if src == o.Path {
			n++
		}
	}
	if n > 0 && n < len(pass) {
		return false, fmt.Errorf("only %d of %d disks are frozen on %s", n, len(pass), j.plan.From)
	}
	return n > 0, nil
}

// overlays names the files of pass n.
func (j *Job) overlays(n int) []journal.Overlay {
	v := j.Journal.View()
	var out []journal.Overlay
	for _, d := range j.plan.Copies() {
		base := d.Source
		if n > 0 {
			for _, o := range v.Passes[n-1].Overlays {
				if o.Disk == d.Target {
					base = o.Path
				}
			}
		}
		out = append(out, journal.Overlay{Disk: d.Target, Base: base, Path: fmt.Sprintf("%s.pass-%s-%d", d.Source, v.Job, n+1)})
	}
	return out
}

// written is what the guest has written to its overlays, in bytes on the host.
func (j *Job) written(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	sum := uint64(0)
	for _, d := range j.plan.Copies() {
		n, err := j.Source.Allocation(ctx, d.Target)
		if err != nil {
			return 0, fmt.Errorf("cannot measure disk %s on %s: %w", d.Target, j.plan.From, err)
		}
		sum += n
	}
	return sum, nil
}

// blockPrepare gives the target an empty overlay for each disk, on what the
// passes brought; only what the guest wrote since goes with the memory.
func (j *Job) blockPrepare(ctx context.Context) (string, error) {
	v := j.Journal.View()
	last := v.Passes[len(v.Passes)-1]
	for _, o := range last.Overlays {
		d, ok := j.disk(o.Disk)
		if !ok {
			return "", fmt.Errorf("the plan has no disk %s", o.Disk)
		}
		format := "qcow2"
		if o.Base == d.Source {
			format = d.Format
		}
		fresh, err := j.claim(ctx, journal.Volume{Node: j.plan.To, Path: o.Path})
		if err != nil {
			return "", err
		}
		if !fresh && j.exists(ctx, o.Path) {
			continue
		}
		if err := j.Target.CreateOverlay(ctx, o.Path, o.Base, format, d.Capacity); err != nil {
			return "", fmt.Errorf("cannot create %s on %s: %w", o.Path, j.plan.To, err)
		}
	}
	return j.prepare(ctx)
}

func (j *Job) disk(target string) (model.DiskPlan, bool) {
	for _, d := range j.plan.Disks {
		if d.Target == target {
			return d, true
		}
	}
	return model.DiskPlan{}, false
}

// lastPass copies what the guest wrote until it was shut down, and what memory
// would have carried.
func (j *Job) lastPass(ctx context.Context) (string, error) {
	v := j.Journal.View()
	n := len(v.Passes)
	if v.Copied > n {
		return v.Proof, nil
	}
	return j.copyFiles(ctx, n, model.PhaseDisks, j.lastFiles())
}

func (j *Job) lastFiles() []model.FilePlan {
	v := j.Journal.View()
	files := overlayFiles(v.Passes[len(v.Passes)-1])
	for _, f := range j.plan.Files {
		if f.Role == model.FileNVRAM || f.Role == model.FileTPM || f.Role == model.FileSave {
			files = append(files, f)
		}
	}
	return files
}

// blockGate makes one image of each disk on the target, and hands over.
func (j *Job) blockGate(ctx context.Context) (string, error) {
	began := j.Now()
	v := j.Journal.View()
	if !v.Registering {
		if err := j.publish(ctx, len(v.Passes), j.lastFiles()); err != nil {
			return "", err
		}
		for _, l := range v.Overlays() {
			if err := rollback.Join(ctx, j.Target, l); err != nil {
				return "", err
			}
		}
	}
	return j.hand(ctx, began)
}

// oneImage makes the layers of a move in passes one image again, on the target,
// while the guest runs.
func (j *Job) oneImage(ctx context.Context) error {
	v := j.Journal.View()
	if len(v.Passes) == 0 || v.Flattened || v.Registering {
		return nil
	}
	j.phase(model.PhaseFlatten, model.PhaseActive, "")
	if !v.Flattening {
		if err := j.Journal.Append(journal.Record{Kind: journal.Flattening}); err != nil {
			return err
		}
	}
	detail, err := rollback.Flatten(ctx, j.Target, v)
	if err != nil {
		j.phase(model.PhaseFlatten, model.PhaseFailed, err.Error())
		return err
	}
	j.phase(model.PhaseFlatten, model.PhaseOK, detail)
	return j.Journal.Append(journal.Record{Kind: journal.Flattened})
}
