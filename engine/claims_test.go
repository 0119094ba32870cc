package engine

import (
	"slices"
	"testing"

	"horcrux/engine/model"
)

func TestBoundFor(t *testing.T) {
	vm := func(node, to string, r model.MarkRole, ours bool) *model.VM {
		return &model.VM{Node: model.NodeName(node), Mark: &model.Mark{Job: "abc234", Role: r, To: model.NodeName(to), Ours: ours}}
	}
	c := model.Cluster{VMs: []*model.VM{
		{Node: "node9"},
		vm("node3", "node2", model.RoleWaiting, false),
		vm("node3", "node2", model.RoleMoving, false),
		vm("node4", "node2", model.RoleMoving, false),
		vm("node1", "node2", model.RoleMoving, false),
		vm("node2", "node2", model.RoleMoving, false),
		vm("node5", "node2", model.RoleTombstone, false),
		vm("node6", "node2", model.RoleMoving, true),
		vm("node7", "node8", model.RoleMoving, false),
	}}
	p := model.Plan{Request: model.Request{From: "node1", To: "node2"}}
	if got := boundFor(c, p); !slices.Equal(got, []model.NodeName{"node3", "node4"}) {
		t.Error(got)
	}
}
