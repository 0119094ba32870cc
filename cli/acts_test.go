package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

// run runs one command without a terminal, with a state folder of its own. No
// node of its configuration answers: nothing listens on those ports.
type run struct {
	t      *testing.T
	env    []string
	config string
}

func newRun(t *testing.T) *run {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	text := ""
	for n := 1; n <= 2; n++ {
		text += fmt.Sprintf("[[node]]\nname = \"node%d\"\naddress = \"127.0.0.1:%d\"\n", n, n)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return &run{t: t, env: []string{"HOME=" + dir, "USER=ann", "XDG_STATE_HOME=" + dir}, config: path}
}

func (r *run) main(args ...string) (code int, out, errs string) {
	r.t.Helper()
	var o, e bytes.Buffer
	code = Main(r.t.Context(), append([]string{"--config", r.config}, args...), r.env, nil, &o, &e)
	return code, o.String(), e.String()
}

// What is about jobs and marks alone logs in nowhere: sshd counts a login that is
// dropped half way as an attack, and from OpenSSH 9.8 on refuses who makes many.
func TestNoNodeIsBothered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r := newRun(t)
	text := fmt.Sprintf("[[node]]\nname = \"node1\"\naddress = %q\n", l.Addr())
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{"jobs", "job x", "abort x --yes", "tune x --bandwidth 1", "maintenance", "maintenance node1 on", "maintenance node1 off"} {
		r.main(strings.Fields(args)...)
		if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if c, err := l.Accept(); err == nil {
			c.Close()
			t.Errorf("%s: somebody knocked", args)
		}
	}
}

// What is refused as wrong usage must be so before any node is asked: the
// configuration does not even exist.
func TestActsUsage(t *testing.T) {
	r := &run{t: t, env: []string{"HOME=" + t.TempDir()}, config: filepath.Join(t.TempDir(), "none.toml")}
	for _, c := range []struct{ args, says string }{
		{"power", "a VM and what to do to it"},
		{"power web", "needs what to do to it"},
		{"power web start now", `unexpected argument "now"`},
		{"power web explode", "want start, shutdown, reboot, off, pause"},
		{"power web force-off", "cannot do"},
		{"power web off", "no terminal to type it on"},
		{"power web off --yes", "no terminal to type it on"},
		{"power web off -y", "no terminal to type it on"},
		{"power web shutdown", "add --yes"},
		{"power web reboot", "add --yes"},
		{"power web pause", "add --yes"},
		{"power web start --force", "unknown flag"},
		{"snapshot", "a VM and list, create, revert or delete"},
		{"snapshot web", "needs list, create, revert or delete"},
		{"snapshot web burn x", "want list, create, revert or delete"},
		{"snapshot web list x", `unexpected argument "x"`},
		{"snapshot web create", "needs the name of a snapshot"},
		{"snapshot web create a/b", "without a slash"},
		{"snapshot web create ..", "begins with no dot"},
		{"snapshot web create a\x1bb", "control characters"},
		{"snapshot web create a b", `unexpected argument "b"`},
		{"snapshot web create a -o json", "for list"},
		{"snapshot web list -o yaml", "want table or json"},
		{"snapshot web revert a", "name typed"},
		{"snapshot web delete a", "name typed"},
		{"snapshot web revert a --description x", "for create"},
		{"maintenance node1", "needs on or off"},
		{"maintenance node1 maybe", "want on or off"},
		{"maintenance node1 on off", "unexpected argument"},
		{"maintenance --why x", "for on"},
		{"maintenance node1 off --why x", "for on"},
		{"maintenance node1 on -o json", "for the list"},
		{"maintenance -o yaml", "want table or json"},
	} {
		code, out, errs := r.main(strings.Split(c.args, " ")...)
		if code != ExitUsage || !strings.Contains(errs, c.says) || out != "" {
			t.Errorf("%q: exit %d, %q, %q", c.args, code, out, errs)
		}
	}
	// What may go on stops at the configuration instead.
	for _, args := range []string{
		"power web start", "power web resume", "power web shutdown -y", "power web autostart-off",
		"snapshot web list -o json", "snapshot web create a --description x", "maintenance", "maintenance node1 on --why x",
	} {
		code, _, errs := r.main(strings.Split(args, " ")...)
		if code != ExitUsage || !strings.Contains(errs, "none.toml") {
			t.Errorf("%q: exit %d, %q", args, code, errs)
		}
	}
}

func TestMaintenance(t *testing.T) {
	r := newRun(t)
	want := func(wantCode int, says string, args ...string) string {
		t.Helper()
		code, out, errs := r.main(args...)
		if code != wantCode || !strings.Contains(out+errs, says) {
			t.Errorf("%v: exit %d, %q, %q", args, code, out, errs)
		}
		return out
	}
	want(ExitOK, "no node is in maintenance", "maintenance")
	if out := want(ExitOK, "", "maintenance", "-o", "json"); strings.TrimSpace(out) != "[]" {
		t.Errorf("an empty list is %q", out)
	}
	want(ExitUsage, `no node "node9"`, "maintenance", "node9", "on")
	want(ExitOK, "node2 is in maintenance", "maintenance", "node2", "on", "--why", "new disks")
	want(ExitOK, "new disks", "maintenance")
	var marks []struct {
		Node, By, Why string
		Since         time.Time
	}
	if err := json.Unmarshal([]byte(want(ExitOK, "", "maintenance", "-o", "json")), &marks); err != nil {
		t.Fatal(err)
	}
	if len(marks) != 1 || marks[0].Node != "node2" || marks[0].Why != "new disks" || marks[0].By == "" || time.Since(marks[0].Since) > time.Minute {
		t.Errorf("%+v", marks)
	}
	want(ExitOK, "maintenance-on", "audit")
	want(ExitOK, "node2 is not in maintenance", "maintenance", "node2", "off")
	want(ExitOK, "no node is in maintenance", "maintenance")
}

// Whether a VM is on a node that is silent is not known: that is no wrong usage,
// and why the node is silent is said.
func TestActsOnNoVM(t *testing.T) {
	r := newRun(t)
	for _, args := range []string{"power web start", "snapshot web list", "snapshot web create a"} {
		code, out, errs := r.main(strings.Split(args, " ")...)
		if code != ExitOther || !strings.Contains(errs, `no VM "web"`) || !strings.Contains(errs, "node1 is unreachable: cannot reach node1") || out != "" {
			t.Errorf("%q: exit %d, %q, %q", args, code, out, errs)
		}
	}
}

func TestEveryPowerActHasAWord(t *testing.T) {
	acts := map[model.PowerAct]bool{}
	for _, p := range powerWords {
		acts[p.act] = true
		if p.done == "" {
			t.Errorf("nothing is said when %s is done", p.word)
		}
	}
	for _, act := range []model.PowerAct{
		model.PowerStart, model.PowerShutdown, model.PowerReboot, model.PowerForceOff, model.PowerPause, model.PowerResume,
		model.PowerAutostartOn, model.PowerAutostartOff,
	} {
		if !acts[act] {
			t.Errorf("%s has no word", act)
		}
	}
}

func TestSnapshotQuestion(t *testing.T) {
	vm := model.VM{Name: "web", Node: "node1"}
	s := model.Snapshot{Name: "before", State: model.StateShutoff, Created: time.Now().Add(-2 * time.Hour)}
	for _, part := range []string{"web on node1", "before", "2 h 00 min ago", "is lost", "shutoff"} {
		if q := snapshotLoss(vm, s, model.SnapshotRevert); !strings.Contains(q, part) {
			t.Errorf("%q is not in %q", part, q)
		}
	}
	s.Created = time.Time{}
	if q := snapshotLoss(vm, s, model.SnapshotRevert); !strings.Contains(q, "since it was taken is lost") {
		t.Error(q)
	}
	if q := snapshotLoss(vm, s, model.SnapshotDelete); !strings.Contains(q, "cannot be put back") {
		t.Error(q)
	}
}

func TestRollbackQuestionSaysWhatTheVMIs(t *testing.T) {
	j := model.Job{VM: "u", VMName: "web", From: "node1", To: "node2"}
	on := func(node model.NodeName, s model.DomainState) []*model.VM {
		return []*model.VM{{UUID: "u", Node: node, State: s}}
	}
	if got := rollbackQuestion(j, nil); got != "Undo the move of web and leave it on node1?" {
		t.Error(got)
	}
	j.Switched = true
	for want, vms := range map[string][]*model.VM{
		"while it runs":    on("node2", model.StateRunning),
		"paused, as it is": on("node2", model.StatePaused),
		"off, as it is":    on("node2", model.StateShutoff),
		"as it is":         on("node1", model.StateRunning),
	} {
		if got := rollbackQuestion(j, vms); got != "Send web back from node2 to node1 "+want+"?" {
			t.Error(got)
		}
	}
}
