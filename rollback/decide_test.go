package rollback

import (
	"strings"
	"testing"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

var words = map[string]model.DomainStatus{
	"running":  {State: model.StateRunning, Reason: "booted"},
	"pm":       {State: model.StatePaused, Reason: "migration"},
	"pu":       {State: model.StatePaused, Reason: "user"},
	"ioerror":  {State: model.StatePaused, Reason: "ioerror"},
	"postcopy": {State: model.StatePaused, Reason: "postcopy"},
	"pcrun":    {State: model.StateRunning, Reason: "postcopy"},
	"pcfail":   {State: model.StatePaused, Reason: "postcopy failed"},
	"pcrunf":   {State: model.StateRunning, Reason: "postcopy failed"},
	"migrated": {State: model.StateShutoff, Reason: "migrated"},
	"off":      {State: model.StateShutoff, Reason: "destroyed"},
	"missing":  {State: model.StateMissing},
	"silent":   {State: model.StateUnreachable},
	"odd":      {State: "a word of a newer libvirt"},
}

// One line a case: the epoch, what the source and the target say, and what
// follows. E1f is E1 with everything transferred, E1r with undo decided.
const table = `
E1  running  missing  -> undo source
E1  running  pm       -> undo source
E1  running  pu       -> undo source
E1  running  running  -> person - suspend target
E1  running  off      -> undo source
E1  running  silent   -> undo source owing
E1  pm       missing  -> undo source
E1  pm       pm       -> undo source
E1f pm       pm       -> undo source
E1f pm       pu       -> undo source
E1f pm       running  -> person - suspend target
E1f pm       off      -> undo source
E1f pm       silent   -> undo source owing
E1  pu       pm       -> undo source
E1  pu       silent   -> undo source owing
E1  ioerror  pm       -> undo source
E1  ioerror  missing  -> undo source
E1  off      missing  -> undo source
E1  off      pm       -> undo source
E1f off      pm       -> forward target
E1f off      pu       -> forward target
E1r off      pu       -> undo source
E1f off      running  -> person - suspend target
E1f off      off      -> undo source
E1f off      silent   -> wait source owing
E1  off      silent   -> undo source owing
E1  missing  missing  -> person source
E1f missing  pm       -> forward target
E1f missing  pu       -> forward target
E1  missing  pm       -> person source
E1  missing  silent   -> person -
E1  missing  off      -> person -
E1  silent   missing  -> wait source
E1  silent   pm       -> wait source
E1f silent   pu       -> wait source
E1  silent   running  -> person - suspend target
E1  silent   silent   -> wait source owing
E1  odd      pm       -> wait source
E1  postcopy pm       -> person -
E1  running  pcrun    -> person target suspend source
E2  running  missing  -> person - suspend source
E2  running  pu       -> person - suspend source
E2  running  running  -> person - suspend source,target
E2  running  silent   -> person - suspend source
E2  pm       missing  -> person -
E2  pm       pm       -> wait target
E2  pm       pu       -> forward target
E2  pm       running  -> complete target
E2  pm       off      -> complete target
E2  pm       silent   -> wait target
E2  off      pu       -> forward target
E2  off      running  -> complete target
E2  missing  running  -> complete target
E2  missing  missing  -> person -
E2  silent   missing  -> person -
E2  silent   pu       -> forward target owing
E2  silent   running  -> complete target owing
E2  silent   silent   -> wait target
E2  odd      odd      -> wait target
E2  pm       pcrun    -> person target
E2q running  missing  -> undo source
E2q running  pm       -> undo source
E2q running  silent   -> undo source owing
E2q running  running  -> person - suspend source,target
E2q running  pcrun    -> person target suspend source
E2p running  missing  -> person - suspend source
E2p postcopy pcrun    -> wait target
E2p postcopy running  -> wait target
E2p postcopy silent   -> wait target
E2p postcopy missing  -> person -
E2p postcopy off      -> person -
E2p postcopy pm       -> person -
E2p postcopy pcrunf   -> resume target
E2p pcfail   pcrun    -> resume target
E2p pcfail   pcrunf   -> resume target
E2p pcfail   pcfail   -> resume target
E2p pcfail   silent   -> wait target
E2p pcfail   missing  -> person -
E2p pcfail   running  -> complete target
E2p pcfail   ioerror  -> complete target
E2p pcfail   pu       -> person -
E3p pcfail   pu       -> complete target
E2p silent   pcrun    -> wait target
E2p silent   pcrunf   -> wait target
E2p off      pcrun    -> person target
E2p migrated pcrun    -> wait target
E2p missing  pcrunf   -> person target
E2p migrated running  -> complete target
E2p off      running  -> complete target
E2p pm       missing  -> person -
E3  running  running  -> person target suspend source
E3  running  pu       -> person target suspend source
E3  running  missing  -> person target suspend source
E3  running  silent   -> person target suspend source
E3  pm       running  -> complete target
E3  pm       pu       -> complete target
E3  pm       ioerror  -> complete target
E3  pm       off      -> complete target
E3  pm       missing  -> person -
E3  pm       silent   -> wait target
E3  off      running  -> complete target
E3  off      missing  -> person -
E3  off      silent   -> wait target
E3  missing  running  -> complete target
E3  silent   running  -> complete target owing
E3  silent   silent   -> wait target
`

func view(t *testing.T, epoch string) journal.View {
	t.Helper()
	v := journal.View{Plan: &model.Plan{Was: words["running"]}, Epoch: journal.BeforeCommit}
	switch epoch {
	case "E1":
	case "E1f":
		v.Performed = true
	case "E1r":
		v.Performed, v.Rollback = true, true
	case "E2":
		v.Performed, v.Epoch = true, journal.CommitUnknown
	case "E2q":
		v.PostCopy, v.Epoch = true, journal.CommitUnknown
	case "E2p":
		v.Performed, v.PostCopy, v.Epoch = true, true, journal.CommitUnknown
	case "E3p":
		v.Performed, v.PostCopy, v.Epoch = true, true, journal.AfterCommit
	case "E3":
		v.Performed, v.Epoch = true, journal.AfterCommit
	default:
		t.Fatalf("unknown epoch %q", epoch)
	}
	return v
}

func (d Decision) short() string {
	s := string(d.Action) + " " + string(d.Owner)
	if d.Owner == Nowhere {
		s += "-"
	}
	if len(d.Suspend) > 0 {
		var ss []string
		for _, x := range d.Suspend {
			ss = append(ss, string(x))
		}
		s += " suspend " + strings.Join(ss, ",")
	}
	if d.Owing {
		s += " owing"
	}
	return s
}

func TestDecide(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(table), "\n") {
		left, want, _ := strings.Cut(line, "->")
		f := strings.Fields(left)
		t.Run(strings.Join(f, "/"), func(t *testing.T) {
			got := Decide(view(t, f[0]), words[f[1]], words[f[2]])
			if got.short() != strings.TrimSpace(want) {
				t.Errorf("got %q, want %q", got.short(), strings.TrimSpace(want))
			}
			if got.Why == "" {
				t.Error("a decision without a reason")
			}
		})
	}
}

// Whatever is seen, some things are never decided.
func TestDecideNever(t *testing.T) {
	for _, epoch := range []string{"E1", "E1f", "E1r", "E2", "E3", "E2p", "E3p"} {
		for sw, s := range words {
			for dw, d := range words {
				dec := Decide(view(t, epoch), s, d)
				at := epoch + "/" + sw + "/" + dw
				if dec.Action == ActUndo && epoch != "E1" && epoch != "E1f" && epoch != "E1r" {
					t.Errorf("%s: the source is brought back after the target may have run", at)
				}
				if dec.Action == ActUndo && dw == "running" {
					t.Errorf("%s: undo beside a running target", at)
				}
				if dec.Action == ActForward && (sw == "running" || dw == "silent" || dw == "missing") {
					t.Errorf("%s: the target is resumed", at)
				}
				if dec.Action == ActForward && epoch == "E1r" {
					t.Errorf("%s: forward after undo was decided", at)
				}
				if (dec.Action == ActUndo || dec.Action == ActForward) && (strings.HasPrefix(sw, "pc") || strings.HasPrefix(dw, "pc") || sw == "postcopy" || dw == "postcopy") {
					t.Errorf("%s: %s during post-copy", at, dec.Action)
				}
				if dec.Action == ActComplete && (sw == "running" || dw == "silent" || dw == "missing") {
					t.Errorf("%s: completed without a target", at)
				}
			}
		}
	}
}
