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
