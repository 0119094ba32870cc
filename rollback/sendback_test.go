package rollback

import (
	"strings"
	"testing"

	"horcrux/engine/model"
)

func TestCanSendBack(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(`
E3   running  -> live
E3   pu       -> live
E3   off      -> offline
E3   crashed  -> --restore-source
E3   missing  -> --restore-source
E3   ioerror  -> mend the storage
E3   silent   -> does not answer
E3   pm       -> under way
E3   postcopy -> post-copy
E3c  running  -> confirmed
E3b  running  -> sent it back
E3k  running  -> chose
`), "\n") {
		left, want, _ := strings.Cut(line, "->")
		want = strings.TrimSpace(want)
		f := strings.Fields(left)
		v := keepView(t, f[0])
		v.Plan.Mode = model.ModeLive
		st := words[f[1]]
		if f[1] == "crashed" {
			st = model.DomainStatus{State: model.StateCrashed}
		}
		mode, err := CanSendBack(v, st)
		got := string(mode)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, want) || (err == nil) != (got == want) {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

// A VM that came paused, and has not run since, is only sent on where its disks
// are copied: QEMU would abort over shared ones, and take the memory with it.
func TestPausedOnSharedStorageRunsBeforeItIsSentBack(t *testing.T) {
	for _, tt := range []struct {
		was, is  string
		decision model.DiskDecision
		ok       bool
	}{
		{"pu", "pu", model.DiskShared, false},
		{"pu", "running", model.DiskShared, true},
		{"pu", "pu", model.DiskCopy, true},
		{"running", "pu", model.DiskShared, true},
	} {
		v := keepView(t, "E3")
		v.Plan.Mode, v.Plan.Was = model.ModeLive, words[tt.was]
		v.Plan.Disks = []model.DiskPlan{{Decision: tt.decision}}
		_, err := CanSendBack(v, words[tt.is])
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "resume it on "+string(v.Plan.To)) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}
