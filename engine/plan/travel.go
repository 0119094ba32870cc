package plan

import (
	"path"

	"horcrux/engine/model"
)

// tpmRoot is where libvirt keeps the state of emulated TPMs.
const tpmRoot = "/var/lib/libvirt/swtpm"

// TPMState is the folder of the VM's emulated TPM, empty if it has none.
func TPMState(d Domain) string {
	if d.TPM != "emulator" {
		return ""
	}
	return path.Join(tpmRoot, string(d.UUID))
}

// travels lists the files whose content goes over with the memory. Where the
// target has something of that name it may be the same file on storage that
// both see, or somebody else's: such a file is never touched by us.
func travels(f *facts) []model.FilePlan {
	if !MovesMemory(f.r) {
		return nil
	}
	d := f.vm.Domain
	var out []model.FilePlan
	for _, file := range []model.FilePlan{{Path: d.NVRAM, Role: model.FileNVRAM}, {Path: TPMState(d), Role: model.FileTPM}} {
		if there, looked := f.dst.Files[file.Path]; file.Path != "" && looked && !there {
			out = append(out, file)
		}
	}
	return out
}
