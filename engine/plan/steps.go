package plan

import (
	"fmt"
	"strings"
	"time"

	"horcrux/engine/model"
)

// steps tells a person what will be done, phase by phase.
func steps(p model.Plan, rate uint64) []model.PlanStep {
	if byFile(p.Mode) {
		return coldSteps(p)
	}
	var out []model.PlanStep
	add := func(ph model.PhaseID, format string, args ...any) {
		out = append(out, model.PlanStep{Phase: ph, Text: fmt.Sprintf(format, args...)})
	}
	copies := p.Copies()
	paused := p.Was.State == model.StatePaused

	add(model.PhasePreflight, "look at both nodes once more, take the eight checks on %s as a baseline", p.From)
	if p.Autostart {
		add(model.PhasePreflight, "switch autostart off on %s until the move is over", p.From)
	}
	for _, d := range copies {
		if d.Create {
			add(model.PhasePrepare, "create %s (%s, %s) in the pool %s of %s", d.Path, d.Format, size(d.Capacity), d.Pool, p.To)
		}
	}
	for _, f := range p.Files {
		add(model.PhasePrepare, "copy %s, %s, to %s", f.Path, size(f.Allocation), p.To)
	}
	add(model.PhasePrepare, "have %s wait for the VM%s", p.To, at(p))
	for _, d := range copies {
		add(model.PhaseDisks, "copy %s, %s of %s, while the guest %s", d.Target, size(d.Allocation), size(d.Capacity), doing(paused))
	}
	if shared := count(p.Disks, model.DiskShared); shared > 0 {
		add(model.PhaseDisks, "leave %s where both nodes see it", plural(shared, "disk"))
	}
	if stops(p) {
		add(model.PhaseMemory, "pause the guest and send %s of memory%s; it stands still %s", size(p.Memory), rateWords(p.Options), pauseWords(p, rate))
	} else {
		add(model.PhaseMemory, "send %s of memory%s", size(p.Memory), converging(p.Options))
	}
	if p.Unsafe {
		add(model.PhaseMemory, "overrule libvirt's own test for shared storage: every shared disk was proved and is not cached")
	}
	add(model.PhaseGate, "with the VM paused on both, check monitor, memory, vCPUs, disks and networks on %s", p.To)
	compared := len(copies) > 0 && !p.Options.NoCompare && p.Options.Policy != model.PolicyPostCopy
	if compared && paused {
		add(model.PhaseGate, "read %s on both nodes and compare", plural(len(copies), "disk"))
	}
	if paused {
		add(model.PhaseSwitch, "hand the VM over to %s, still paused as its user left it", p.To)
	} else {
		add(model.PhaseSwitch, "let the VM run on %s; before this all can be undone with no loss", p.To)
	}
	if !paused && !stops(p) {
		add(model.PhaseSwitch, "aim at a pause of at most %s", p.Options.MaxDowntime.Round(time.Millisecond))
	}
	add(model.PhaseVerify, "make the eight checks on %s and compare them with the baseline", p.To)
	if compared && !paused {
		add(model.PhaseVerify, "where %s can make snapshots of files, made at the gate: read %s on both nodes and compare, while the guest runs", p.To, plural(len(copies), "disk"))
	}
	if p.Options.AutoConfirm {
		add(model.PhaseConfirm, "if all checks pass, remove what is left on %s%s", p.From, leftovers(copies))
	} else {
		add(model.PhaseConfirm, "keep what is left on %s, unable to start, until you confirm%s", p.From, leftovers(copies))
	}
	return out
}

// at says where the target waits.
func at(p model.Plan) string {
	switch {
	case p.Way == model.PathRelay:
		return " at sockets of this move's own, and carry the data there from " + string(p.From) + " through this machine's SSH connections"
	case p.Way == model.PathSSH:
		return " at sockets of this move's own, and carry the data there by an SSH that " + string(p.From) + " opens with a key that lives as long as this move"
	case p.MigrateHost == "":
		return ""
	}
	return " at " + p.MigrateHost
}

func doing(paused bool) string {
	if paused {
		return "stays paused"
	}
	return "runs on"
}

func rateWords(o model.Options) string {
	if o.Bandwidth > 0 {
		return fmt.Sprintf(", at most %d MiB/s", o.Bandwidth)
	}
	return ", no limit on the rate"
}

func converging(o model.Options) string {
	s := rateWords(o)
	if o.AutoConverge {
		s += "; slow the guest down if it writes faster than that"
	}
	switch o.Policy {
	case model.PolicySuspend:
		return s + "; pause it for the rest if that does not help"
	case model.PolicyPostCopy:
		return s + "; switch to post-copy if that does not help"
	}
	return s + "; stop and undo if that does not help"
}

func leftovers(copies []model.DiskPlan) string {
	s := ": the definition"
	devices := model.Plan{Disks: copies}.Devices()
	if n := len(copies) - len(devices); n > 0 {
		s += " and " + plural(n, "disk")
	}
	if len(devices) > 0 {
		s += "; what is on " + strings.Join(devices, " and ") + " stays"
	}
	return s
}

func count(disks []model.DiskPlan, what model.DiskDecision) int {
	n := 0
	for _, d := range disks {
		if d.Decision == what {
			n++
		}
	}
	return n
}
