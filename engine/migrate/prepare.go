package migrate

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// baseline begins the checks of the guest as it is, and marks the domain. In
// the modes that copy memory they go on while the target is being prepared,
// which the guest does not notice.
func (j *Job) baseline(ctx context.Context) (string, error) {
	j.base = j.startChecks(ctx, model.StageBaseline)
	ctx, cancel := context.WithTimeout(ctx, actTimeout)
	defer cancel()
	// Before the record: a domain that another move has marked is left alone.
	if err := j.unclaimed(ctx); err != nil {
		return "", err
	}
	if err := j.Journal.Append(journal.Record{Kind: journal.Marking, Rights: j.rights(ctx, j.Source)}); err != nil {
		return "", err
	}
	if err := j.Source.Mark(ctx, j.mark(RoleMoving)); err != nil {
		return "", fmt.Errorf("cannot mark the VM on %s: %w", j.plan.From, err)
	}
	if j.plan.Autostart {
		if err := j.Source.SetAutostart(ctx, false); err != nil {
			return "", fmt.Errorf("cannot switch autostart off on %s: %w", j.plan.From, err)
		}
	}
	if !j.movesMemory() {
		return j.joinBaseline()
	}
	return "the baseline of the checks is being taken", nil
}

// health makes the checks of one stage. A VM that is off has none to make.
func (j *Job) health(ctx context.Context, stage model.CheckStage, base []model.CheckResult, report func(model.CheckResult)) []model.CheckResult {
	if !j.wasOff() {
		return j.Health(ctx, stage, base, report)
	}
	at := j.plan.From
	if stage != model.StageBaseline {
		at = j.plan.To
	}
	var out []model.CheckResult
	for _, id := range model.Checks {
		r := model.CheckResult{
			Check: id, Title: model.CheckTitles[id], Stage: stage, Node: at, Verdict: model.Skip,
			Evidence: "the VM is off, and was before the move", At: j.Now().UTC(),
		}
		report(r)
		out = append(out, r)
	}
	return out
}

func tally(cs []model.CheckResult) string {
	n := map[model.Verdict]int{}
	for _, c := range cs {
		n[c.Verdict]++
	}
	var parts []string
	for _, v := range []model.Verdict{model.Pass, model.Warn, model.Fail, model.Skip} {
		if n[v] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[v], v))
		}
	}
	return strings.Join(parts, ", ")
}

// prepare makes the volumes on the target and has both hosts get ready.
func (j *Job) prepare(ctx context.Context) (string, error) {
	if err := j.compareMedia(ctx); err != nil {
		return "", err
	}
	if err := j.bringMedia(ctx); err != nil {
		return "", err
	}
	if err := j.createVolumes(ctx); err != nil {
		return "", err
	}
	if err := j.Target.RefreshPools(ctx, j.namedPools()...); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	if err := j.makeRelay(ctx); err != nil {
		return "", err
	}
	if err := j.openLinks(ctx); err != nil {
		return "", err
	}
	j.params = j.makeParams()
	if err := j.Journal.Append(journal.Record{Kind: journal.Beginning}); err != nil {
		return "", err
	}
	cookie, xml, err := j.src.MigrateBegin(ctx, j.plan.VM, j.params, j.flags)
	if err != nil {
		return "", fmt.Errorf("cannot begin on %s: %w", j.plan.From, err)
	}
	if err := j.lookBeforePrepare(ctx); err != nil {
		return "", err
	}
	// From Begin on nobody can change the mark: of two moves that marked the
	// domain at the same moment, the one whose mark was written over ends here.
	if err := j.unclaimed(ctx); err != nil {
		return "", err
	}
	j.params.DestXML = xml
	if err := j.Journal.Append(journal.Record{Kind: journal.Preparing}); err != nil {
		return "", err
	}
	cookie, uri, err := j.dst.MigratePrepare(ctx, j.params, cookie, j.flags)
	if err != nil {
		return "", fmt.Errorf("cannot prepare %s: %w", j.plan.To, err)
	}
	if uri != "" {
		j.params.MigrateURI = uri
	}
	if j.params.MigrateURI == "" {
		return "", fmt.Errorf("cannot prepare %s: it named no address for the memory", j.plan.To)
	}
	j.lastCookie = cookie
	if err := j.listenRelay(ctx); err != nil {
		return "", err
	}
	// The memory must not go over before: the guest would stand still for them.
	found, err := j.joinBaseline()
	if err != nil {
		return "", err
	}
	if j.movesMemory() {
		j.phase(model.PhasePreflight, model.PhaseOK, found)
	}
	if j.nodeToNode() {
		return "the target waits; the data go there by SSH of the nodes", nil
	}
	if j.byRelay() {
		return "the target waits; the data go through this machine", nil
	}
	return "the target waits at " + strings.TrimPrefix(j.params.MigrateURI, "tcp://"), nil
}

// compareMedia proves that read-only images of the same name are the same on both
// nodes: libvirt takes them for that, and the guest would go on with another disc.
func (j *Job) compareMedia(ctx context.Context) error {
	for _, d := range j.plan.Disks {
		if d.Decision != model.DiskPresent || d.Type != "file" || d.Source == "" || d.Path != "" {
			continue
		}
		there, err := j.Target.VolumeExists(ctx, d.Source)
		if err != nil {
			return fmt.Errorf("cannot look for %s on %s: %w", d.Source, j.plan.To, err)
		}
		if !there {
			continue // the VM may do without
		}
		if j.Copier == nil {
			return errNoCopier
		}
		if err := j.Copier.Compare(ctx, d.Source); err != nil {
			return err
		}
		j.log("info", j.plan.To, "%s is the same on both nodes, by its sha256", d.Source)
	}
	return nil
}

// bringMedia copies read-only images that the target lacks: libvirt does not.
func (j *Job) bringMedia(ctx context.Context) error {
	files := j.plan.Files
	if len(files) == 0 || len(j.Journal.View().Passes) > 0 {
		return nil // a move in passes has brought them with the disks
	}
	if j.Copier == nil {
		return errNoCopier
	}
	defer j.Copier.Release()
	if _, err := j.copyFiles(ctx, 0, model.PhasePrepare, files); err != nil {
		return err
	}
	return j.publish(ctx, 0, files)
}

func (j *Job) createVolumes(ctx context.Context) error {
	for _, d := range j.plan.Copies() {
		if !d.Create {
			continue
		}
		if err := j.createVolume(ctx, d); err != nil {
			return fmt.Errorf("cannot create %s on %s: %w", d.Path, j.plan.To, err)
		}
	}
	if err := j.trySnapshots(ctx); err != nil {
		return err
	}
	// libvirt makes these when QEMU starts there, and an undo must remove them.
	for _, f := range j.plan.Travels {
		if _, err := j.claim(ctx, journal.Volume{Node: j.plan.To, Path: f.Path, Tree: f.Role == model.FileTPM}); err != nil {
			return err
		}
	}
	return nil
}

// createVolume announces a volume in the journal only after seeing that nothing
// is there, so that undo never deletes what somebody else had.
func (j *Job) createVolume(ctx context.Context, d model.DiskPlan) error {
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	exists, err := j.Target.VolumeExists(ctx, d.Path)
	if err != nil {
		return err
	}
	if exists {
		return errors.New("something is there already, and it is not ours: move it away or remove it")
	}
	vol := journal.Volume{Node: j.plan.To, Pool: d.Pool, Path: d.Path}
	if err := j.Journal.Append(journal.Record{Kind: journal.Creating, Volume: &vol}); err != nil {
		return err
	}
	if err := j.Target.CreateVolume(ctx, d); err != nil {
		if virt.IsCode(err, virt.CodeStorageVolExists) {
			return errors.Join(err, j.Journal.Append(journal.Record{Kind: journal.NotCreated, Volume: &vol}))
		}
		return err
	}
	j.log("info", j.plan.To, "created %s for %s", d.Path, d.Target)
	return nil
}

// changeProtection is VIR_DRV_FEATURE_MIGRATE_CHANGE_PROTECTION: from Begin on
// nobody else can change the domain on the source.
const changeProtection = 7

func (j *Job) openLinks(ctx context.Context) error {
	var err error
	if j.src, err = j.Source.Link(ctx); err != nil {
		return fmt.Errorf("cannot open a connection to %s: %w", j.plan.From, err)
	}
	if j.dst, err = j.Target.Link(ctx); err != nil {
		return fmt.Errorf("cannot open a connection to %s: %w", j.plan.To, err)
	}
	protect, err := j.src.SupportsFeature(ctx, changeProtection)
	if err != nil {
		return fmt.Errorf("cannot ask %s what it can do: %w", j.plan.From, err)
	}
	j.flags = j.makeFlags(protect)
	return nil
}

// makeFlags: the target is always left paused, since its resume is the commit
// point and ours alone, and always registered before it may run, since that is
// what proves, when it is found missing, that it never ran.
func (j *Job) makeFlags(protect bool) virt.MigrateFlags {
	f := virt.MigratePersistDest | virt.MigrateAbortOnError
	if j.mayPostCopy() {
		f |= virt.MigratePostcopy
	} else {
		f |= virt.MigratePaused
	}
	if protect {
		f |= virt.MigrateChangeProtection
	}
	if !j.stopsAtOnce() {
		f |= virt.MigrateLive
	}
	if len(j.plan.Copies()) > 0 {
		// Never with libvirt's synchronous writes, which would make the disks
		// sure to become equal: QEMU's mirror then frees what a write that is
		// still on its way to the target writes to when it is over. Whatever ends
		// such a mirror before its time, be it us, the death of our process or the
		// target's, may so destroy the heap of the source's QEMU, and the VM.
		f |= virt.MigrateNonSharedDisk
		if len(j.Journal.View().Passes) > 0 {
			// What is under the overlays is on the target already.
			f = f&^virt.MigrateNonSharedDisk | virt.MigrateNonSharedInc
		}
	}
	o := j.plan.Options
	if o.Parallel > 0 {
		f |= virt.MigrateParallel
	}
	if o.Compression != "" && o.Compression != model.CompressNone {
		f |= virt.MigrateCompressed
	}
	if j.plan.Encrypted {
		f |= virt.MigrateTLS
	}
	if o.AutoConverge {
		f |= virt.MigrateAutoConverge
	}
	if j.plan.Unsafe {
		f |= virt.MigrateUnsafe
	}
	return f
}

// namedPools are the pools that the definition names disks by.
func (j *Job) namedPools() []string {
	var names []string
	for _, d := range j.plan.Disks {
		if d.Named != "" && !slices.Contains(names, d.Named) {
			names = append(names, d.Named)
		}
	}
	return names
}

func (j *Job) makeParams() virt.MigrateParams {
	p := virt.MigrateParams{DestName: j.plan.VMName, Bandwidth: j.limits().bandwidth}
	if j.byRelay() {
		memory, disks := relaySockets(j.Journal.View().Relay, j.plan.VMName)
		p.MigrateURI = socketURI(memory)
		if len(j.plan.Copies()) > 0 {
			p.DisksURI = socketURI(disks)
		}
	} else if j.plan.MigrateHost != "" {
		host := j.plan.MigrateHost
		if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
			host = "[" + host + "]"
		}
		p.MigrateURI = "tcp://" + host
	}
	o := j.plan.Options
	p.ParallelConnections = o.Parallel
	if j.plan.Encrypted {
		// libvirt 9.0 forgets whom to expect on the line of the disks when memory
		// goes over several, unless it is told.
		if p.TLSDestination = j.plan.TLSName; p.TLSDestination == "" {
			p.TLSDestination = j.plan.MigrateHost
		}
	}
	if o.Compression != "" && o.Compression != model.CompressNone {
		p.Compression = []string{string(o.Compression)}
	}
	for _, d := range j.plan.Copies() {
		p.Disks = append(p.Disks, d.Target)
	}
	return p
}

// lookBeforePrepare refuses to go on with a VM that changed since the plan: one
// that its user paused meanwhile would be judged wrongly afterwards.
func (j *Job) lookBeforePrepare(ctx context.Context) error {
	st, err := j.Source.Status(ctx)
	if err != nil {
		return fmt.Errorf("cannot look at the VM on %s: %w", j.plan.From, err)
	}
	if st.State != j.plan.Was.State {
		return fmt.Errorf("the VM on %s was %s when the move was planned and is %s now: plan it again", j.plan.From, j.plan.Was, st)
	}
	return nil
}
