package maintenance

import (
	"os"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

func TestJudge(t *testing.T) {
	since := time.Date(2026, 3, 4, 5, 6, 0, 0, time.UTC)
	marks := Marks{"node2": {Since: since, By: "ann", Why: "new disks"}, "node3": {Since: since, By: "bob"}}
	other := model.Finding{ID: "cpu", Verdict: model.Pass}
	older := model.Finding{ID: FindingID, Verdict: model.Fail, Detail: "long ago"}
	for _, c := range []struct {
		name string
		to   model.NodeName
		had  []model.Finding
		want string // the detail of what blocks; empty for nothing
		left int
	}{
		{"not marked", "node1", []model.Finding{other}, "", 1},
		{"marked", "node2", []model.Finding{other}, "node2 is in maintenance since 2026-03-04 05:06, by ann: new disks", 2},
		{"marked without a reason", "node3", nil, "node3 is in maintenance since 2026-03-04 05:06, by bob", 1},
		{"found before", "node2", []model.Finding{older, other}, "node2 is in maintenance since 2026-03-04 05:06, by ann: new disks", 2},
		{"ended since", "node1", []model.Finding{older, other}, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := model.Plan{Request: model.Request{From: "node0", To: c.to}, Findings: c.had}
			got := marks.Judge(p)
			detail := ""
			if b := got.Blocking(); b != nil {
				detail = b.Detail
			}
			if detail != c.want || len(got.Findings) != c.left {
				t.Errorf("%+v", got.Findings)
			}
			if len(p.Findings) != len(c.had) || len(c.had) > 0 && p.Findings[0].ID != c.had[0].ID {
				t.Errorf("the plan that was judged was changed: %+v", p.Findings)
			}
		})
	}
}

// A source in maintenance is what moves away from it are for.
func TestJudgeLooksAtTheTargetOnly(t *testing.T) {
	p := Marks{"node1": {}}.Judge(model.Plan{Request: model.Request{From: "node1", To: "node2"}})
	if b := p.Blocking(); b != nil {
		t.Error(b)
	}
}

func TestMarksOfAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	here, there := Open(dir), Open(dir)
	if err := there.Set("node2", true, model.Maintenance{Since: time.Now(), By: "ann"}); err != nil {
		t.Fatal(err)
	}
	to2 := model.Plan{Request: model.Request{From: "node1", To: "node2"}}
	if Judge(dir, to2).Blocking() == nil {
		t.Error("a mark that was just made does not refuse the plan")
	}
	if !here.Changed() || here.Changed() {
		t.Error("the change was not seen once")
	}
	c := here.Onto(model.Cluster{Nodes: []model.Node{{Name: "node1"}, {Name: "node2"}}})
	if c.Nodes[0].Maintenance != nil || c.Nodes[1].Maintenance == nil || c.Nodes[1].Maintenance.By != "ann" {
		t.Errorf("%+v", c.Nodes)
	}
	if err := here.Set("node2", false, model.Maintenance{}); err != nil {
		t.Fatal(err)
	}
	if b := Judge(dir, to2).Blocking(); b != nil {
		t.Error(b)
	}
}

func TestUnreadableMarksRefuse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(pathIn(dir), []byte("{half"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := Judge(dir, model.Plan{}).Blocking()
	if b == nil || !strings.Contains(b.Detail, pathIn(dir)) || b.Remedy == "" {
		t.Errorf("%+v", b)
	}
	if err := Open(dir).Set("node1", true, model.Maintenance{}); err == nil {
		t.Error("marks that could not be read were written over")
	}
}
