package model

import (
	"strings"
	"testing"
	"time"
)

func TestElsewhere(t *testing.T) {
	now := time.Now()
	vm := func(uuid, node string, m *Mark) *VM {
		return &VM{UUID: UUID(uuid), Name: "vm" + uuid, Node: NodeName(node), Mark: m}
	}
	mark := func(job string, r MarkRole, ours bool, ago time.Duration) *Mark {
		return &Mark{Job: JobID(job), Role: r, From: "node1", To: "node2", By: "ada@jump", Since: now.Add(-ago), Ours: ours}
	}
	c := Cluster{VMs: []*VM{
		vm("1", "node1", nil),
		vm("2", "node1", mark("j2", RoleWaiting, false, time.Hour)),
		vm("3", "node1", mark("j3", RoleMoving, false, time.Minute)),
		vm("3", "node2", mark("j3", RoleMoving, false, time.Minute)),
		vm("4", "node1", mark("j4", RoleTombstone, false, time.Minute)),
		vm("5", "node1", mark("j5", RoleMoving, true, time.Minute)),
	}}
	var got []string
	for _, j := range c.Elsewhere() {
		if !j.Elsewhere || j.By != "ada@jump" {
			t.Errorf("%+v", j)
		}
		got = append(got, string(j.ID)+":"+j.VMName+":"+string(j.State))
	}
	if s := strings.Join(got, " "); s != "j3:vm3:running j2:vm2:queued" {
		t.Error(s)
	}
}
