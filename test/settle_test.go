//go:build lab

package test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// typing runs the program on a terminal and types one line into it.
func (c *console) typing(text string, args ...string) outcome {
	c.t.Helper()
	cmd := c.command()
	quoted := []string{the.binary}
	quoted = append(quoted, args...)
	cmd.Args = []string{"script", "-qec", strings.Join(quoted, " "), "/dev/null"}
	cmd.Path = "/usr/bin/script"
	cmd.Stdin = strings.NewReader(text + "\n")
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState == nil {
		c.t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), string(out), ""}
}

// marked waits until a move has marked a VM.
func marked(t *testing.T, vm, node, id string) {
	t.Helper()
	until(t, vm+" carries the mark of job "+id, time.Minute, func() bool {
		xml, err := the.Node(node).Virsh(t.Context(), "dumpxml", vm)
		return err == nil && strings.Contains(xml, id)
	})
}

// events are what a job told so far, a line each.
func (c *console) events(id string) []byte {
	b, _ := os.ReadFile(filepath.Join(c.state, "horcrux", "jobs", id, "events.jsonl"))
	return b
}

// copied waits until bytes of a disk have gone over, or of memory ("mem").
func (c *console) copied(id, what string) {
	c.t.Helper()
	overAMebibyte := regexp.MustCompile(`"` + what + `_processed":[1-9][0-9]{6}`)
	until(c.t, "job "+id+" copies", 2*time.Minute, func() bool { return overAMebibyte.Match(c.events(id)) })
}

// lose deletes the journal of a job and all that belongs to it.
func (c *console) lose(id string) {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Join(c.state, "horcrux", "jobs", id)); err != nil {
		c.t.Fatal(err)
	}
}

// sweep removes an image that a lost journal cannot be shown to have made.
func sweep(t *testing.T, node, vm string) {
	t.Helper()
	if _, err := the.Node(node).Exec(t.Context(), "rm", "-f", imageDir+vm+".qcow2"); err != nil {
		t.Fatal(err)
	}
	if _, err := the.Node(node).Virsh(t.Context(), "pool-refresh", "images"); err != nil {
		t.Fatal(err)
	}
}

// Another console, on another jump host, sees whose move it is and starts no
// second one.
func TestTwoConsoles(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1")
	one, two := newConsole(t), newConsole(t)
	id := one.start("q1", "node2")
	marked(t, "q1", "node1", id)
	one.copied(id, "disk")
	var vms []struct {
		Name, Node, Job string
		Mark            *struct {
			Job, By, Console string
			Ours             bool
		}
	}
	if err := json.Unmarshal([]byte(two.must(0, "vms", "-o", "json").out), &vms); err != nil {
		t.Fatal(err)
	}
	seen := false
	for _, v := range vms {
		if v.Name == "q1" && v.Node == "node1" {
			seen = v.Mark != nil && v.Mark.Job == id && !v.Mark.Ours && strings.Contains(v.Mark.By, "@") && v.Mark.Console != ""
		}
	}
	if !seen {
		t.Errorf("the other console does not see whose move it is: %+v", vms)
	}
	for _, args := range [][]string{{"plan", "q1", "--to", "node3"}, {"migrate", "q1", "--to", "node3", "--yes"}} {
		if o := two.must(3, args...); !strings.Contains(o.errOut, id) || !strings.Contains(o.errOut, "another console") {
			t.Errorf("%s: %s", args[0], o.errOut)
		}
	}
	// It is under way: nothing to settle, and nothing touched.
	two.must(0, "recover")
	if s := one.jobs()[id].State; s != "running" {
		t.Errorf("the move is %s", s)
	}
	one.must(0, "abort", id, "--yes")
	if home(t, "q1") != "node1" {
		t.Error("q1 is not on node1")
	}
	unmarked(t, "q1", "node1")
}

// The journal is lost while the disks are copied.
func TestJournalLostInTheCopy(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1")
	c := newConsole(t)
	watched(t, "q1", func() {
		id := c.start("q1", "node2")
		marked(t, "q1", "node1", id)
		c.copied(id, "disk")
		c.kill(id)
		c.lose(id)
		if _, err := c.settleAll(time.Minute); err != nil {
			t.Error(err)
		}
	})
	if home(t, "q1") != "node1" {
		t.Error("q1 is not on node1")
	}
	unmarked(t, "q1", "node1")
	sweep(t, "node2", "q1")
	c.must(0, "migrate", "q1", "--to", "node2", "--yes")
	absent(t, "q1", "node1")
}

// The journal is lost while the move waits for its confirm.
func TestJournalLostBeforeConfirm(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1")
	c := newConsole(t)
	id := c.start("q1", "node2", "--no-confirm", "--bandwidth", "0")
	c.reach(id, "awaiting-confirm")
	c.lose(id)
	c.must(0, "recover")
	if s := c.jobs()[id].State; s != "awaiting-confirm" {
		t.Errorf("the job is %s", s)
	}
	cannotStart(t, "q1", "node1")
	c.must(0, "confirm", id, "--yes")
	absent(t, "q1", "node1")
	if home(t, "q1") != "node2" {
		t.Error("q1 is not on node2")
	}
	beats(t, "q1", "node2", imageDir+"q1.qcow2")
}

// The console itself is lost; another one settles its move, but only when told
// that the first is gone, and not too soon.
func TestConsoleLost(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1")
	one, two := newConsole(t), newConsole(t)
	began := time.Now()
	id := one.start("q1", "node2")
	marked(t, "q1", "node1", id)
	one.copied(id, "disk")
	one.kill(id)
	until(t, "libvirt has noticed", time.Minute, func() bool {
		info, err := the.Node("node1").Virsh(t.Context(), "domjobinfo", "q1")
		return err == nil && strings.Contains(info, "None")
	})
	o := two.must(5, "recover", "-o", "json")
	if r := result(t, o.out); r.Owner != "node1" || !strings.Contains(r.Reason, id) || !strings.Contains(r.Next, "--orphans") {
		t.Errorf("%+v", r)
	}
	if time.Since(began) < 50*time.Second {
		two.must(5, "recover", "--orphans")
	}
	until(t, "the mark is old enough", 2*time.Minute, func() bool { return time.Since(began) > 65*time.Second })
	two.must(0, "recover", "--orphans")
	if home(t, "q1") != "node1" {
		t.Error("q1 is not on node1")
	}
	unmarked(t, "q1", "node1")
	sweep(t, "node2", "q1")
}

// The guest dies on the target after the switch: the source's frozen disks boot.
func TestRestoreSource(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1")
	c := newConsole(t)
	watched(t, "q1", func() {
		id := c.start("q1", "node2", "--no-confirm", "--bandwidth", "0")
		c.reach(id, "awaiting-confirm")
		if o := c.must(64, "rollback", id, "--restore-source", "--yes"); !strings.Contains(o.errOut, "typed") {
			t.Errorf("without a terminal: %s", o.errOut)
		}
		if o := c.typing("q1", "rollback", id, "--restore-source"); o.code != 1 || !strings.Contains(o.out, "send it back") {
			t.Errorf("while the guest lives: %d %s", o.code, o.out)
		}
		if _, err := the.Node("node2").Virsh(t.Context(), "destroy", "q1"); err != nil {
			t.Fatal(err)
		}
		if o := c.typing("q2", "rollback", id, "--restore-source"); o.code != 64 {
			t.Errorf("with another name: %d %s", o.code, o.out)
		}
		o := c.typing("q1", "rollback", id, "--restore-source")
		if o.code != 0 || strings.Count(o.out, "restore-source") < 6 || !strings.Contains(o.out, "Lost:") {
			t.Errorf("%d %s", o.code, o.out)
		}
		if home(t, "q1") != "node1" {
			t.Error("q1 is not on node1")
		}
		if out, err := the.Node("node2").Virsh(t.Context(), "start", "q1"); err == nil {
			t.Errorf("the target's copy starts: %s", out)
		}
		if left := images(t, "q1", "node2"); len(left) != 1 || !strings.Contains(left[0], "abandoned-"+id) {
			t.Errorf("on node2: %v", left)
		}
		c.must(0, "confirm", id, "--yes")
		absent(t, "q1", "node2")
		unmarked(t, "q1", "node1")
		if o := c.run("rollback", id, "--yes"); o.code == 0 {
			t.Error("rolled back again")
		}
	})
	if err := the.WaitVM(t.Context(), "q1"); err != nil {
		t.Fatal(err)
	}
	// Its network is up before its first beat is on the disk.
	until(t, "a beat of the second boot", time.Minute, func() bool {
		b, err := the.Heartbeat(t.Context(), "node1", imageDir+"q1.qcow2")
		if err != nil {
			return false
		}
		boots, err := lab.CheckBeats(b)
		return err == nil && boots >= 2
	})
	c.must(0, "migrate", "q1", "--to", "node2", "--yes")
	absent(t, "q1", "node1")
}

// Somebody starts what a move left on its source: the stale copy is suspended,
// both hosts' facts are shown, and what a person chooses is carried out.
func TestKeepOneOfTwo(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q2")
	c := newConsole(t)
	node1 := the.Node("node1")
	xml, err := node1.Virsh(t.Context(), "dumpxml", "--inactive", "q2")
	if err != nil {
		t.Fatal(err)
	}
	id := c.start("q2", "node2", "--no-confirm", "--bandwidth", "0")
	c.reach(id, "awaiting-confirm")
	for _, argv := range [][]string{
		{"mv", imageDir + "q2.qcow2.migrated-" + id, imageDir + "q2.qcow2"},
		{"sh", "-c", "printf %s \"$1\" > /root/q2.xml", "sh", xml},
		{"virsh", "define", "/root/q2.xml"},
		{"virsh", "start", "q2"},
	} {
		if _, err := node1.Exec(t.Context(), argv...); err != nil {
			t.Fatal(err)
		}
	}
	o := c.must(5, "recover", "-o", "json")
	if r := result(t, o.out); r.Owner != "node2" {
		t.Errorf("%+v", r)
	}
	for _, want := range []string{"--keep node1", "--keep node2", "node1 says: paused", "node2 says: running", "last written"} {
		if !strings.Contains(o.errOut, want) {
			t.Errorf("a person is not told %q:\n%s", want, o.errOut)
		}
	}
	c.must(64, "recover", id, "--keep", "node2")
	if home(t, "q2") != "node2" {
		t.Error("node2 does not run it alone")
	}
	if o := c.typing("q2", "recover", id, "--keep", "node2"); o.code != 0 {
		t.Errorf("%d %s", o.code, o.out)
	}
	cannotStart(t, "q2", "node1")
	c.must(0, "confirm", id, "--yes")
	absent(t, "q2", "node1")
	beats(t, "q2", "node2", imageDir+"q2.qcow2")
}

// The target's libvirtd is gone in the copy: the VM goes on at home, the
// clean-up is owed, no other move of the VM begins meanwhile, and recover pays at
// the first contact.
func TestDebtIsPaidAtFirstContact(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1")
	c := newConsole(t)
	node2 := the.Node("node2")
	watched(t, "q1", func() {
		id := c.start("q1", "node2")
		marked(t, "q1", "node1", id)
		c.copied(id, "disk")
		if err := node2.Kill(t.Context(), lab.Of(lab.Libvirtd)); err != nil {
			t.Fatal(err)
		}
		restart := func() {
			if err := node2.Restart(t.Context(), lab.Libvirtd); err != nil {
				t.Error(err)
			}
		}
		defer restart()
		until(t, "the move is undone", 5*time.Minute, func() bool { return c.jobs()[id].State == "undone" })
		for _, p := range the.Where(t.Context(), "q1") {
			if p.Node == "node1" && p.State != "running" {
				t.Errorf("q1 is %s on node1", p.State)
			}
		}
		if o := c.must(3, "migrate", "q1", "--to", "node3", "--yes"); !strings.Contains(o.errOut, "owes node2") {
			t.Errorf("%s", o.errOut)
		}
		c.must(5, "recover")
		restart()
		until(t, "recover has paid", 2*time.Minute, func() bool { return c.run("recover").code == 0 })
	})
	absent(t, "q1", "node2")
	unmarked(t, "q1", "node1")
	c.must(0, "migrate", "q1", "--to", "node2", "--yes")
}
