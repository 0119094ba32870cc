package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"horcrux/engine/model"
)

// hostDeviceRule: what is bound to a host cannot leave it.
func hostDeviceRule(f *facts) []model.Finding {
	d := f.vm.Domain
	var out []model.Finding
	offline := "detach it while the guest runs, or choose the mode offline"
	if f.r.Mode == model.ModeOffline {
		if bound := append(slices.Clone(d.Hostdevs), d.Filesystems...); len(bound) > 0 {
			return one(warn("host-devices", "host devices", fmt.Sprintf("the VM has what belongs to %s (%s); it starts on %s only if that has the same, else the move is undone", f.src.Name, list(bound), f.dst.Name),
				fmt.Sprintf("see that %s has them", f.dst.Name)))
		}
		return one(pass("host-devices", "host devices", "none"))
	}
	if len(d.Hostdevs) > 0 {
		out = append(out, fail("host-devices", "host devices", fmt.Sprintf("the VM has devices of %s: %s", f.src.Name, list(d.Hostdevs)), offline))
	}
	if len(d.Filesystems) > 0 {
		out = append(out, fail("filesystems", "shared directories", fmt.Sprintf("the VM has directories of %s: %s", f.src.Name, list(d.Filesystems)), offline))
	}
	if d.LaunchSecurity != "" {
		out = append(out, fail("launch-security", "encrypted memory", fmt.Sprintf("the VM's memory is sealed (%s), and no host can read it to send it", d.LaunchSecurity),
			"it can only be shut down and started elsewhere"))
	}
	if len(out) == 0 {
		out = one(pass("host-devices", "host devices", "none"))
	}
	return out
}

func tpmRule(f *facts) []model.Finding {
	const id, title = "tpm", "TPM"
	switch f.vm.Domain.TPM {
	case "":
		return nil
	case "emulator":
		if len(f.dst.NoTPM) > 0 {
			return one(fail(id, title, fmt.Sprintf("emulated, and on %s is no %s", f.dst.Name, strings.Join(f.dst.NoTPM, ", ")), fmt.Sprintf("install swtpm and swtpm-tools on %s", f.dst.Name)))
		}
		if f.r.Mode == model.ModeOffline {
			return one(pass(id, title, "emulated; its state goes over as files, and %s needs swtpm", f.dst.Name))
		}
		return one(pass(id, title, "emulated; its state travels with the memory, and %s needs swtpm", f.dst.Name))
	}
	return one(fail(id, title, fmt.Sprintf("the VM uses a TPM of %s itself (%s)", f.src.Name, f.vm.Domain.TPM), "give it an emulated TPM"))
}

// nvramRule: the variables travel with the memory, but the target must be able
// to make the file that they are kept in.
func nvramRule(f *facts) []model.Finding {
	d := f.vm.Domain
	if d.NVRAM == "" {
		return nil
	}
	const id, title = "nvram", "UEFI variables"
	if d.NVRAMTemplate != "" {
		if there, known := f.dst.Files[d.NVRAMTemplate]; known && !there {
			return one(fail(id, title, fmt.Sprintf("%s has no %s to make them from", f.dst.Name, d.NVRAMTemplate), fmt.Sprintf("install the firmware package on %s", f.dst.Name)))
		}
	}
	if f.dst.Files[d.NVRAM] {
		return one(warn(id, title, fmt.Sprintf("%s has %s already; it will be written over with the VM's own", f.dst.Name, d.NVRAM), "keep a copy of it if it belongs to another VM"))
	}
	return one(pass(id, title, "they travel with the memory into %s", path.Base(d.NVRAM)))
}

// bootFileRule: libvirt copies no kernel and no firmware.
func bootFileRule(f *facts) []model.Finding {
	d := f.vm.Domain
	var out []model.Finding
	for _, b := range []struct{ id, title, path, remedy string }{
		{"kernel", "kernel", d.Kernel, "copy it there"},
		{"initrd", "initial RAM disk", d.Initrd, "copy it there"},
		{"dtb", "device tree", d.DTB, "copy it there"},
		{"firmware", "firmware", d.Loader, "install the firmware package there"},
	} {
		if b.path == "" {
			continue
		}
		switch there, known := f.dst.Files[b.path]; {
		case !known:
			out = append(out, warn(b.id, b.title, fmt.Sprintf("whether %s has %s is not known", f.dst.Name, b.path), b.remedy))
		case !there:
			out = append(out, fail(b.id, b.title, fmt.Sprintf("%s has no %s", f.dst.Name, b.path), b.remedy))
		default:
			out = append(out, pass(b.id, b.title, "%s is there", b.path))
		}
	}
	return out
}
