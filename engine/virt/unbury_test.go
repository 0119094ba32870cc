package virt

import "testing"

func TestUnbury(t *testing.T) {
	const plain = `<disk><source file='/img/a.qcow2'/><source dev="/dev/x"/></disk>`
	const tomb = `<disk><source file='/img/a.qcow2.moved-to-node2-by-abc234'/><source dev="/dev/x.moved-to-node2-by-abc234"/></disk>`
	if got := Unbury(tomb); got != plain {
		t.Error(got)
	}
	if got := Unbury(plain); got != plain {
		t.Error(got)
	}
}
