//go:build lab

package test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// A VM that is off is moved, sent back as it is, moved again and restored: all
// without ever running.
func TestBackWithAVMThatIsOff(t *testing.T) {
	ensure(t, lab.VMSpec{Name: "q4", State: lab.VMOff, Disks: []lab.DiskSpec{{FillMiB: 8}}})
	c := newConsole(t)
	hash := func(node, name string) string {
		t.Helper()
		h, err := the.Hash(t.Context(), node, imageDir+name)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	was := hash("node1", "q4.qcow2")
	id := c.start("q4", "node2", "--mode", "offline", "--no-confirm", "--bandwidth", "0")
	c.reach(id, "awaiting-confirm")
	o := c.must(0, "rollback", id, "--yes", "-o", "json")
	steps := map[string]bool{}
	for _, l := range parse(t, o.out) {
		if l.Type == "step" && l.Status == "done" {
			steps[l.Step] = true
		}
	}
	if len(steps) != 6 || c.jobs()[id].State != "undone" {
		t.Errorf("steps %v, the first move is %s", steps, c.jobs()[id].State)
	}
	absent(t, "q4", "node2")
	if hash("node1", "q4.qcow2") != was {
		t.Error("the disk is another one")
	}
	id = c.start("q4", "node2", "--mode", "offline", "--no-confirm", "--bandwidth", "0")
	c.reach(id, "awaiting-confirm")
	if _, err := the.Node("node2").Virsh(t.Context(), "undefine", "q4"); err != nil {
		t.Fatal(err)
	}
	if o := c.run("rollback", id, "--yes"); o.code == 0 || !strings.Contains(o.errOut, "--restore-source") {
		t.Errorf("a VM that the target lost is sent back: %d %s", o.code, o.errOut)
	}
	if o := c.typing("q4", "rollback", id, "--restore-source"); o.code != 0 {
		t.Errorf("%d %s", o.code, o.out)
	}
	if hash("node1", "q4.qcow2") != was {
		t.Error("the restored disk is another one")
	}
	unmarked(t, "q4", "node1")
	c.must(0, "confirm", id, "--yes")
	absent(t, "q4", "node2")
	if out, err := the.Node("node1").Virsh(t.Context(), "domstate", "q4"); err != nil || !strings.Contains(out, "shut off") {
		t.Errorf("%s %v", out, err)
	}
}

var diskReading = regexp.MustCompile(`"disk_total":([1-9][0-9]*),"disk_processed":([0-9]+)`)

// share tells how much of the disks is over, by the newest reading of the job.
func (c *console) share(id string) (percent int) {
	for _, m := range diskReading.FindAllSubmatch(c.events(id), -1) {
		total, _ := strconv.Atoi(string(m[1]))
		over, _ := strconv.Atoi(string(m[2]))
		percent = over * 100 / total
	}
	return percent
}

// A cold copy whose process dies early, half way and late (I2): recover carries
// it on or undoes it, and one node has the VM, off, with every byte.
func TestI2ColdCopyIsKilled(t *testing.T) {
	ensure(t, lab.VMSpec{Name: "q5", State: lab.VMOff, Disks: []lab.DiskSpec{{SizeMiB: 256, FillMiB: 160}}})
	c := newConsole(t)
	hash := func(node string) string {
		t.Helper()
		h, err := the.Hash(t.Context(), node, imageDir+"q5.qcow2")
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	owner, was := "node1", hash("node1")
	for _, at := range []int{10, 50, 90} {
		to := other(owner)
		id := c.start("q5", to, "--mode", "offline", "--bandwidth", "24")
		until(t, fmt.Sprintf("%d %% are copied", at), time.Minute, func() bool { return c.share(id) >= at })
		c.kill(id)
		if _, err := c.settleAll(time.Minute); err != nil {
			t.Fatal(err)
		}
		state := c.jobs()[id].State
		t.Logf("killed at %d %%: the move is %s", at, state)
		left := to
		switch state {
		case "done":
			owner, left = to, owner
		case "undone":
		default:
			t.Fatalf("killed at %d %%: the move is %s", at, state)
		}
		absent(t, "q5", left)
		unmarked(t, "q5", owner)
		if hash(owner) != was {
			t.Errorf("killed at %d %%: the disk is another one", at)
		}
	}
}
