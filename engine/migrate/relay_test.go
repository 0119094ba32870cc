package migrate

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

func TestRelaySockets(t *testing.T) {
	dir := model.RelayDir("k3f9x2")
	for vm, want := range map[string]string{
		"web":                   "web",
		"a b":                   "vm",
		"a/../../etc":           "vm",
		"ü":                     "vm",
		strings.Repeat("x", 40): strings.Repeat("x", 40),
		strings.Repeat("x", 90): "vm",
	} {
		m, d := relaySockets(dir, vm)
		for _, s := range []string{m, d} {
			if !strings.HasSuffix(s, ".tunnelmigrate.dest."+want) || len(s) > maxSocket || strings.Count(s, "/") != strings.Count(dir, "/")+1 {
				t.Errorf("%q: %s", vm, s)
			}
		}
		if m == d {
			t.Errorf("%q: both are %s", vm, m)
		}
	}
}

// simRelay carries nothing, and fails where it is told to.
type simRelay struct {
	s    *sim
	fail string
}

func (r *simRelay) act(name string) error {
	r.s.mu.Lock()
	defer r.s.mu.Unlock()
	r.s.calls = append(r.s.calls, "relay."+name)
	if r.fail == name {
		return errors.New("no " + name)
	}
	return nil
}

func (r *simRelay) Make(context.Context, string) error      { return r.act("make") }
func (r *simRelay) Login(context.Context) error             { return r.act("login") }
func (r *simRelay) Listen(context.Context, ...string) error { return r.act("listen") }
func (r *simRelay) Err() error                              { return nil }
func (r *simRelay) Close()                                  { _ = r.act("close") }

func TestRelayIsJournalledAndLeavesNothing(t *testing.T) {
	for i, fail := range []string{"", "make", "login", "listen", "perform", "", "make", "login", "listen", "perform"} {
		t.Run("fail "+fail, func(t *testing.T) {
			s := newSim()
			if fail == "perform" {
				s.fail[fail] = errSaid
			}
			plan := simPlan()
			plan.Way = []model.DataPath{model.PathRelay, model.PathSSH}[i/5]
			j := simJob(t, s, plan)
			var kinds []journal.Kind
			j.Journal.After = func(r journal.Record) {
				kinds = append(kinds, r.Kind)
				if r.Kind == journal.Relaying && slices.Contains(s.calls, "relay.make") {
					t.Error("made before it was written down")
				}
			}
			j.Relay = &simRelay{s, fail}
			r := j.Run(t.Context())
			want := model.OutcomeDone
			if fail != "" {
				want = model.OutcomeUndone
			}
			if r.Outcome != want || s.broken != "" {
				t.Errorf("%s: %s %s", r.Outcome, r.Reason, s.broken)
			}
			if !slices.Contains(kinds, journal.Relaying) || !slices.Contains(kinds, journal.Relayed) || j.Journal.View().Relay != "" {
				t.Errorf("records: %v", kinds)
			}
			if i, k := slices.Index(s.calls, "prepare"), slices.Index(s.calls, "relay.listen"); i >= 0 && k < i {
				t.Errorf("listens before the target waits: %v", s.calls)
			}
		})
	}
}
