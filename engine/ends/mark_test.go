package ends

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// What a mark says is read as it was written, its time to the last digit: two
// consoles whose moves came within one second must agree on which came first, or
// each would wait for the other for ever.
func TestAMarkIsReadAsWritten(t *testing.T) {
	want := model.Mark{
		Job: "abc234", Role: model.RoleWaiting, From: "node1", To: "node2", By: "ada <ops> & co@jump", Console: "c0ffee",
		Since: time.Date(2026, 11, 28, 4, 20, 0, 123456789, time.UTC), Was: model.StateRunning, Memory: 384 << 20, Autostart: true,
		Copies: []string{"vda", "vdb"}, Beat: 7,
	}
	xml, err := markXML(want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, virt.ParseMark(xml)); diff != "" {
		t.Error(diff)
	}
}
