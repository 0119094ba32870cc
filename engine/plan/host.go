package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"horcrux/engine/model"
)

func reachableRule(f *facts) []model.Finding {
	var out []model.Finding
	for _, h := range []struct {
		id, title string
		host      HostFacts
	}{{"source-reachable", "source", f.src}, {"target-reachable", "target", f.dst}} {
		if h.host.Reachable {
			out = append(out, pass(h.id, h.title, "%s answers", h.host.Name))
			continue
		}
		reason := h.host.Reason
		if reason == "" {
			reason = "it does not answer"
		}
		out = append(out, fail(h.id, h.title, fmt.Sprintf("%s cannot be reached: %s", h.host.Name, reason), "horcrux doctor says what to do"))
	}
	slices.SortStableFunc(out, func(a, b model.Finding) int { return weight(b.Verdict) - weight(a.Verdict) })
	return out
}

// sameHostRule refuses what libvirt would refuse in the middle of the move: it
// tells hosts apart by their UUID and their name.
func sameHostRule(f *facts) []model.Finding {
	const id, title = "same-host", "two hosts"
	s, d := f.src, f.dst
	switch {
	case f.r.From == f.r.To:
		return one(fail(id, title, fmt.Sprintf("the VM is on %s already", f.r.From), "choose another target"))
	case s.HostUUID != "" && strings.EqualFold(s.HostUUID, d.HostUUID):
		return one(fail(id, title, fmt.Sprintf("%s and %s are the same host: both have the host UUID %s", s.Name, d.Name, s.HostUUID),
			fmt.Sprintf("if they are two machines, set host_uuid in /etc/libvirt/libvirtd.conf on %s and restart libvirtd", d.Name)))
	case s.Hostname != "" && strings.EqualFold(s.Hostname, d.Hostname):
		return one(fail(id, title, fmt.Sprintf("%s and %s both have the host name %s, and libvirt tells them apart by it", s.Name, d.Name, s.Hostname),
			fmt.Sprintf("give %s a host name of its own and restart libvirtd there", d.Name)))
	case s.HostUUID == "" || d.HostUUID == "":
		return one(warn(id, title, "the UUID of a host is not known, so whether they are two is not certain", "see `virsh capabilities` on both"))
	}
	return one(pass(id, title, "%s and %s are two hosts", s.Name, d.Name))
}

func featureRule(f *facts) []model.Finding {
	const id, title = "protocol", "migration protocol"
	for _, h := range []HostFacts{f.src, f.dst} {
		if !h.MigrationV3 || !h.MigrationParams {
			return one(fail(id, title, fmt.Sprintf("libvirt %s on %s cannot be led through a move step by step", h.Libvirt, h.Name),
				fmt.Sprintf("update libvirt on %s", h.Name)))
		}
	}
	return one(pass(id, title, "both nodes speak version 3 with parameters"))
}

// version is 9.0.0 as numbers that compare.
type version [3]int

func parseVersion(s string) (v version, ok bool) {
	parts := strings.Split(s, ".")
	for i := range v {
		if i >= len(parts) {
			return v, i > 0
		}
		n, err := strconv.Atoi(parts[i])
		if err != nil || n < 0 {
			return v, false
		}
		v[i] = n
	}
	return v, true
}

// versionRule: moving to newer software is what libvirt and QEMU promise to
// work; to older QEMU it works if that one has the machine type, mostly.
func versionRule(f *facts) []model.Finding {
	return []model.Finding{libvirtVersion(f), qemuVersion(f)}
}

func libvirtVersion(f *facts) model.Finding {
	const id, title = "libvirt-version", "libvirt"
	s, okS := parseVersion(f.src.Libvirt)
	d, okD := parseVersion(f.dst.Libvirt)
	switch {
	case !okS || !okD:
		return warn(id, title, "the version of libvirt is not known on both nodes", "horcrux doctor")
	case slices.Compare(d[:], s[:]) < 0:
		return warn(id, title, fmt.Sprintf("%s has %s, older than %s on %s, and may not know all of the VM's definition", f.dst.Name, f.dst.Libvirt, f.src.Libvirt, f.src.Name),
			fmt.Sprintf("update libvirt on %s", f.dst.Name))
	}
	return pass(id, title, "%s on %s, %s on %s", f.src.Libvirt, f.src.Name, f.dst.Libvirt, f.dst.Name)
}

func qemuVersion(f *facts) model.Finding {
	const id, title = "qemu-version", "QEMU"
	s, okS := parseVersion(f.src.QEMU)
	d, okD := parseVersion(f.dst.QEMU)
	remedy := fmt.Sprintf("update QEMU on %s", f.dst.Name)
	detail := fmt.Sprintf("%s has %s, older than %s on %s", f.dst.Name, f.dst.QEMU, f.src.QEMU, f.src.Name)
	switch {
	case !okS || !okD:
		return warn(id, title, "the version of QEMU is not known on both nodes", "horcrux doctor")
	case d[0] < s[0] && !slices.Contains(f.dst.Machines, f.vm.Domain.Machine):
		return fail(id, title, detail+fmt.Sprintf(", and does not have the machine type %s", f.vm.Domain.Machine), remedy)
	case slices.Compare(d[:2], s[:2]) < 0:
		return warn(id, title, detail+"; it has the machine type, and a move to an older QEMU may still fail before the switch", remedy)
	}
	return pass(id, title, "%s on %s, %s on %s", f.src.QEMU, f.src.Name, f.dst.QEMU, f.dst.Name)
}

// addressRule looks at where the source will send the data.
func addressRule(f *facts) []model.Finding {
	const id, title = "migrate-address", "address for the data"
	if f.way == model.PathRelay {
		return nil // none is used
	}
	a := f.dst.MigrateAddr
	remedy := fmt.Sprintf("set migrate_address of %s in the configuration", f.dst.Name)
	ip, err := netip.ParseAddr(a)
	switch {
	case a == "":
		return one(warn(id, title, fmt.Sprintf("none is known for %s; its libvirt will name its own host name", f.dst.Name), remedy))
	case err == nil && (ip.IsLoopback() || ip.IsUnspecified()), strings.EqualFold(a, "localhost"):
		return one(fail(id, title, fmt.Sprintf("%s leads %s back to itself and not to %s", a, f.src.Name, f.dst.Name), remedy))
	}
	return one(pass(id, title, "%s sends to %s", f.src.Name, a))
}
