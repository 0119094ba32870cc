package engine

import (
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

func TestFindOrphans(t *testing.T) {
	mark := func(job, console string, role model.MarkRole) *model.Mark {
		return &model.Mark{Job: model.JobID(job), Console: console, Role: role, From: "node1", To: "node2"}
	}
	vm := func(uuid, node string, state model.DomainState, reason string, m *model.Mark) *model.VM {
		return &model.VM{UUID: model.UUID(uuid), Name: "vm" + uuid, Node: model.NodeName(node), State: state, Reason: reason, Mark: m}
	}
	c := model.Cluster{VMs: []*model.VM{
		vm("1", "node1", model.StateRunning, "booted", nil),
		vm("2", "node1", model.StateRunning, "booted", mark("known1", "me", model.RoleMoving)),
		vm("3", "node1", model.StateRunning, "booted", mark("lost11", "me", model.RoleMoving)),
		vm("4", "node1", model.StateRunning, "booted", mark("other1", "them", model.RoleMoving)),
		vm("5", "node1", model.StateShutoff, "migrated", mark("other2", "them", model.RoleTombstone)),
		vm("6", "node1", model.StateShutoff, "migrated", mark("lost22", "me", model.RoleTombstone)),
		vm("7", "node1", model.StatePaused, "migration", nil),
		vm("8", "node1", model.StatePaused, "migration", nil),
		vm("a", "node1", model.StateRunning, "booted", nil),
		vm("a", "node2", model.StatePaused, "migration", nil),
		vm("9", "node1", model.StatePaused, "migration", nil),
		vm("9", "node2", model.StateRunning, "migrated", mark("lost33", "me", model.RoleMoving)),
		vm("b", "node1", model.StateRunning, "booted", mark("known1", "me", model.RoleWaiting)),
		vm("c", "node1", model.StateRunning, "booted", mark("known1", "me", model.RoleWaiting)),
		vm("d", "node1", model.StateRunning, "booted", mark("other3", "them", model.RoleWaiting)),
	}}
	for gone, want := range map[bool]string{
		false: "vm3:lost11 vm4:other1 vm6:lost22 vm7: vm9:lost33 vmb:known1",
		true:  "vm3:lost11 vm4:other1 vm5:other2 vm6:lost22 vm7: vm9:lost33 vmb:known1 vmd:other3",
	} {
		var got []string
		for _, o := range findOrphans(c, "me", gone, func(id model.JobID) bool { return id == "known1" }, map[model.UUID]bool{"8": true, "c": true}) {
			got = append(got, o.Name+":"+string(o.Mark.Job))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("gone %v: %s", gone, s)
		}
	}
}

func TestMayLive(t *testing.T) {
	now := time.Now()
	for name, tt := range map[string]struct {
		m    model.Mark
		gone bool
		live bool
	}{
		"nobody said that it is gone": {model.Mark{Since: now.Add(-time.Hour)}, false, true},
		"said, and old":               {model.Mark{Since: now.Add(-time.Hour)}, true, false},
		"said, but just begun":        {model.Mark{Since: now.Add(-time.Second)}, true, true},
		"said, of an older version":   {model.Mark{}, true, false},
	} {
		if why := mayLive(tt.m, tt.gone, now); (why != "") != tt.live {
			t.Errorf("%s: %q", name, why)
		}
	}
}
