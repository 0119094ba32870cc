package plan

import (
	"fmt"
	"slices"

	"horcrux/engine/model"
)

// MovesMemory tells that a move sends the memory of a running guest.
func MovesMemory(r model.Request) bool {
	return r.Mode.MovesMemory(r.Options.Finish)
}

// older tells that a version is known and below another.
func older(have string, want ...int) bool {
	v, ok := parseVersion(have)
	return ok && slices.Compare(v[:len(want)], want) < 0
}

// streamRule looks at the choices for the memory stream that exclude each other
// or that one of the nodes is too old for.
func streamRule(f *facts) []model.Finding {
	if !MovesMemory(f.r) {
		return nil
	}
	return slices.Concat(parallelRule(f), compressionRule(f), policyRule(f))
}

func parallelRule(f *facts) []model.Finding {
	const id, title = "parallel", "parallel connections"
	n := f.r.Options.Parallel
	if n == 0 {
		return nil
	}
	for _, h := range []HostFacts{f.src, f.dst} {
		switch {
		case older(h.Libvirt, 5, 2):
			return one(fail(id, title, fmt.Sprintf("libvirt %s on %s knows only one stream", h.Libvirt, h.Name), "--parallel 0"))
		case older(h.QEMU, 4, 0):
			return one(fail(id, title, fmt.Sprintf("QEMU %s on %s knows only one stream", h.QEMU, h.Name), "--parallel 0"))
		case f.r.Options.Policy == model.PolicyPostCopy && (older(h.QEMU, 10, 1) || h.QEMU == ""):
			return one(fail(id, title, fmt.Sprintf("QEMU %s on %s cannot switch to post-copy with parallel connections; 10.1 can", h.QEMU, h.Name), "--parallel 0, or another policy"))
		case f.way == model.PathSSH && (older(h.QEMU, 8, 0) || h.QEMU == ""):
			return one(fail(id, title, fmt.Sprintf("QEMU %s on %s takes the first connection that comes for the one that leads the others, and by SSH from node to node they come in any order; 8.0 tells them apart", h.QEMU, h.Name),
				"--parallel 0, or --path relay or direct"))
		case f.tls && older(h.QEMU, 5, 2):
			return one(fail(id, title, fmt.Sprintf("QEMU %s on %s cannot encrypt parallel connections; 5.2 can", h.QEMU, h.Name), "--parallel 0, or --tls off"))
		}
	}
	if most := f.src.CPUs; most > 0 && n > most {
		return one(warn(id, title, fmt.Sprintf("%d connections take a thread each, and %s has %s", n, f.src.Name, plural(most, "CPU")), fmt.Sprintf("--parallel %d is enough", max(2, most/2))))
	}
	return one(pass(id, title, "memory goes over %d of them", n))
}

func compressionRule(f *facts) []model.Finding {
	const id, title = "compression", "compression"
	o := f.r.Options
	switch {
	case o.Compression == model.CompressZstd && o.Parallel == 0:
		return one(fail(id, title, "zstd works on parallel connections only", "add --parallel 2, or --compress xbzrle"))
	case o.Compression == model.CompressXBZRLE && o.Parallel > 0:
		return one(fail(id, title, "xbzrle works on a single stream only", "--parallel 0, or --compress zstd"))
	case o.Compression == model.CompressXBZRLE:
		return one(pass(id, title, "xbzrle: of pages that are sent again only what changed"))
	case o.Compression != model.CompressZstd:
		return nil
	}
	for _, h := range []HostFacts{f.src, f.dst} {
		switch {
		case older(h.Libvirt, 9, 1):
			return one(fail(id, title, fmt.Sprintf("libvirt %s on %s does not know zstd; 9.1 does", h.Libvirt, h.Name), "--compress none"))
		case older(h.QEMU, 5, 0):
			return one(fail(id, title, fmt.Sprintf("QEMU %s on %s does not know zstd; 5.0 does", h.QEMU, h.Name), "--compress none"))
		}
	}
	return one(pass(id, title, "zstd: the memory is packed on each connection"))
}

const noPostCopyRemedy = "on the node: sysctl vm.unprivileged_userfaultfd=1 (and a line in /etc/sysctl.d), or --policy suspend"

// policyRule says what a choice of post-copy gives up.
func policyRule(f *facts) []model.Finding {
	const id, title = "post-copy", "post-copy"
	if f.r.Options.Policy != model.PolicyPostCopy {
		return nil
	}
	switch {
	case f.r.Mode == model.ModeBlock:
		return one(warn(id, title, "the mode block does not switch to post-copy; if the memory does not converge it is stopped and undone", "--mode live, or --policy suspend"))
	case f.r.Mode == model.ModeOnline:
		return one(pass(id, title, "the guest is paused for its memory, which converges without"))
	case f.vm.Status.State == model.StatePaused:
		return one(pass(id, title, "the guest is paused, so its memory converges without"))
	}
	if f.dst.NoPostCopy != "" {
		return one(fail(id, title, fmt.Sprintf("QEMU on %s cannot fetch memory for a guest that runs: %s", f.dst.Name, f.dst.NoPostCopy), noPostCopyRemedy))
	}
	said := fmt.Sprintf("if the memory does not converge, the guest goes on on %s while some of it is still on %s: from then on there is no gate and no undo, and if either QEMU ends meanwhile the guest's memory is lost", f.dst.Name, f.src.Name)
	if model.DiesOfResume(f.dst.Libvirt) {
		said += fmt.Sprintf("; if the network breaks meanwhile it does not go on by itself, of which libvirtd %s on %s would die", f.dst.Libvirt, f.dst.Name)
	}
	return one(warn(id, title, said, "--policy suspend pauses the guest instead, and can be undone"))
}
