package rollback

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"horcrux/engine/journal"
	"horcrux/engine/model"
)

// host is one domain on one host, at the small interface that an undo needs.
type host struct {
	name    model.NodeName
	st      model.DomainStatus
	silent  bool
	stuck   bool // does not do what it says
	volumes []string
	did     []string
}

func (h *host) act(what string, to model.DomainStatus) error {
	if h.silent {
		return errors.New("no route")
	}
	h.did = append(h.did, what)
	if !h.stuck {
		h.st = to
	}
	return nil
}

func (h *host) Name() model.NodeName { return h.name }
func (h *host) Status(context.Context) (model.DomainStatus, error) {
	if h.silent {
		return model.DomainStatus{State: model.StateUnreachable}, errors.New("no route")
	}
	return h.st, nil
}

func (h *host) Destroy(context.Context) error {
	to := words["missing"]
	if h.st.Persistent {
		to = words["off"]
	}
	return h.act("destroy", to)
}
func (h *host) Undefine(context.Context) error { return h.act("undefine", words["missing"]) }
func (h *host) Resume(context.Context) error   { return h.act("resume", words["running"]) }
func (h *host) DeleteVolume(_ context.Context, p string) error {
	h.volumes = slices.DeleteFunc(h.volumes, func(v string) bool { return v == p })
	return h.act("delete "+p, h.st)
}
func (h *host) SetAutostart(_ context.Context, on bool) error { return h.act("autostart", h.st) }
func (h *host) Start(context.Context) error                   { return h.act("start", words["running"]) }

func (h *host) DropSockets(_ context.Context, p string) error {
	return h.act("delete tree "+p, h.st)
}

func (h *host) DeleteTree(_ context.Context, p string) error { return h.act("delete tree "+p, h.st) }

func (h *host) VolumeExists(_ context.Context, p string) (bool, error) {
	return slices.Contains(h.volumes, p), nil
}

func (h *host) Rename(_ context.Context, from, to string) error {
	h.volumes[slices.Index(h.volumes, from)] = to
	return h.act("rename "+from+" "+to, h.st)
}

func (h *host) SetRights(_ context.Context, r model.Rights) (bool, error) {
	return true, h.act("chown "+r.Path, h.st)
}
func (h *host) Define(context.Context, string) error { return h.act("define", h.st) }
func (h *host) Flatten(_ context.Context, disk, base string, over []string) error {
	return h.act("flatten "+disk+" "+base+" "+strings.Join(over, "+"), h.st)
}

func (h *host) Join(_ context.Context, base, top string) error {
	return h.act("join "+base+" "+top, h.st)
}
func (h *host) RemoveMark(context.Context) error { return h.act("unmark", h.st) }
func (h *host) Announce(context.Context) error   { return h.act("announce", h.st) }

func TestUndo(t *testing.T) {
	pmD := words["pm"]
	puD := words["pu"]
	puD.Persistent = true
	full := journal.View{
		Plan: &model.Plan{Was: words["running"], Autostart: true}, Rollback: true, Marked: true, Prepared: true, Performing: true, Performed: true,
		Volumes: []journal.Volume{{Node: "node2", Path: "/img/web.qcow2"}},
	}
	shared := full
	shared.Rights = []model.Rights{{Path: "/nfs/a.img", UID: 64055, GID: 130, Mode: "600"}}
	early := full
	early.Prepared, early.Performing, early.Performed, early.Volumes = false, false, false, nil
	asked := early
	asked.Stopping = true
	asleep := full
	asleep.Plan = &model.Plan{Was: words["pu"]}

	tests := []struct {
		name     string
		view     journal.View
		src, dst *host
		srcDid   string
		dstDid   string
		debts    int
		fails    string
	}{
		{"at the gate", full, &host{st: words["pm"]}, &host{st: puD}, "unmark autostart announce resume", "destroy delete /img/web.qcow2 undefine", 0, ""},
		{"in the copy, libvirt resumed", full, &host{st: words["running"]}, &host{st: pmD}, "unmark autostart announce", "destroy delete /img/web.qcow2", 0, ""},
		{"shared images", shared, &host{st: words["pm"]}, &host{st: puD}, "chown /nfs/a.img unmark autostart announce resume", "destroy delete /img/web.qcow2 undefine", 0, ""},
		{"shared images, and the guest is dead", shared, &host{st: words["off"]}, &host{st: puD}, "unmark autostart", "destroy delete /img/web.qcow2 undefine", 0, ""},
		{"before prepare", early, &host{st: words["running"]}, &host{st: words["missing"]}, "unmark autostart", "", 0, ""},
		{"before prepare, a tombstone there", early, &host{st: words["running"]}, &host{st: words["off"]}, "unmark autostart", "", 0, ""},
		{"target silent", full, &host{st: words["pm"]}, &host{silent: true}, "unmark autostart announce resume", "", 1, ""},
		{"target runs", full, &host{st: words["pm"]}, &host{st: words["running"]}, "", "", 0, "never told it to"},
		{"source silent", full, &host{silent: true}, &host{st: words["missing"]}, "", "delete /img/web.qcow2", 0, "restore the source's configuration"},
		{"source off", full, &host{st: words["off"]}, &host{st: words["missing"]}, "unmark autostart", "delete /img/web.qcow2", 0, ""},
		{"source stays paused", full, &host{st: words["pm"], stuck: true}, &host{st: words["missing"]}, "unmark autostart announce resume", "delete /img/web.qcow2", 0, "run the VM on the source"},
		{"paused by its user before", asleep, &host{st: words["pu"]}, &host{st: words["missing"]}, "unmark announce", "delete /img/web.qcow2", 0, ""},
		{"asked to shut down, and off late", asked, &host{st: words["off"]}, &host{st: words["missing"]}, "unmark autostart start", "", 0, ""},
		{"asked to shut down, and deaf", asked, &host{st: words["running"]}, &host{st: words["missing"]}, "unmark autostart", "", 0, ""},
		{"not decided", journal.View{}, &host{}, &host{}, "", "", 0, "does not hold that decision"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.src.name, tt.dst.name = "node1", "node2"
			var reported []model.StepID
			out := Undo(context.Background(), Env{
				View: tt.view, Source: tt.src, Target: tt.dst, Patience: 200 * time.Millisecond,
				Report: func(r model.StepResult) {
					if r.Status != model.PhaseActive {
						reported = append(reported, r.Step)
					}
				},
			})
			if got := strings.Join(tt.src.did, " "); got != tt.srcDid {
				t.Errorf("on the source: %q, want %q", got, tt.srcDid)
			}
			if got := strings.Join(tt.dst.did, " "); got != tt.dstDid {
				t.Errorf("on the target: %q, want %q", got, tt.dstDid)
			}
			if out.Started != slices.Contains(tt.src.did, "start") {
				t.Errorf("it says that it started the guest: %v", out.Started)
			}
			if len(out.Debts) != tt.debts {
				t.Errorf("debts: %v, want %d", out.Debts, tt.debts)
			}
			if (out.Err != nil) != (tt.fails != "") || (out.Err != nil && !strings.Contains(out.Err.Error(), tt.fails)) {
				t.Errorf("err = %v, want %q", out.Err, tt.fails)
			}
			if tt.fails == "" && !slices.Equal(reported, model.RollbackSteps) {
				t.Errorf("steps shown: %v", reported)
			}
		})
	}
}
