package ui

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/uitest"
)

// move is a job as it stands after a script.
func move(id string, vm int, name string, from, to model.NodeName, began time.Time) model.Job {
	p, _ := uitest.Plan(uitest.World(uitest.Epoch), began, model.Request{VM: uitest.UUID(vm), From: from, To: to, Mode: model.ModeLive})
	return model.Job{
		ID: model.JobID(id), VM: uitest.UUID(vm), VMName: name, From: from, To: to, Mode: model.ModeLive,
		State: model.JobStarting, Started: began, By: "root from 10.0.0.7", Plan: &p,
	}
}

// at shifts a script so that it ends at the present.
func at(make func(*uitest.Script) *uitest.Script) (*uitest.Script, time.Time) {
	s := make(uitest.NewScript(time.Time{}.Add(time.Hour)))
	last := s.Events[len(s.Events)-1].Time
	began := uitest.Epoch.Add(-last.Sub(time.Time{}.Add(time.Hour)))
	return make(uitest.NewScript(began)), began
}

type scene struct {
	name string
	open func(*testing.T) *driver
}

func withJob(t *testing.T, script func(*uitest.Script) *uitest.Script) *driver {
	t.Helper()
	s, began := at(script)
	j := uitest.Fold(move("web01-node2-7f3a", 1, "web01", "node1", "node2", began), s.Events)
	c := uitest.World(uitest.Epoch)
	if !j.State.Ended() {
		c.VMs[0].Job = j.ID
	}
	d := drive(t, c, []model.Job{j})
	d.fake.Say(j.ID, s.Events...)
	return d.press("J", "enter")
}

func scenes() []scene {
	half := func(s *uitest.Script) *uitest.Script { return s.Copy("node1", "node2", 1, 0.6) }
	return []scene{
		{"cluster", func(t *testing.T) *driver {
			s, began := at(half)
			moving := uitest.Fold(move("web01-node2-7f3a", 1, "web01", "node1", "node2", began), s.Events)
			s2, began2 := at(func(s *uitest.Script) *uitest.Script {
				return s.Copy("node2", "node1", 1, 1).Switch("node2", "node1", "").Wait(90*time.Second).Log("info", "", "")
			})
			waiting := uitest.Fold(move("mail-node1-11ce", 7, "mail", "node2", "node1", began2), s2.Events)
			c := uitest.World(uitest.Epoch)
			c.VMs[0].Job, c.VMs[6].Job = moving.ID, waiting.ID
			return drive(t, c, []model.Job{moving, waiting}).press("down", "space", "space")
		}},
		{"filter", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("node:node1 !web")
		}},
		{"vm", func(t *testing.T) *driver {
			return onVM(t, "web01")
		}},
		{"node", func(t *testing.T) *driver {
			return onNode(t)
		}},
		{"node-down", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("shift+tab", "G", "enter")
		}},
		{"migrate", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("web01").press("enter", "m")
		}},
		{"migrate-refused", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("db01").press("enter", "m", "down")
		}},
		{"migrate-many", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("web").press("enter", "ctrl+a", "m")
		}},
		{"job", func(t *testing.T) *driver { return withJob(t, half) }},
		{"job-diverging", func(t *testing.T) *driver {
			return withJob(t, func(s *uitest.Script) *uitest.Script {
				return half(s).Progress(model.Progress{
					Phase: model.PhaseMemory, DiskTotal: 18 << 30, DiskProcessed: 18 << 30, MemTotal: 4 << 30, MemProcessed: 9 << 30,
					MemRemaining: 1300 << 20, MemRate: 118 << 20, DirtyRate: 140 << 20, Iteration: 7, Throttle: 40,
					Diverging: "the guest dirties 140 MiB/s, the line carries 118 MiB/s",
				})
			})
		}},
		{"job-gate", func(t *testing.T) *driver {
			return withJob(t, func(s *uitest.Script) *uitest.Script {
				s.Copy("node1", "node2", 1, 1)
				return s.Phase(model.PhaseMemory, model.PhaseOK, "").Phase(model.PhaseGate, model.PhaseActive, "").Checks(model.StageGate, "node2", 6*time.Millisecond, "")
			})
		}},
		{"job-awaiting", func(t *testing.T) *driver {
			return withJob(t, func(s *uitest.Script) *uitest.Script {
				return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "")
			})
		}},
		{"job-degraded", func(t *testing.T) *driver {
			return withJob(t, func(s *uitest.Script) *uitest.Script {
				return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", model.CheckApp)
			})
		}},
		{"job-undoing", func(t *testing.T) *driver {
			return withJob(t, func(s *uitest.Script) *uitest.Script {
				return half(s).Undo("node1", model.AbortedByUser, 3)
			})
		}},
		{"job-undone", func(t *testing.T) *driver {
			return withJob(t, func(s *uitest.Script) *uitest.Script {
				return half(s).Undo("node1", "the line to node2 broke: read tcp 10.77.0.11: connection reset by peer", 6)
			})
		}},
		{"job-person", func(t *testing.T) *driver {
			return withJob(t, func(s *uitest.Script) *uitest.Script {
				return half(s).Result(model.Result{
					Outcome: model.OutcomePerson, Reason: "node2 does not answer since the switch was ordered",
					Next: "bring node2 back, or fence it; then `horcrux recover`",
				})
			})
		}},
		{"job-decide", func(t *testing.T) *driver { return withJob(t, undecided) }},
		{"job-interrupted", func(t *testing.T) *driver {
			s, began := at(half)
			j := uitest.Fold(move("web01-node2-7f3a", 1, "web01", "node1", "node2", began), s.Events)
			j.State = model.JobInterrupted
			j.Interrupted = &model.Result{
				Outcome: model.OutcomePerson, Reason: "the process of this move ended before the move did; node2 was told to run the VM, and its answer was not heard",
				Next: "run: horcrux recover, which looks at both nodes and settles it",
			}
			d := drive(t, uitest.World(uitest.Epoch), []model.Job{j})
			d.fake.Say(j.ID, s.Events...)
			return d.press("J", "enter")
		}},
		{"ask-settle", func(t *testing.T) *driver {
			j := move("web01-node2-7f3a", 1, "web01", "node1", "node2", uitest.Epoch.Add(-time.Minute))
			j.State, j.Interrupted = model.JobInterrupted, &model.Result{Outcome: model.OutcomePerson, Owner: "node1"}
			return drive(t, uitest.World(uitest.Epoch), []model.Job{j}).press("J", "enter", "s")
		}},
		{"ask-keep", func(t *testing.T) *driver { return withJob(t, undecided).press("o", "enter") }},
		{"jobs", func(t *testing.T) *driver {
			var jobs []model.Job
			s, began := at(half)
			jobs = append(jobs, uitest.Fold(move("web01-node2-7f3a", 1, "web01", "node1", "node2", began), s.Events))
			s, began = at(func(s *uitest.Script) *uitest.Script {
				return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "").Confirm("node1", "node2")
			})
			jobs = append(jobs, uitest.Fold(move("git-node2-0b21", 8, "git", "node1", "node2", began), s.Events))
			s, began = at(func(s *uitest.Script) *uitest.Script { return half(s).Undo("node3", model.AbortedByUser, 6) })
			jobs = append(jobs, uitest.Fold(move("db02-node1-9c77", 5, "db02", "node3", "node1", began), s.Events))
			gone := move("queue-node1-44aa", 6, "queue", "node2", "node1", uitest.Epoch.Add(-3*time.Hour))
			gone.State = model.JobInterrupted
			return drive(t, uitest.World(uitest.Epoch), append(jobs, gone)).press("J")
		}},
		{"cluster-grouped", func(t *testing.T) *driver {
			c := uitest.World(uitest.Epoch)
			c.VMs[3].Tags, c.VMs[4].Tags = []string{"prod", "sql"}, []string{"prod", "sql"}
			c.Nodes[1].Maintenance = &model.Maintenance{Since: uitest.Epoch.Add(-time.Hour), By: "anna", Why: "new power supply"}
			return loaded(drive(t, c, nil)).press("N")
		}},
		{"vm-disks", func(t *testing.T) *driver { return onVM(t, "db01").press("2") }},
		{"vm-snapshots", func(t *testing.T) *driver { return onVM(t, "db01").press("3", "j") }},
		{"vm-xml", func(t *testing.T) *driver {
			return onVM(t, "db01").press("/").typed("vda").press("enter")
		}},
		{"vm-history", func(t *testing.T) *driver { return onVM(t, "web01").press("5") }},
		{"vm-health", func(t *testing.T) *driver { return onVM(t, "db01").press("e") }},
		{"vm-refused", func(t *testing.T) *driver {
			d := drive(t, uitest.World(uitest.Epoch), nil)
			d.fake.DetailErr = errors.New("cannot read the domain's XML on node1: no answer from libvirt in time")
			return d.press("/").typed("db01").press("enter", "enter", "4")
		}},
		{"node-storage", func(t *testing.T) *driver { return onNode(t).press("2") }},
		{"node-networks", func(t *testing.T) *driver { return onNode(t).press("3") }},
		{"node-capabilities", func(t *testing.T) *driver { return onNode(t).press("4") }},
		{"matrix", func(t *testing.T) *driver {
			c := uitest.World(uitest.Epoch)
			c.Nodes[1].Maintenance = &model.Maintenance{Since: uitest.Epoch.Add(-time.Hour), By: "anna", Why: "new power supply"}
			return drive(t, c, nil).press("/").typed("b0").press("enter", "ctrl+a", "x", "j", "l")
		}},
		{"doctor", func(t *testing.T) *driver {
			d := drive(t, uitest.World(uitest.Epoch), nil)
			d.fake.Report = uitest.Reports()
			return d.press("T", "j")
		}},
		{"acts", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("win-ad").press("enter", "a")
		}},
		{"force-off", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("mail").press("enter", "a", "f").typed("mai")
		}},
		{"columns", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("w", "j", "j", "space")
		}},
		{"maintenance", func(t *testing.T) *driver { return onNode(t).press("M").typed("new disks") }},
		{"help", func(t *testing.T) *driver { return withJob(t, half).press("?") }},
		{"command", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press(":").typed("migrate we")
		}},
		{"job-offline", func(t *testing.T) *driver { return moved(t, runs, model.ModeOffline, "", cold(true, 0.5)) }},
		{"ask-back-off", func(t *testing.T) *driver {
			return moved(t, isOff, model.ModeOffline, model.StateShutoff, coldMoved(false)).press("r")
		}},
		{"ask-abort", func(t *testing.T) *driver { return withJob(t, half).press("a") }},
		{"sort", func(t *testing.T) *driver { return drive(t, uitest.World(uitest.Epoch), nil).press("s") }},
		{"empty", func(t *testing.T) *driver { return drive(t, model.Cluster{At: uitest.Epoch}, nil) }},
		{"log", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("shift+tab", "m", "L")
		}},
	}
}

// loaded gives the nodes, and the VM looked at, some readings.
func loaded(d *driver) *driver {
	for i := range 40 {
		c := uitest.World(d.now.Add(time.Second))
		for k := range c.Nodes {
			n := &c.Nodes[k]
			n.CPUPercent = float64((i*17+k*29)%60) + 10*float64(k)
			n.Maintenance = d.app.env.Cluster.Nodes[k].Maintenance
		}
		for k := range c.VMs {
			v := c.VMs[k]
			wave := float64((i*7+k*13)%19) / 19
			v.CPUPercent *= 0.3 + wave
			v.DiskWrite, v.NetRx, v.HostMemory = v.DiskWrite*wave, v.NetRx*(1-wave), uint64(float64(v.Memory)*(0.6+wave/4))
			v.Tags = d.app.env.Cluster.VMs[k].Tags
		}
		d.now = d.now.Add(time.Second)
		d.fake.Push(&c, nil)
		d.idle()
	}
	return d
}

func onVM(t *testing.T, vm string) *driver {
	var jobs []model.Job
	s, began := at(func(s *uitest.Script) *uitest.Script {
		return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "").Confirm("node1", "node2")
	})
	jobs = append(jobs, uitest.Fold(move("web01-node2-0b21", 1, "web01", "node1", "node2", began), s.Events))
	d := drive(t, uitest.World(uitest.Epoch), jobs)
	d.fake.VM, d.fake.Checks = uitest.VMDetails(), uitest.HealthChecks()
	return loaded(d.press("/").typed(vm).press("enter", "enter"))
}

func onNode(t *testing.T) *driver {
	d := drive(t, uitest.World(uitest.Epoch), nil)
	d.fake.Node = uitest.NodeDetails()
	return loaded(d.press("shift+tab", "enter"))
}

var sizes = [][2]int{{80, 24}, {120, 40}, {200, 60}}

func TestGolden(t *testing.T) {
	for _, sc := range scenes() {
		for _, size := range sizes {
			w, h := size[0], size[1]
			t.Run(fmt.Sprintf("%s/%dx%d", sc.name, w, h), func(t *testing.T) {
				d := sc.open(t).size(w, h)
				fits(t, d, w, h)
				golden(t, d, fmt.Sprintf("%s-%dx%d", sc.name, w, h))
				coloured(t, d, fmt.Sprintf("%s-%dx%d", sc.name, w, h))
			})
		}
	}
}

func TestGoldenASCII(t *testing.T) {
	for _, sc := range scenes() {
		if sc.name != "cluster" && sc.name != "job" {
			continue
		}
		t.Run(sc.name, func(t *testing.T) {
			d := sc.open(t)
			d.app.ascii = true
			d.size(100, 30)
			fits(t, d, 100, 30)
			for _, r := range d.app.content() {
				if r > '~' {
					t.Fatalf("%U is not ASCII", r)
				}
			}
			golden(t, d, sc.name+"-ascii-100x30")
		})
	}
}

// TestSizes draws every scene in windows of all kinds, the absurd first.
func TestSizes(t *testing.T) {
	for _, sc := range scenes() {
		t.Run(sc.name, func(t *testing.T) {
			d := sc.open(t)
			for w := range 4 {
				for h := range 4 {
					fits(t, d.size(w, h), w, h)
				}
			}
			for _, s := range [][2]int{{59, 14}, {60, 15}, {61, 16}, {79, 20}, {80, 23}, {100, 29}, {119, 31}, {121, 50}, {159, 40}, {160, 45}, {181, 20}, {300, 90}, {1, 100}, {500, 15}} {
				fits(t, d.size(s[0], s[1]), s[0], s[1])
				for _, page := range d.app.stack { // pages alone, in boxes that the frame would never give
					for _, p := range [][2]int{{0, 0}, {1, 1}, {2, 3}, {3, 2}, {10, 4}, {40, 2}} {
						page.View(p[0], p[1])
					}
				}
			}
			d.size(59, 14).sees("needs 60x15")
		})
	}
}

// undecided is a move of which both nodes have a copy that ran.
func undecided(s *uitest.Script) *uitest.Script {
	side := func(node model.NodeName, state model.DomainState, after time.Duration) model.SideFacts {
		return model.SideFacts{Node: node, Status: model.DomainStatus{State: state}, Disks: []model.FileFact{
			{Path: "/var/lib/libvirt/images/web01.qcow2", Size: 9 << 30, Written: uitest.Epoch.Add(after)},
		}}
	}
	return s.Copy("node1", "node2", 1, 0.5).Result(model.Result{
		Outcome: model.OutcomePerson, Reason: "web01 was started on node1 by hand after the switch",
		Next: "horcrux recover web01-node2-7f3a --keep node1, or --keep node2",
		Decide: &model.Decision{
			Sides: []model.SideFacts{side("node1", model.StatePaused, 0), side("node2", model.StateRunning, time.Minute)},
			Choices: []model.Choice{
				{Keep: "node1", Loses: "what the guest wrote on node2 since the switch"},
				{Keep: "node2", Loses: "what the guest wrote on node1 since it was started by hand"},
			},
		},
	})
}
