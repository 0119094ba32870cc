package ui

import (
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
			return drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("web01").press("enter", "enter")
		}},
		{"node", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("shift+tab", "enter")
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
				return half(s).Undo("node1", "aborted by root", 3)
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
		{"jobs", func(t *testing.T) *driver {
			var jobs []model.Job
			s, began := at(half)
			jobs = append(jobs, uitest.Fold(move("web01-node2-7f3a", 1, "web01", "node1", "node2", began), s.Events))
			s, began = at(func(s *uitest.Script) *uitest.Script {
				return s.Copy("node1", "node2", 1, 1).Switch("node1", "node2", "").Confirm("node1", "node2")
			})
			jobs = append(jobs, uitest.Fold(move("git-node2-0b21", 8, "git", "node1", "node2", began), s.Events))
			s, began = at(func(s *uitest.Script) *uitest.Script { return half(s).Undo("node3", "aborted by root", 6) })
			jobs = append(jobs, uitest.Fold(move("db02-node1-9c77", 5, "db02", "node3", "node1", began), s.Events))
			gone := move("queue-node1-44aa", 6, "queue", "node2", "node1", uitest.Epoch.Add(-3*time.Hour))
			gone.State = model.JobInterrupted
			return drive(t, uitest.World(uitest.Epoch), append(jobs, gone)).press("J")
		}},
		{"help", func(t *testing.T) *driver { return withJob(t, half).press("?") }},
		{"command", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press(":").typed("migrate we")
		}},
		{"ask-abort", func(t *testing.T) *driver { return withJob(t, half).press("a") }},
		{"sort", func(t *testing.T) *driver { return drive(t, uitest.World(uitest.Epoch), nil).press("s") }},
		{"empty", func(t *testing.T) *driver { return drive(t, model.Cluster{At: uitest.Epoch}, nil) }},
		{"log", func(t *testing.T) *driver {
			return drive(t, uitest.World(uitest.Epoch), nil).press("shift+tab", "m", "L")
		}},
	}
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
