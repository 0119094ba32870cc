package plan

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"horcrux/engine/model"
)

// byFile tells that a mode copies disks as files, while nobody writes to them.
func byFile(m model.Mode) bool { return m == model.ModeOffline || m == model.ModeBlock }

// decideCold copies an image and what it lies on as they are, into files of the
// same names. What is there already is somebody's, and is never written over; a
// layer of that name may be the same one, which is proved before it is used.
func decideCold(f *facts, d Disk, p model.DiskPlan, proof Proof) (model.DiskPlan, string) {
	dir := path.Dir(d.Source)
	switch there, known := f.dst.Files[d.Source]; {
	case f.vm.FilesErr != "":
		return refuse(p, "its files cannot be listed: %s", f.vm.FilesErr)
	case d.Type == "block":
		return refuse(p, "it is a block device, and the mode %s copies files", f.r.Mode)
	case d.Shareable:
		return refuse(p, "several VMs may write to it, so it must be shared and cannot be copied")
	case d.Device == "lun":
		return refuse(p, "it is a whole SCSI device of the host, so it must be shared and cannot be copied")
	case d.DataFile != "":
		return refuse(p, "its image keeps the data in another file, %s", d.DataFile)
	case !known:
		return refuse(p, "whether %s has %s is not known", f.dst.Name, d.Source)
	case there:
		return refuse(p, "%s", withDetail(fmt.Sprintf("%s has a file %s already, and it was not proved to be the same one", f.dst.Name, d.Source), proof))
	case !f.dst.Dirs[dir].Exists:
		return refuse(p, "%s has no folder %s", f.dst.Name, dir)
	case f.r.Mode == model.ModeBlock && p.Format != "raw" && p.Format != "qcow2":
		return refuse(p, "its format %s cannot be frozen under an overlay; raw and qcow2 can", p.Format)
	case f.r.Mode == model.ModeBlock && d.Encrypted:
		return refuse(p, "it is encrypted by QEMU, and an overlay would not be")
	}
	p.Decision, p.Path = model.DiskCopy, d.Source
	why := fmt.Sprintf("only on %s; %s of %s to copy", f.src.Name, size(d.Allocation), size(d.Capacity))
	if n := len(d.Chain); n > 0 {
		why += fmt.Sprintf(", with %s under it", plural(n, "layer"))
	}
	return p, why
}

// filesOf lists what is copied: the files of disks that are, what belongs to the
// VM beside them, and media that the target lacks.
func filesOf(f *facts, disks []model.DiskPlan) []model.FilePlan {
	copied := map[string]bool{}
	for _, d := range disks {
		copied[d.Target] = d.Decision == model.DiskCopy
	}
	var out []model.FilePlan
	for _, file := range f.vm.Files {
		there := f.dst.Files[file.Path]
		switch file.Role {
		case model.FileDisk:
			if !byFile(f.r.Mode) || !copied[file.Disk] {
				continue
			}
		case model.FileLayer:
			if !byFile(f.r.Mode) || !copied[file.Disk] {
				continue
			}
			file.Present = there
		case model.FileMedia:
			if there || f.proofs[file.Disk].Proved {
				continue
			}
		}
		if !slices.ContainsFunc(out, func(o model.FilePlan) bool { return o.Path == file.Path }) {
			out = append(out, file)
		}
	}
	return out
}

// fileRule looks at what goes over as files besides disks.
func fileRule(f *facts) []model.Finding {
	var out []model.Finding
	if f.vm.FilesErr != "" && byFile(f.r.Mode) {
		out = append(out, fail("files", "files", fmt.Sprintf("the files of the VM on %s cannot be listed: %s", f.src.Name, f.vm.FilesErr), "horcrux doctor"))
	}
	titles := map[model.FileRole]string{model.FileNVRAM: "UEFI variables", model.FileTPM: "TPM state", model.FileSave: "saved state", model.FileLayer: "layer", model.FileMedia: "media"}
	for _, file := range f.files {
		title, id := titles[file.Role], fmt.Sprintf("file-%s-%s", file.Role, path.Base(file.Path))
		switch {
		case file.Role == model.FileDisk:
		case file.Role == model.FileLayer && file.Present:
			out = append(out, pass(id, title, "%s has %s; it is used if it proves to be the same", f.dst.Name, file.Path))
		case f.dst.Files[file.Path]:
			out = append(out, fail(id, title, fmt.Sprintf("%s has %s already", f.dst.Name, file.Path), fmt.Sprintf("if it belongs to no VM there, move it away on %s", f.dst.Name)))
		case file.Role == model.FileTPM && !f.dst.Dirs[path.Dir(file.Path)].Exists:
			out = append(out, pass(id, title, "%s, %s, goes over as a file; no VM with a TPM was on %s yet, so %s is made", path.Base(file.Path), size(file.Allocation), f.dst.Name, path.Dir(file.Path)))
		case !f.dst.Dirs[path.Dir(file.Path)].Exists:
			out = append(out, fail(id, title, fmt.Sprintf("%s has no folder %s for it", f.dst.Name, path.Dir(file.Path)), dirRemedy(f, file)))
		default:
			out = append(out, pass(id, title, "%s, %s, goes over as a file", path.Base(file.Path), size(file.Allocation)))
		}
	}
	if len(f.files) > 0 {
		for _, c := range f.dst.CopyTools {
			if c.Verdict == model.Fail {
				out = append(out, c)
			}
		}
	}
	return out
}

func dirRemedy(f *facts, file model.FilePlan) string {
	return fmt.Sprintf("make it on %s", f.dst.Name)
}

// coldSpaceRule adds up what goes into each folder: what is allocated, and 5 %
// more.
func coldSpaceRule(f *facts) []model.Finding {
	sums := map[string]uint64{}
	for _, file := range f.files {
		if !file.Present {
			sums[path.Dir(file.Path)] = plus(sums[path.Dir(file.Path)], plus(file.Allocation, file.Allocation/20))
		}
	}
	var out []model.Finding
	for _, dir := range slices.Sorted(maps.Keys(sums)) {
		fact := f.dst.Dirs[dir]
		if !fact.Exists {
			continue // said elsewhere
		}
		id, title := "space-"+dir, "space in "+dir
		detail := fmt.Sprintf("%s are needed (what is allocated, and 5 %%), %s are free on %s", size(sums[dir]), size(fact.Free), f.dst.Name)
		if sums[dir] > fact.Free {
			out = append(out, fail(id, title, detail, fmt.Sprintf("free %s there, or choose another target", size(sums[dir]-fact.Free))))
			continue
		}
		out = append(out, pass(id, title, "%s", detail))
	}
	return out
}

// offlineStateRule is stateRule for a move that has the VM off.
func offlineStateRule(f *facts) []model.Finding {
	const id, title = "state", "state of the VM"
	st := f.vm.Status
	switch st.State {
	case model.StateRunning:
		if !st.Persistent {
			return one(fail(id, title, "the VM is transient: once it is off, nothing is left of it to move", fmt.Sprintf("define it on %s first: ", f.src.Name)+
				command("virsh dumpxml %s > vm.xml && virsh define vm.xml", f.vm.Domain.Name)+"; or choose live"))
		}
		what := fmt.Sprintf("the VM is %s; its guest is asked to shut down", st)
		if f.r.Options.ForceOff {
			return one(pass(id, title, "%s, and forced off if it does not within %s", what, f.r.Options.ShutdownTimeout))
		}
		return one(pass(id, title, "%s; if it does not, the move is undone", what))
	case model.StateShutoff, model.StateCrashed:
		return one(pass(id, title, "%s, and stays off", st))
	case model.StatePaused:
		return one(fail(id, title, fmt.Sprintf("the VM is %s, and a paused guest cannot shut down", st), "resume it, or choose live, which keeps it paused"))
	case model.StateMissing:
		return one(fail(id, title, fmt.Sprintf("%s has no such VM", f.src.Name), "look for it: horcrux vms"))
	}
	return one(fail(id, title, fmt.Sprintf("the VM is %s", st), "wait until it runs or is off"))
}

// passRule says what a move in passes asks of the disks.
func passRule(f *facts) []model.Finding {
	if f.r.Mode != model.ModeBlock {
		return nil
	}
	const id, title = "passes", "disk passes"
	switch n := len(copiesOf(f.disks)); {
	case f.r.Options.Finish == model.FinishStop && f.vm.Status.State != model.StateRunning:
		return one(fail(id, title, fmt.Sprintf("the VM is %s, and only a running guest can be shut down at the end", f.vm.Status), "choose --finish live, or the mode offline"))
	case f.r.Options.Finish == model.FinishStop && !f.vm.Status.Persistent:
		return one(fail(id, title, "the VM is transient: once it is off, nothing is left of it to move", "choose --finish live"))
	case n == 0:
		return one(fail(id, title, "no disk has to be copied", "choose live"))
	default:
		return one(pass(id, title, "%s frozen under overlays while they are copied, one image each again afterwards", plural(n, "disk")))
	}
}

// offlineOnly are the rules that do not concern a VM that is off, and those
// that it has instead.
func (f *facts) rules() []rule {
	if f.r.Mode != model.ModeOffline {
		return append(slices.Clone(rules), fileRule, passRule)
	}
	memory := memoryRule
	if f.vm.Status.State == model.StateShutoff {
		memory = func(*facts) []model.Finding { return nil } // it needs none until it is started
	}
	return []rule{
		modeRule, namesRule, sameHostRule, offlineStateRule, markRule, jobRule, blockJobRule, clashRule, snapshotRule,
		archRule, virtTypeRule, emulatorRule, machineRule, cpuRule, hostDeviceRule, tpmRule, hugepagesRule,
		diskRule, fileRule, coldSpaceRule, networkRule, bootFileRule, memory, vcpuRule, versionRule, addressRule, agentRule, wayRule,
	}
}

// lacksNBD tells that something larger than what goes through this machine on every
// way is to be copied, and that the target cannot receive it directly.
func (f *facts) lacksNBD() bool {
	const small = 4 << 20
	return slices.ContainsFunc(f.files, func(p model.FilePlan) bool { return p.Allocation > small }) &&
		slices.ContainsFunc(f.dst.CopyTools, func(t model.Finding) bool { return t.ID == "copy-qemu-nbd" })
}

// wayRule says how the files travel, and who could read them.
func wayRule(f *facts) []model.Finding {
	const id, title, code, name = "data-path", "way of the data", "encryption", "encryption"
	asked := f.r.Options.Path == model.PathDirect
	switch r := f.dst.Reach; {
	case f.way == "":
		return nil
	case (asked || f.r.Options.Path == model.PathSSH) && f.lacksNBD():
		return one(fail(id, title, fmt.Sprintf("files go by %s only to a qemu-nbd, and %s has none", f.r.Options.Path, f.dst.Name),
			fmt.Sprintf("install qemu-utils (Debian) or qemu-img (Fedora) on %s, or use --path relay", f.dst.Name)))
	case f.way == model.PathSSH:
		return []model.Finding{
			sshRule(f, id, title),
			pass(code, name, "files are encrypted by SSH all the way from %s to %s; small ones go through this machine, by SSH on both ways", f.src.Name, f.dst.Name),
		}
	case f.way == model.PathRelay:
		return []model.Finding{
			pass(id, title, "from %s through this machine to %s; %s", f.src.Name, f.dst.Name, f.wayWhy),
			pass(code, name, "files travel through this machine, by SSH on both ways"),
		}
	case asked && r.Tried && !r.Reached:
		return one(notReached(f, id, title))
	case asked:
		return []model.Finding{
			pass(id, title, "from %s to %s over TCP; %s", f.src.Name, f.dst.Name, f.wayWhy),
			pass(code, name, "files travel from %s to %s not encrypted; only the control goes through SSH", f.src.Name, f.dst.Name),
		}
	}
	return []model.Finding{
		pass(id, title, "from %s to %s over TCP; %s", f.src.Name, f.dst.Name, f.wayWhy),
		pass(code, name, "files travel from %s to %s not encrypted where they reach each other, else through this machine by SSH", f.src.Name, f.dst.Name),
	}
}
