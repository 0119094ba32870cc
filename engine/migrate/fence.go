package migrate

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"

	"github.com/beevik/etree"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// letGo ends the source's paused process: by Confirm where libvirt still has
// the move's job, and by destroying it where that is gone.
func (j *Job) letGo(ctx context.Context) error {
	if j.src != nil {
		callCtx, cancel := context.WithTimeout(ctx, actTimeout)
		err := j.src.MigrateConfirm(callCtx, j.plan.VM, j.params, j.lastCookie, j.flags, false)
		cancel()
		if err != nil {
			j.log("warn", j.plan.From, "did not confirm: %v; looking", err)
		}
	}
	waitCtx, cancel := context.WithTimeout(ctx, unreachablePatience)
	defer cancel()
	st, known := j.ask(waitCtx, j.Source)
	if !known {
		return fmt.Errorf("%s does not answer: %s", j.plan.From, st.Err)
	}
	if st.State == model.StateRunning {
		return fmt.Errorf("%s runs the VM, which %s has too", j.plan.From, j.plan.To)
	}
	if !st.Live() {
		return nil
	}
	if err := j.Source.Destroy(waitCtx); err != nil {
		return fmt.Errorf("cannot end the paused copy on %s: %w", j.plan.From, err)
	}
	if st, known = j.ask(waitCtx, j.Source); !known || st.Live() {
		return fmt.Errorf("the paused copy on %s is still %s", j.plan.From, st)
	}
	return nil
}

// fence turns what is left on the source into a tombstone that cannot start,
// and gives the target the autostart that the source had.
func (j *Job) fence(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := j.fenceSource(ctx); err != nil {
		return err
	}
	if err := j.adorn(ctx); err != nil {
		return err
	}
	return j.Journal.Append(journal.Record{Kind: journal.Fenced})
}

// fenceSource makes the source unable to start. The disks are moved out of the
// way, not deleted: confirm does that.
func (j *Job) fenceSource(ctx context.Context) error {
	v := j.Journal.View()
	if !v.Fencing {
		if err := j.Journal.Append(journal.Record{Kind: journal.Fencing, Renames: j.renames()}); err != nil {
			return err
		}
		v = j.Journal.View()
	}
	st, err := j.Source.Status(ctx)
	if err != nil {
		return fmt.Errorf("cannot look at the VM on %s: %w", j.plan.From, err)
	}
	if st.Live() {
		return fmt.Errorf("%s still has the VM as %s", j.plan.From, st)
	}
	if st.State != model.StateMissing {
		if err := j.bury(ctx); err != nil {
			return err
		}
	}
	for _, r := range v.Renames {
		if err := j.moveAside(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// bury replaces the source's definition by one that cannot start.
func (j *Job) bury(ctx context.Context) error {
	xml, err := j.Source.XML(ctx, virt.XMLOptions{Inactive: true, Secure: true})
	if err != nil {
		return fmt.Errorf("cannot read the definition on %s: %w", j.plan.From, err)
	}
	tomb, ok, err := tombstone(xml, j.plan.To, j.Journal.View().Job)
	if err != nil {
		return fmt.Errorf("cannot make a tombstone on %s: %w", j.plan.From, err)
	}
	if !ok {
		// Nothing in it could be made unusable; its text is in the journal.
		return j.Source.Undefine(ctx)
	}
	if err := j.Source.Define(ctx, tomb); err != nil {
		return fmt.Errorf("cannot define the tombstone on %s: %w", j.plan.From, err)
	}
	return j.Source.Mark(ctx, j.mark(RoleTombstone))
}

// adorn gives the target what a move does not carry, and takes our marker off.
func (j *Job) adorn(ctx context.Context) error {
	if err := j.Target.RemoveMark(ctx); err != nil {
		return fmt.Errorf("cannot remove the marker on %s: %w", j.plan.To, err)
	}
	if j.plan.Autostart {
		if err := j.Target.SetAutostart(ctx, true); err != nil {
			return fmt.Errorf("cannot switch autostart on on %s: %w", j.plan.To, err)
		}
	}
	return nil
}

// renames lists the source's files that are stale from now on. What other VMs
// may use too, layers under a disk and media, keeps its name.
func (j *Job) renames() []journal.Rename {
	var rs []journal.Rename
	aside := func(p string, tree bool) {
		r := journal.Rename{Node: j.plan.From, From: p, To: p + ".migrated-" + string(j.Journal.View().Job), Tree: tree}
		if !slices.Contains(rs, r) {
			rs = append(rs, r)
		}
	}
	for _, d := range j.plan.Copies() {
		if d.Type == "file" && d.Source != "" {
			aside(d.Source, false)
		}
	}
	for _, f := range j.plan.Travels {
		aside(f.Path, f.Role == model.FileTPM)
	}
	for _, f := range j.plan.Files {
		switch {
		case !f.Own() || f.Present:
		default:
			aside(f.Path, f.Role == model.FileTPM)
		}
	}
	for _, l := range j.Journal.View().Overlays() {
		for _, p := range l.Paths {
			aside(p, false)
		}
	}
	return rs
}

// moveAside renames one file, unless that was done before a crash.
func (j *Job) moveAside(ctx context.Context, r journal.Rename) error {
	done, err := j.Source.VolumeExists(ctx, r.To)
	if err != nil {
		return fmt.Errorf("cannot look for %s on %s: %w", r.To, r.Node, err)
	}
	if done {
		return nil
	}
	if err := j.Source.Rename(ctx, r.From, r.To); err != nil {
		return fmt.Errorf("cannot rename %s on %s: %w", r.From, r.Node, err)
	}
	return nil
}

// buried is what a tombstone adds to the name of a disk.
var buried = regexp.MustCompile(`\.moved-to-[^/]*-by-[a-z0-9]{6}$`)

// tombstone makes a definition unstartable by pointing its disks at names that
// do not exist and that say where the VM went; the error of anyone who tries
// to start it is the explanation. ok is false if it has no disk to do that to.
func tombstone(xml string, to model.NodeName, job model.JobID) (out string, ok bool, err error) {
	doc := etree.NewDocument()
	if err := doc.ReadFromString(xml); err != nil {
		return "", false, err
	}
	root := doc.Root()
	if root == nil || root.Tag != "domain" {
		return "", false, errors.New("not a domain definition")
	}
	suffix := fmt.Sprintf(".moved-to-%s-by-%s", to, job)
	for _, disk := range root.FindElements("./devices/disk") {
		if dev := disk.SelectAttrValue("device", "disk"); dev != "disk" && dev != "lun" {
			continue
		}
		src := disk.SelectElement("source")
		if src == nil {
			continue
		}
		for _, key := range []string{"file", "dev", "volume"} {
			if a := src.SelectAttr(key); a != nil {
				a.Value = path.Clean(buried.ReplaceAllString(a.Value, "")) + suffix
				ok = true
			}
		}
		// The chain below is the moved VM's business, not the tombstone's.
		if b := disk.SelectElement("backingStore"); b != nil && ok {
			disk.RemoveChild(b)
		}
	}
	out, err = doc.WriteToString()
	return out, ok, err
}
