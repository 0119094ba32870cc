package ui

import (
	"testing"

	"horcrux/engine"
)

func TestUnsettledAtTheStart(t *testing.T) {
	d := world(t)
	d.fake.SetUnsettled([]engine.Unsettled{{Job: "abc234", VM: "web01", Text: "its process is gone", Command: "horcrux recover"}})
	d.run(d.app.lookForUnsettled())
	d.sees("web01 is not settled: its process is gone; `horcrux recover` settles it")
	d = world(t)
	d.send(unsettledMsg{[]engine.Unsettled{
		{VM: "web01", Text: "one", Command: "horcrux recover"}, {VM: "db01", Text: "two", Command: "horcrux recover"},
	}}).sees("2 moves left by a crash are not settled", "horcrux recover")
	if l, _ := d.fake.Log(t.Context(), 10); len(l) < 3 {
		t.Errorf("%d lines are kept, want each of them", len(l))
	}
}
