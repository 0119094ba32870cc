package plan

import (
	"fmt"
	"slices"

	"horcrux/engine/model"
)

// networkRule: each interface must find its bridge or network under the same
// name. That they are the same network nobody can see from here.
func networkRule(f *facts) []model.Finding {
	var out []model.Finding
	for i, n := range f.vm.Domain.NICs {
		id := fmt.Sprintf("nic-%d", i+1)
		title := "network " + n.MAC
		out = append(out, nicFinding(f, n, id, title))
	}
	return out
}

func nicFinding(f *facts, n model.NIC, id, title string) model.Finding {
	on := f.dst.Name
	switch n.Type {
	case "network":
		active, there := f.dst.Networks[n.Source]
		switch {
		case f.dst.Networks == nil:
			return warn(id, title, fmt.Sprintf("the networks of %s are not known", on), "horcrux doctor")
		case !there:
			return fail(id, title, fmt.Sprintf("%s has no network %s", on, n.Source), fmt.Sprintf("%s on %s, and virsh net-define on %s", command("virsh net-dumpxml %s", n.Source), f.src.Name, on))
		case !active:
			return fail(id, title, fmt.Sprintf("the network %s of %s is not active", n.Source, on), fmt.Sprintf("on %s: ", on)+command("virsh net-start %s", n.Source))
		}
		return pass(id, title, "%s has the network %s", on, n.Source)
	case "bridge":
		switch {
		case f.dst.Bridges == nil:
			return warn(id, title, fmt.Sprintf("the bridges of %s are not known", on), "horcrux doctor")
		case !slices.Contains(f.dst.Bridges, n.Source):
			return fail(id, title, fmt.Sprintf("%s has no bridge %s", on, n.Source), "make a bridge of that name there, onto the same network")
		}
		return pass(id, title, "%s has the bridge %s", on, n.Source)
	case "direct":
		return warn(id, title, fmt.Sprintf("it hangs on the interface %s of %s; whether %s has one of that name was not looked at", n.Source, f.src.Name, on), "see `ip link` there")
	case "hostdev", "vdpa":
		return fail(id, title, fmt.Sprintf("it is a device of %s itself (%s)", f.src.Name, n.Type), "detach it while the guest runs")
	case "user":
		return warn(id, title, "it is QEMU's own network; open connections may not survive the move", "use a bridge")
	}
	return warn(id, title, fmt.Sprintf("it is of the type %s, which was not looked at", n.Type), "make sure that "+string(on)+" can give it")
}
