package health

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode"

	"horcrux/config"
	"horcrux/engine/model"
)

// hostile answers every question with the same bytes.
type hostile struct {
	*fakeVM
	raw string
}

func (h hostile) QMP(context.Context, string, any) (json.RawMessage, error) {
	return json.RawMessage(h.raw), nil
}

func (h hostile) Agent(_ context.Context, command string, _ any, _ time.Duration) (json.RawMessage, error) {
	if command == "guest-exec-status" {
		return json.RawMessage(`{"exited":true,"exitcode":1,"err-data":"G1szMW0="}`), nil
	}
	return json.RawMessage(h.raw), nil
}

func (h hostile) XML(context.Context) (string, error) {
	if strings.HasPrefix(h.raw, "<") {
		return h.raw, nil
	}
	return healthyXML, nil
}

func (h hostile) Addresses(context.Context) ([]string, error) { return []string{h.raw}, nil }

// Whatever QEMU, the agent and libvirt answer: no panic, and nothing on the
// screen that a terminal would obey.
func FuzzHostileAnswers(f *testing.F) {
	for _, s := range []string{
		`{}`, `[]`, `null`, `""`, `0`, `{`, "", `[null]`, `[{"inserted":null}]`, `{"status":"\u001b[2J","running":true}`,
		`{"base-memory":18446744073709551615,"plugged-memory":18446744073709551615}`, `{"base-memory":-1}`,
		`[{"thread-id":1e99}]`, `{"host-name":"\u202e\u0000","version":7}`, `{"buf-b64":"////"}`, `1e400`,
		`[{"qdev":"/machine/peripheral/virtio-disk0/x","io-status":"\u0007","inserted":{"image":{"virtual-size":1}}}]`,
		`<domain><devices><disk/><disk><target dev="&#27;"/></disk><interface type="x"/></devices></domain>`, `<domain`,
	} {
		f.Add(s)
	}
	base := Run(context.Background(), healthy(), model.StageBaseline, Options{Clock: newFakeClock(), VMName: "web"}, nil)
	apps := []config.Application{{VM: "*", Command: []string{"x"}, Timeout: time.Second}}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, stage := range []model.CheckStage{model.StageBaseline, model.StageGate, model.StageAfter, model.StageNow} {
			v := healthy()
			if stage == model.StageGate {
				v = paused()
			}
			rs := Run(t.Context(), hostile{v, raw}, stage, Options{Clock: v.clock, VMName: "web", Baseline: base, Applications: apps}, nil)
			for _, r := range rs {
				if strings.Contains(r.Evidence, "itself broke") || strings.Contains(r.Evidence, "reading broke") {
					t.Errorf("%s at %s: %s", r.Check, stage, r.Evidence)
				}
				if strings.ContainsFunc(r.Evidence, func(c rune) bool { return !unicode.IsPrint(c) && c != unicode.ReplacementChar }) {
					t.Errorf("%s at %s: %q", r.Check, stage, r.Evidence)
				}
			}
		}
	})
}
