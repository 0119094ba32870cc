package screen

import (
	"strings"
	"testing"

	"horcrux/engine/model"
)

// TestAGuestThatDoesNotRun has no load, no agent and no address, whatever was
// last known of them: its address may be another guest's by now.
func TestAGuestThatDoesNotRun(t *testing.T) {
	e := env()
	v := *e.Cluster.VMs[0]
	v.State, v.CPUPercent, v.Addresses, v.Agent = model.StateShutoff, 42, []string{"10.20.0.11"}, model.AgentDisconnected
	facts := strings.Join(vmFacts(e, v, 80), "\n")
	for _, c := range vmRow(e, v, false).Cells {
		facts += "\n" + c.Text
	}
	for _, untrue := range []string{"in use", "10.20.0.11", "silent", "nobody answers", "read"} {
		if strings.Contains(facts, untrue) {
			t.Errorf("%q is said of a VM that is off:\n%s", untrue, facts)
		}
	}
}

// TestWhereAVMThatIsOffMayGo asks by the only mode there is for it.
func TestWhereAVMThatIsOffMayGo(t *testing.T) {
	e := env()
	on, off := *e.Cluster.VMs[0], *e.Cluster.VMs[1]
	on.State, off.State = model.StateRunning, model.StateShutoff
	m := NewMatrix(e, []model.VM{on, off})
	_, asked := m.Update(Opened{})
	for _, i := range asked {
		r := i.(AskPlan).Request
		if want := map[model.UUID]model.Mode{on.UUID: model.ModeLive, off.UUID: model.ModeOffline}[r.VM]; r.Mode != want {
			t.Errorf("%s is asked for by %s, want %s", r.VM, r.Mode, want)
		}
	}
}
