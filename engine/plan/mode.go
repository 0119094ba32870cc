package plan

import (
	"fmt"
	"time"

	"horcrux/engine/model"
)

// modeRule says what the chosen mode means for the guest, and which mode would
// suit it better if one does.
func modeRule(f *facts) []model.Finding {
	const id, title = "mode", "mode"
	switch {
	case !f.r.Mode.Valid():
		return one(fail(id, title, fmt.Sprintf("there is no mode %q", f.r.Mode), "choose live"))
	}
	return one(pass(id, title, "%s: %s; %s", f.r.Mode, modeMeans(f), modeReason(f)))
}

// modeMeans is what the chosen mode does to the guest.
func modeMeans(f *facts) string {
	if f.vm.Status.State == model.StatePaused && f.r.Mode != model.ModeOffline {
		return "the guest is paused and stays so, and its memory goes with it"
	}
	switch f.r.Mode {
	case model.ModeOnline:
		if len(copiesOf(f.disks)) > 0 {
			return "the disks go over while the guest runs, then it is paused while its memory goes over"
		}
		return "the guest is paused while its memory goes over"
	case model.ModeLive:
		return "the guest runs on and stops only for the switch"
	case model.ModeOffline:
		if f.vm.Status.State == model.StateShutoff {
			return "the VM is off and stays off"
		}
		return "the guest is shut down, and started on the target"
	}
	if f.r.Options.Finish == model.FinishStop {
		return "the disks go over in passes while the guest runs, then it is shut down for the rest and started on the target"
	}
	return "the disks go over in passes while the guest runs, then the rest live"
}

// longCopy is a copy of disks that one would not like to begin anew.
const longCopy = time.Hour

// suggest is the mode that suits a VM best, and why.
func suggest(f *facts) (model.Mode, string) {
	d := f.vm.Domain
	switch st := f.vm.Status; {
	case st.State == model.StatePaused:
		return model.ModeLive, "a paused guest cannot dirty its memory"
	case st.State != model.StateRunning:
		return model.ModeOffline, fmt.Sprintf("the VM is %s", st)
	case len(d.Hostdevs) > 0 || len(d.Filesystems) > 0 || d.LaunchSecurity != "":
		return model.ModeOffline, fmt.Sprintf("the VM is bound to what %s has, which no running guest can leave", f.src.Name)
	case f.dst.CPU.Match == CPUIncompatible:
		return model.ModeOffline, fmt.Sprintf("the CPU of %s cannot take over from that of %s while the guest runs", f.dst.Name, f.src.Name)
	}
	var bytes uint64
	for _, c := range copiesOf(f.disks) {
		bytes = plus(bytes, c.Allocation)
	}
	if rate := rateOf(f.r.Options, f.dst.Rate); rate > 0 && bytes/rate > uint64(longCopy.Seconds()) {
		return model.ModeBlock, fmt.Sprintf("%s of disks take about %s, and its passes can be resumed", size(bytes), time.Duration(bytes/rate)*time.Second)
	}
	if bytes > 0 {
		return model.ModeLive, "the shortest pause; the guest's writes reach both nodes until the switch"
	}
	return model.ModeLive, "the shortest pause; only memory has to go over"
}

// modeReason names the mode that suits the VM best, and why.
func modeReason(f *facts) string {
	m, why := suggest(f)
	return fmt.Sprintf("%s is suggested: %s", m, why)
}

func copiesOf(disks []model.DiskPlan) []model.DiskPlan { return model.Plan{Disks: disks}.Copies() }

// stops tells that the guest stands still while its memory goes over.
func stops(p model.Plan) bool {
	return p.Mode == model.ModeOnline && p.Was.State != model.StatePaused
}

// rateOf is the user's limit or the measured rate in bytes per second, whichever
// is lower, 0 if neither is known.
func rateOf(o model.Options, measured uint64) uint64 {
	limit := o.Bandwidth << 20
	if measured == 0 || limit > 0 && limit < measured {
		return limit
	}
	return measured
}

// pauseWords forecasts the pause of a guest whose memory goes over while it
// stands still.
func pauseWords(p model.Plan, measured uint64) string {
	rate := rateOf(p.Options, measured)
	if rate == 0 {
		const gigabit = 117 << 20
		return fmt.Sprintf("as long as that takes: up to %s at 1 Gbit/s, and what the guest does not use takes no time", seconds(p.Memory, gigabit))
	}
	return fmt.Sprintf("for up to %s at %s/s", seconds(p.Memory, rate), size(rate))
}

func seconds(bytes, rate uint64) time.Duration {
	d := time.Duration(float64(bytes) / float64(rate) * float64(time.Second))
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond)
	}
	return d.Round(time.Second)
}
