package plan

import (
	"fmt"
	"path"

	"horcrux/engine/model"
)

// coldSteps tells a person what a move that copies files will do, phase by phase.
func coldSteps(p model.Plan) []model.PlanStep {
	var out []model.PlanStep
	add := func(ph model.PhaseID, format string, args ...any) {
		out = append(out, model.PlanStep{Phase: ph, Text: fmt.Sprintf(format, args...)})
	}
	ran := p.Was.State == model.StateRunning
	block := p.Mode == model.ModeBlock
	stop := !block || p.Options.Finish == model.FinishStop
	if p.Was.State == model.StateShutoff {
		add(model.PhasePreflight, "look at both nodes once more")
	} else {
		add(model.PhasePreflight, "look at both nodes once more, take the eight checks on %s as a baseline", p.From)
	}
	if p.Autostart {
		add(model.PhasePreflight, "switch autostart off on %s until the move is over", p.From)
	}
	if block {
		add(model.PhasePasses, "freeze %s under overlays that the guest writes to", plural(len(p.Copies()), "disk"))
		add(model.PhasePasses, "copy what is frozen, %s, then what was written meanwhile, in passes that can be resumed", size(p.CopyBytes))
	}
	if stop && ran {
		add(model.PhaseStop, "ask the guest to shut down%s", ways(p.Options))
	}
	switch {
	case block && stop:
		add(model.PhaseDisks, "copy what it wrote since the last pass")
	case !block:
		for _, f := range p.Files {
			verb := "copy"
			if f.Present {
				verb = "compare"
			}
			add(model.PhaseDisks, "%s %s, %s", verb, path.Base(f.Path), size(f.Allocation))
		}
		add(model.PhaseDisks, "read all of it again on %s and compare sha256", p.To)
	}
	if block && !stop {
		add(model.PhasePrepare, "have %s wait for the VM%s", p.To, at(p))
		add(model.PhaseDisks, "mirror the overlays, small by now, while the guest %s", doing(p.Was.State == model.StatePaused))
		add(model.PhaseMemory, "send %s of memory%s", size(p.Memory), converging(p.Options))
		add(model.PhaseGate, "with the VM paused on both, check monitor, memory, vCPUs, disks and networks on %s", p.To)
		add(model.PhaseSwitch, "let %s have the VM; before this all can be undone with no loss", p.To)
		add(model.PhaseFlatten, "make one image of each disk again on %s, while the guest runs", p.To)
	} else {
		add(model.PhaseGate, "make %s unable to start it, define the VM on %s", p.From, p.To)
		if ran {
			add(model.PhaseGate, "start its process there, still paused, and check monitor, memory, vCPUs, disks and networks")
			add(model.PhaseSwitch, "let the guest boot on %s; before this all can be undone with no loss", p.To)
		} else {
			add(model.PhaseSwitch, "let %s have the VM, off as before", p.To)
		}
	}
	if p.Was.State != model.StateShutoff {
		add(model.PhaseVerify, "make the eight checks on %s and compare them with the baseline", p.To)
	}
	if p.Options.AutoConfirm {
		add(model.PhaseConfirm, "if all checks pass, remove what is left on %s%s", p.From, leftovers(p.Copies()))
	} else {
		add(model.PhaseConfirm, "keep what is left on %s, unable to start, until you confirm%s", p.From, leftovers(p.Copies()))
	}
	return out
}

func ways(o model.Options) string {
	s := fmt.Sprintf(", by its agent, then by ACPI, for at most %s each", o.ShutdownTimeout)
	if o.ForceOff {
		return s + "; then force it off"
	}
	return s + "; if it does not, the move is undone"
}
