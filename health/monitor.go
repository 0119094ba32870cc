package health

import (
	"context"
	"fmt"

	"horcrux/engine/model"
)

// checkMonitor asks QEMU itself, through libvirt, whether it runs, and compares
// with what libvirt says: the two may differ after a fault.
func checkMonitor(ctx context.Context, e *exam) finding {
	var status struct {
		Status  string `json:"status"`
		Running bool   `json:"running"`
	}
	began := e.o.Clock.Now()
	if err := e.qmp(ctx, "query-status", &status); err != nil {
		return failed("QEMU's monitor does not answer: %s", why(err))
	}
	n := newNotes()
	trip := e.o.Clock.Now().Sub(began)
	word := clean(status.Status)
	n.fact("status", word)
	n.say("QEMU says %s in %s", word, ms(trip))

	if st, err := e.status(ctx); err == nil && e.stage != model.StageGate {
		// The state may have changed between the two questions: a running guest
		// that is being resumed or paused right now is looked at once more.
		if says := st.State == model.StateRunning; says != status.Running && !e.agreeNow(ctx) {
			n.fail("libvirt says %s and QEMU says %s", clean(st.String()), word)
		}
	}
	if e.stage == model.StageGate {
		if status.Running {
			n.fail("QEMU runs the guest, and should not before the switch")
		}
		return n.finding()
	}
	if v := e.qemuVersion(ctx); v != "" {
		n.fact("version", v)
		n.say("QEMU %s", v)
	}
	return n.finding()
}

// agreeNow asks both again.
func (e *exam) agreeNow(ctx context.Context) bool {
	st, err := e.t.Status(ctx)
	if err != nil {
		return false
	}
	raw, err := e.t.QMP(ctx, "query-status", nil)
	if err != nil {
		return false
	}
	var status struct {
		Running bool `json:"running"`
	}
	return decode("query-status", raw, &status) == nil && status.Running == (st.State == model.StateRunning)
}

func (e *exam) qemuVersion(ctx context.Context) string {
	var v struct {
		QEMU struct{ Major, Minor, Micro int }
	}
	if err := e.qmp(ctx, "query-version", &v); err != nil {
		return ""
	}
	return fmt.Sprintf("%d.%d.%d", v.QEMU.Major, v.QEMU.Minor, v.QEMU.Micro)
}
