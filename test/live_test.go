//go:build lab

package test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

var eightChecks = []string{"vm-running", "qemu-monitor", "memory", "cpu", "disk-io", "network", "guest-agent", "application"}

// F1: the image is missing on the target and is made there.
func TestLiveMoveCopiesTheDisk(t *testing.T) {
	from := home(t, "web")
	to := other(from)
	var o outcome
	watched(t, "web", func() { o = must(t, 0, "migrate", "web", "--to", to, "--yes", "-o", "json") })
	all := parse(t, o.out)
	for _, stage := range []string{"baseline", "after"} {
		var seen []string
		for _, l := range all {
			if l.Type == "check" && l.Stage == stage {
				seen = append(seen, l.Check)
				if l.Verdict != "pass" {
					t.Errorf("%s %s: %s", stage, l.Check, l.Verdict)
				}
			}
		}
		if strings.Join(seen, " ") != strings.Join(eightChecks, " ") {
			t.Errorf("checks of %s: %v", stage, seen)
		}
	}
	if r := result(t, o.out); r.Outcome != "done" || r.Owner != to || !r.Confirmed {
		t.Errorf("result: %+v", r)
	}
	if home(t, "web") != to {
		t.Errorf("web does not run on %s", to)
	}
	absent(t, "web", from)
	unmarked(t, "web", to)
	beats(t, "web", to, imageDir+"web.qcow2")
	if out, err := the.Node(to).Virsh(t.Context(), "dominfo", "web"); err != nil || !strings.Contains(out, "Autostart:      enable") {
		t.Errorf("autostart did not follow: %v\n%s", err, out)
	}
}

// The frozen source and the target have the same lines up to the switch, and a
// disk that nobody writes to is the same to the last byte.
func TestFrozenSourceEqualsTarget(t *testing.T) {
	from := home(t, "pair")
	to := other(from)
	before, err := the.Hash(t.Context(), from, imageDir+"pair-2.qcow2")
	if err != nil {
		t.Fatal(err)
	}
	var id string
	watched(t, "pair", func() { id = moveUnconfirmed(t, "pair", to) })
	frozen := imageDir + "pair.qcow2.migrated-" + id
	old := beats(t, "pair", from, frozen)
	now := beats(t, "pair", to, imageDir+"pair.qcow2")
	if len(old) == 0 || len(now) <= len(old) {
		t.Fatalf("%d lines on the frozen source, %d on the target", len(old), len(now))
	}
	for i, b := range old {
		if now[i] != b {
			t.Fatalf("line %d differs: %+v and %+v", i, b, now[i])
		}
	}
	for _, image := range [][2]string{{from, imageDir + "pair-2.qcow2.migrated-" + id}, {to, imageDir + "pair-2.qcow2"}} {
		if got, err := the.Hash(t.Context(), image[0], image[1]); err != nil || got != before {
			t.Errorf("second disk on %s: %s %v, was %s", image[0], got, err, before)
		}
	}
	cannotStart(t, "pair", from)
	must(t, 0, "confirm", id, "--yes")
	absent(t, "pair", from)
	home(t, "pair")
}

const imageDir = "/var/lib/libvirt/images/"

// moveUnconfirmed moves a VM and leaves it between its two commit points.
func moveUnconfirmed(t *testing.T, vm, to string) (id string) {
	t.Helper()
	o := must(t, 0, "migrate", vm, "--to", to, "--yes", "--detach", "--no-confirm")
	id = strings.TrimSpace(o.out)
	until(t, "job "+id+" waits for confirm", time.Minute, func() bool { return jobState(t, id) == "awaiting-confirm" })
	return id
}

func jobState(t *testing.T, id string) string {
	t.Helper()
	var jobs []struct{ ID, State string }
	if err := json.Unmarshal([]byte(must(t, 0, "jobs", "-o", "json").out), &jobs); err != nil {
		t.Fatal(err)
	}
	for _, j := range jobs {
		if j.ID == id {
			return j.State
		}
	}
	return ""
}

// cannotStart checks that what is left on the source does not start.
func cannotStart(t *testing.T, vm, node string) {
	t.Helper()
	out, err := the.Node(node).Virsh(t.Context(), "start", vm)
	if err == nil {
		t.Fatalf("the tombstone of %s started on %s: %s", vm, node, out)
	}
	if !strings.Contains(err.Error(), "moved-to-"+other(node)) {
		t.Errorf("the error does not say where the VM is: %v", err)
	}
}

func TestSharedStorageIsProvedAndNotCopied(t *testing.T) {
	from := home(t, "common")
	to := other(from)
	var o outcome
	watched(t, "common", func() { o = must(t, 0, "migrate", "common", "--to", to, "--yes", "-o", "json") })
	for _, l := range parse(t, o.out) {
		if l.DiskProcessed > 0 {
			t.Errorf("%d bytes of disk were copied", l.DiskProcessed)
		}
	}
	home(t, "common")
	beats(t, "common", to, "/srv/shared/"+common(t))
	ls, err := the.Node(to).Exec(t.Context(), "ls", "-A", "/srv/shared")
	if err != nil || strings.Contains(ls, "horcrux-mark") {
		t.Errorf("left in the shared directory: %v %s", err, ls)
	}
}

// common is the file of the VM on shared storage.
func common(t *testing.T) string {
	t.Helper()
	v, ok := the.VM("common")
	if !ok {
		t.Fatal("no VM common")
	}
	return v.Disks[0].File
}

func TestVMWithoutAgentAndWithAnEmptyDrive(t *testing.T) {
	to := other(home(t, "mute"))
	o := must(t, 0, "migrate", "mute", "--to", to, "--yes", "-o", "json")
	for _, l := range parse(t, o.out) {
		if l.Check == "guest-agent" && l.Verdict != "skip" {
			t.Errorf("guest agent at %s: %s", l.Stage, l.Verdict)
		}
	}
	home(t, "mute")
}

func TestPausedVMStaysPaused(t *testing.T) {
	from := home(t, "mute")
	if _, err := the.Node(from).Virsh(t.Context(), "suspend", "mute"); err != nil {
		t.Fatal(err)
	}
	to := other(from)
	watched(t, "mute", func() { must(t, 0, "migrate", "mute", "--to", to, "--yes") })
	for _, p := range the.Where(t.Context(), "mute") {
		if p.Node == to && p.State != "paused" {
			t.Errorf("on %s it is %s (%s)", to, p.State, p.Reason)
		}
	}
	if _, err := the.Node(to).Virsh(t.Context(), "resume", "mute"); err != nil {
		t.Fatal(err)
	}
	home(t, "mute")
}

func TestRollbackAfterTheSwitchSendsItBack(t *testing.T) {
	from := home(t, "web")
	to := other(from)
	watched(t, "web", func() {
		id := moveUnconfirmed(t, "web", to)
		o := must(t, 0, "rollback", id, "--yes", "-o", "json")
		steps := map[string]bool{}
		for _, l := range parse(t, o.out) {
			if l.Type == "step" && l.Status == "done" {
				steps[l.Step] = true
			}
		}
		if len(steps) != 6 {
			t.Errorf("steps done: %v", steps)
		}
		if s := jobState(t, id); s != "undone" {
			t.Errorf("the first job is %s", s)
		}
	})
	if home(t, "web") != from {
		t.Error("web is not back")
	}
	absent(t, "web", to)
	if left := images(t, "web", from); len(left) != 1 {
		t.Errorf("files on %s: %v", from, left)
	}
	beats(t, "web", from, imageDir+"web.qcow2")
}

func TestPreflightRefusals(t *testing.T) {
	from := home(t, "web")
	for name, tt := range map[string]struct {
		args []string
		code int
		want string
	}{
		"same node (E4)":  {[]string{"plan", "web", "--to", from}, 3, from},
		"unknown node":    {[]string{"plan", "web", "--to", "node9"}, 64, "node9"},
		"unknown VM":      {[]string{"plan", "nobody", "--to", from}, 64, "nobody"},
		"off by live":     {[]string{"plan", "off", "--to", other("node1")}, 3, "off"},
		"no --to":         {[]string{"migrate", "web", "--yes"}, 64, "--to"},
		"not a mode":      {[]string{"migrate", "web", "--to", other(from), "--mode", "fast", "--yes"}, 64, "fast"},
		"no terminal":     {[]string{"migrate", "web", "--to", other(from)}, 64, "--yes"},
		"no such job":     {[]string{"abort", "zzzzzz", "--yes"}, 64, "zzzzzz"},
		"unknown flag":    {[]string{"vms", "--colour"}, 64, "colour"},
		"unknown command": {[]string{"migrat"}, 64, "migrate"},
	} {
		t.Run(name, func(t *testing.T) {
			o := must(t, tt.code, tt.args...)
			if !strings.Contains(o.errOut, tt.want) {
				t.Errorf("the message does not name %q: %s", tt.want, o.errOut)
			}
		})
	}
	if home(t, "web") != from {
		t.Error("web has moved")
	}
}
