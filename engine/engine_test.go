package engine

import (
	"testing"

	"horcrux/engine/model"
)

func TestCopiesThatAreNotTheVM(t *testing.T) {
	const id = model.UUID("c0ffee00-0000-4000-8000-000000000001")
	running := model.VM{UUID: id, Node: "node1", State: model.StateRunning}
	incoming := model.VM{UUID: id, Node: "node2", State: model.StatePaused, Reason: "migration"}
	gated := model.VM{UUID: id, Node: "node2", State: model.StatePaused, Reason: "user"}
	frozen := model.VM{UUID: id, Node: "node1", State: model.StatePaused, Reason: "migration"}
	tomb := model.VM{UUID: id, Node: "node1", State: model.StateShutoff, Tombstone: true}
	moved := model.VM{UUID: id, Node: "node2", State: model.StateRunning}
	marked := func(v model.VM) model.VM {
		v.Mark = &model.Mark{Job: "k3f9x2", Role: model.RoleMoving, From: "node1", To: "node2"}
		return v
	}
	unknown := model.VM{UUID: id, Node: "node1", State: model.StateNone}
	job := model.Job{ID: "k3f9x2", VM: id, From: "node1", To: "node2", State: model.JobRunning}
	switched := job
	switched.Switched = true
	ended := job
	ended.State = model.JobUndone

	tests := []struct {
		name string
		vms  []model.VM
		jobs []model.Job
		want []bool // arriving
	}{
		{"our move copies", []model.VM{running, incoming}, []model.Job{job}, []bool{false, true}},
		{"another console's move copies", []model.VM{running, incoming}, nil, []bool{false, true}},
		{"another console's move at the gate", []model.VM{marked(frozen), marked(gated)}, nil, []bool{false, true}},
		{"another console's move is over, not confirmed", []model.VM{marked(tomb), marked(gated)}, nil, []bool{false, false}},
		{"only the copy is known", []model.VM{unknown, marked(incoming)}, nil, []bool{false, false}},
		{"our move at the gate", []model.VM{frozen, gated}, []model.Job{job}, []bool{false, true}},
		{"after the switch", []model.VM{tomb, moved}, []model.Job{switched}, []bool{false, false}},
		{"paused by its user", []model.VM{gated}, nil, []bool{false}},
		{"an older job failed", []model.VM{running, incoming}, []model.Job{job, ended}, []bool{false, true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var in model.Cluster
			for i := range tt.vms {
				in.VMs = append(in.VMs, &tt.vms[i])
			}
			got := withJobs(in, tt.jobs)
			for i, want := range tt.want {
				if got.VMs[i].Arriving != want {
					t.Errorf("%s on %s: arriving %v, want %v", got.VMs[i].State, got.VMs[i].Node, got.VMs[i].Arriving, want)
				}
				if in.VMs[i].Arriving {
					t.Error("the argument was changed")
				}
			}
		})
	}
}
