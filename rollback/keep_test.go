package rollback

import (
	"strings"
	"testing"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// One line a case: the epoch, what the source and the target say, what a person
// wants, and whether it may be done: ok, or a word of the reason. E3c is
// confirmed, E3b sent back, E3k a restore that was decided, E3kf with the target
// fenced, E3t the target chosen before.
const keepTable = `
E1   pm       running  source -> ok
E1   pm       running  target -> not finished
E1f  pm       running  target -> ok
E1f  pm       pu       target -> ok
E1f  pm       pm       target -> coming in
E1   running  silent   source -> does not answer
E1   silent   pu       source -> does not answer
E2   running  running  source -> ok
E2   running  running  target -> ok
E2   pm       missing  target -> does not know
E2   pm       silent   source -> does not answer
E3   off      off      source -> ok
E3   off      off      target -> ok
E3   off      missing  source -> ok
E3   off      missing  target -> does not know
E3   off      silent   source -> does not answer
E3   silent   off      target -> does not answer
E3   postcopy running  source -> post-copy
E3   odd      off      source -> does not answer
E3c  missing  off      source -> confirmed
E3b  off      off      source -> sent
E3k  off      silent   source -> does not answer
E3kf off      silent   source -> ok
E3kf off      off      target -> chose
E3t  off      off      source -> chose
E3t  off      off      target -> ok
E3   off      off      restore -> ok
E3   off      missing  restore -> ok
E3   off      ioerror  restore -> ok
E3   pm       off      restore -> ok
E3   off      running  restore -> send it back
E3   off      pu       restore -> send it back
E3   off      silent   restore -> does not answer
E1   pm       off      restore -> not switched
E2   pm       off      restore -> not switched
E3c  missing  off      restore -> confirmed
E3k  off      running  restore -> ok
`

func keepView(t *testing.T, epoch string) journal.View {
	t.Helper()
	base := epoch[:2]
	if strings.HasPrefix(epoch, "E1f") {
		base = "E1f"
	}
	v := view(t, base)
	v.Plan = &model.Plan{Request: model.Request{From: "node1", To: "node2"}, VMName: "web", Was: words["running"]}
	switch epoch {
	case "E3c":
		v.Confirmed = true
	case "E3b":
		v.SentBack = "abc234"
	case "E3k":
		v.Keep = "node1"
	case "E3kf":
		v.Keep, v.TargetFenced = "node1", true
	case "E3t":
		v.Keep = "node2"
	}
	return v
}

func TestCanKeep(t *testing.T) {
	for _, line := range strings.Split(strings.TrimSpace(keepTable), "\n") {
		left, want, _ := strings.Cut(line, "->")
		want = strings.TrimSpace(want)
		f := strings.Fields(left)
		t.Run(strings.Join(f, "/"), func(t *testing.T) {
			v := keepView(t, f[0])
			var err error
			switch f[3] {
			case "restore":
				err = CanRestore(v, words[f[1]], words[f[2]])
			default:
				err = CanKeep(v, words[f[1]], words[f[2]], Side(f[3]))
			}
			got := "ok"
			if err != nil {
				got = err.Error()
			}
			if (want == "ok") != (got == "ok") || !strings.Contains(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// The source is never brought back beside a target that was not seen.
func TestCanKeepNever(t *testing.T) {
	for _, epoch := range []string{"E1", "E1f", "E2", "E3", "E3k"} {
		for sw, s := range words {
			for dw, d := range words {
				v := keepView(t, epoch)
				if (dw == "silent" || dw == "odd") && CanKeep(v, s, d, Source) == nil {
					t.Errorf("%s/%s/%s: the source is kept without seeing the target", epoch, sw, dw)
				}
				if (sw == "silent" || sw == "odd") && CanKeep(v, s, d, Target) == nil {
					t.Errorf("%s/%s/%s: the target is kept without seeing the source", epoch, sw, dw)
				}
				for _, c := range Choices(v, s, d, time.Now()) {
					if c.Loses == "" || (c.Command == "") == (c.Refused == "") {
						t.Errorf("%s/%s/%s: %+v", epoch, sw, dw, c)
					}
				}
			}
		}
	}
}

func TestLossIsNamed(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 10, 0, 0, time.UTC)
	v := keepView(t, "E3")
	v.CommittedAt = now.Add(-10 * time.Minute)
	if s := Choices(v, words["off"], words["off"], now)[0].Loses; !strings.Contains(s, "10m0s ago") || !strings.Contains(s, "boots anew") {
		t.Error(s)
	}
	if s := Choices(keepView(t, "E1"), words["pm"], words["pu"], now)[0].Loses; !strings.HasPrefix(s, "nothing") {
		t.Error(s)
	}
	v.Plan.Disks = []model.DiskPlan{{Decision: model.DiskShared}}
	if s := Choices(v, words["pm"], words["off"], now)[0].Loses; !strings.Contains(s, "memory") || strings.Contains(s, "everything") {
		t.Error(s)
	}
}

// What a copy wrote while it ran beside a move is not forgotten because it was
// suspended since.
func TestRanBesideStaysAPersonsMatter(t *testing.T) {
	v := keepView(t, "E1")
	v.TargetRan = true
	if d := Decide(v, words["pm"], words["pu"]); d.Action != ActPerson {
		t.Errorf("E1: %+v", d)
	}
	v = keepView(t, "E3")
	v.SourceRan = true
	if d := Decide(v, words["pu"], words["running"]); d.Action != ActPerson || d.Owner != Target {
		t.Errorf("E3: %+v", d)
	}
	v.Keep = "node2"
	if d := Decide(v, words["pu"], words["running"]); d.Action != ActComplete {
		t.Errorf("E3, chosen: %+v", d)
	}
}
