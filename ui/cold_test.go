package ui

import (
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/uitest"
)

// Numbers of VMs of the world: one that runs, one that is off, one that is paused.
const (
	runs, isOff, isPaused = 1, 14, 12
)

// moved opens the page of a move of the world's VM number n to node2, by a mode;
// there is what the target says of it when the script is over, "" for nothing yet.
func moved(t *testing.T, n int, mode model.Mode, there model.DomainState, script func(*uitest.Script) *uitest.Script) *driver {
	t.Helper()
	s, began := at(script)
	c := uitest.World(uitest.Epoch)
	p, err := uitest.Plan(c, began, model.Request{VM: uitest.UUID(n), From: "node1", To: "node2", Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	vm := c.VMs[n-1]
	j := uitest.Fold(model.Job{
		ID: "fdxpl5", VM: vm.UUID, VMName: vm.Name, From: "node1", To: "node2", Mode: mode,
		State: model.JobStarting, Started: began, By: "root", Plan: &p,
	}, s.Events)
	if there != "" {
		vm.Node, vm.State = "node2", there
	}
	d := drive(t, c, []model.Job{j})
	d.fake.Say(j.ID, s.Events...)
	return d.press("J", "enter")
}

func cold(ran bool, disk float64) func(*uitest.Script) *uitest.Script {
	return func(s *uitest.Script) *uitest.Script { return s.Cold("node1", "node2", ran, disk) }
}

func coldMoved(ran bool) func(*uitest.Script) *uitest.Script {
	return func(s *uitest.Script) *uitest.Script {
		return s.Cold("node1", "node2", ran, 1).ColdSwitch("node1", "node2", ran, true)
	}
}

// A move without memory has no gauge for any, and its share is that of the disks.
func TestOfflineMoveSpeaksOfNoMemory(t *testing.T) {
	for _, size := range sizes[:2] {
		d := moved(t, runs, model.ModeOffline, "", cold(true, -1)).size(size[0], size[1])
		d.lacks("MEMORY", "dirtied").sees("running here", "an abort now loses nothing: web01 stays on node1", "asked to shut down")
		d = moved(t, runs, model.ModeOffline, "", cold(true, 0.5)).size(size[0], size[1])
		d.lacks("MEMORY", "dirtied", "running here").sees("50 %", "off here", "an abort now loses nothing: web01 is started again on node1", "boots on node2")
		d = moved(t, isOff, model.ModeOffline, "", cold(false, 0.5)).size(size[0], size[1])
		d.lacks("MEMORY", "dirtied", "is started", "boots on").sees("50 %", "off here", "template-deb12 stays on node1", "it is off, and stays so")
		for _, ran := range []bool{true, false} {
			d = moved(t, map[bool]int{true: runs, false: isOff}[ran], model.ModeOffline, "", func(s *uitest.Script) *uitest.Script {
				return s.Cold("node1", "node2", ran, 1).ColdSwitch("node1", "node2", ran, false)
			}).size(size[0], size[1])
			d.lacks("paused here", "both sides stand still", "running here").sees("off here", "node1 cannot start it any more; node2 is looked at before it takes over")
		}
		d = moved(t, runs, model.ModeOffline, model.StateRunning, coldMoved(true)).size(size[0], size[1])
		d.lacks("MEMORY").sees("running here", "to be confirmed")
	}
}

// A guest that is paused for its memory does not run, and how long it may stand
// still at the switch is no question any more.
func TestOnlineMoveIsPausedForItsMemory(t *testing.T) {
	for _, size := range sizes[:2] {
		d := moved(t, runs, model.ModeOnline, "", func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) })
		d.size(size[0], size[1]).sees("paused here").lacks("running here", "then a pause", "d pause")
		d = moved(t, runs, model.ModeLive, "", func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.5) })
		d.size(size[0], size[1]).sees("running here", "then a pause of about")
		d = moved(t, runs, model.ModeLive, "", func(s *uitest.Script) *uitest.Script {
			return s.Copy("node1", "node2", 1, 1).Phase(model.PhaseMemory, model.PhaseOK, "").Phase(model.PhaseGate, model.PhaseActive, "")
		})
		d.size(size[0], size[1]).sees("all of it is across").lacks("to go", "then a pause", "no forecast")
	}
}

// Who is asked about a VM is told what it is now: nothing runs that did not.
func TestQuestionsSayWhatTheVMIs(t *testing.T) {
	for name, tt := range map[string]struct {
		vm            int
		mode          model.Mode
		there         model.DomainState
		script        func(*uitest.Script) *uitest.Script
		confirm, back []string
		never         []string
	}{
		"off before and after": {
			isOff, model.ModeOffline, model.StateShutoff, coldMoved(false),
			[]string{"template-deb12 is off on node2."},
			[]string{"Send back", "as it is now, off", "stays off", "Nothing is lost"},
			[]string{"running", "restore the source", "ran before"},
		},
		"paused": {
			isPaused, model.ModeLive, model.StatePaused,
			func(s *uitest.Script) *uitest.Script {
				return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
			},
			[]string{"win-ad is paused on node2."},
			[]string{"Send back", "as it is now, paused", "Nothing is lost"},
			[]string{"now, running", "restore the source"},
		},
		"runs": {
			runs, model.ModeOffline, model.StateRunning, coldMoved(true),
			[]string{"web01 runs on node2."},
			[]string{"as it is now, running"},
			[]string{"ran before"},
		},
		"ran and is off": {
			runs, model.ModeLive, model.StateShutoff,
			func(s *uitest.Script) *uitest.Script {
				return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
			},
			[]string{"web01 is off on node2.", "it ran before the move"},
			[]string{"Send back", "as it is now, off", "Nothing is lost", "--restore-source", "loses what was written since"},
			[]string{"running.", "restore the source?"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range sizes {
				d := moved(t, tt.vm, tt.mode, tt.there, tt.script).size(size[0], size[1])
				d.press("c").joined(tt.confirm...).press("esc")
				d.press("r").joined(tt.back...)
				d.modalLacks(tt.never...)
				d.press("y")
				if got := d.fake.Done(); len(got) != 1 || got[0].Command.Kind != model.CommandRollback {
					t.Fatalf("got %+v", got)
				}
			}
		})
	}
}

// A guest that is dead on the target can only be restored from what is left on
// the source, and that wants the name.
func TestCrashedGuestIsRestored(t *testing.T) {
	gone := func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "").Wait(20*time.Second).Log("info", "node2", "")
	}
	moved(t, runs, model.ModeLive, model.StateCrashed, gone).press("r").joined("restore the source?", "has crashed on node2", "is lost", "type web01")
	// node2 answers, and says that it has no such VM.
	d := moved(t, runs, model.ModeLive, "", gone)
	c := uitest.World(d.now)
	c.VMs = c.VMs[1:]
	d.fake.Push(&c, nil)
	d.idle()
	d.press("r").joined("restore the source?", "node2 does not know web01 any more", "is lost", "type web01")
}

// A question about a VM is taken back when the VM is not any more what it says.
func TestRollbackQuestionFollowsTheVM(t *testing.T) {
	d := moved(t, runs, model.ModeLive, model.StateRunning, func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
	}).press("r").joined("as it is now, running")
	c := uitest.World(d.now)
	c.VMs[0].Node, c.VMs[0].State = "node2", model.StateShutoff
	d.fake.Push(&c, nil)
	d.idle()
	d.joined("Things have changed").press("y")
	if got := d.fake.Done(); len(got) != 0 {
		t.Fatalf("got %+v", got)
	}
}
