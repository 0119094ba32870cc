package ui

import (
	"slices"
	"strings"
	"testing"

	"horcrux/engine"
	"horcrux/engine/model"
)

// What a lost process left is settled at the start where both nodes answer.
func TestSettledAtTheStart(t *testing.T) {
	d := world(t)
	d.fake.SetUnsettled([]engine.Unsettled{
		{Job: "abc234", VM: "web01", Text: "the process of its move is gone", Command: "horcrux recover", Ready: true},
		{Job: "def567", VM: "db01", Text: "a person must decide", Command: "horcrux recover"},
	})
	d.run(d.app.lookForUnsettled())
	said, _ := d.fake.Log(t.Context(), 10)
	if !slices.ContainsFunc(said, func(l model.LogEntry) bool {
		return strings.Contains(l.Text, "db01 is not settled: a person must decide; `horcrux recover` settles it")
	}) {
		t.Errorf("%+v", said)
	}
	did := d.fake.Done()
	if len(did) != 1 || did[0].Job != "abc234" || did[0].Command.Kind != model.CommandRecover {
		t.Errorf("%+v", did)
	}
}

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
