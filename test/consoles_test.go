//go:build lab

package test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// waitsOn tells of the job that a mark on the domain says waits, from outside.
func waitsOn(t *testing.T, vm, node string) string {
	t.Helper()
	xml, err := the.Node(node).Virsh(t.Context(), "metadata", vm, "--uri", "https://horcrux.dev/xmlns/job/1")
	if err != nil || !strings.Contains(xml, `role="waiting"`) && !strings.Contains(xml, `role='waiting'`) {
		return ""
	}
	return xml
}

// elsewhere is what a console knows of a job of another one.
func (c *console) elsewhere(id string) (j job, ok bool) {
	c.t.Helper()
	var all []struct {
		job
		Elsewhere bool
	}
	if err := json.Unmarshal([]byte(c.must(0, "jobs", "--everywhere", "-o", "json").out), &all); err != nil {
		c.t.Fatal(err)
	}
	for _, j := range all {
		if j.ID == id && j.Elsewhere {
			return j.job, true
		}
	}
	return job{}, false
}

// The queues of two consoles on two machines know of each other: what one moves
// takes the places of the other's moves, what waits at one is seen at the other,
// and each begins by itself when there is a place.
func TestQueueOfTwoConsoles(t *testing.T) {
	queueVMs(t)
	ensure(t, lab.VMSpec{Name: "qoff", Node: "node3", State: lab.VMOff, Disks: []lab.DiskSpec{{SizeMiB: 128, FillMiB: 40}}})
	gather(t, "node1", "q1", "q2", "q3")
	one, two := newConsole(t, "parallel_per_node = 1"), newConsole(t, "parallel_per_node = 1")
	first := one.start("q1", "node2")
	one.copied(first, "disk")

	// Out of the same node: it waits for the other console's move, and says so.
	second := two.start("q2", "node3")
	two.reach(second, "queued")
	until(t, "it says whose move it waits for", 30*time.Second, func() bool {
		w := two.jobs()[second].Waits
		return strings.Contains(w, first) && strings.Contains(w, "another console") && strings.Contains(w, "out of node1")
	})
	until(t, "q2 shows that a move of it waits", 30*time.Second, func() bool { return strings.Contains(waitsOn(t, "q2", "node1"), second) })
	if j, ok := one.elsewhere(second); !ok || j.State != "queued" || j.VM != "q2" || j.From != "node1" || j.To != "node3" {
		t.Errorf("the other console sees %+v", j)
	}
	if j, ok := two.elsewhere(first); !ok || j.State != "running" || j.VM != "q1" {
		t.Errorf("the other console sees %+v", j)
	}
	for _, args := range [][]string{{"plan", "q2", "--to", "node2"}, {"migrate", "q2", "--to", "node2", "--yes"}} {
		if o := one.must(3, args...); !strings.Contains(o.errOut, second) || !strings.Contains(o.errOut, "waits in the queue of another console") {
			t.Errorf("%s: %s", args[0], o.errOut)
		}
	}

	// Taken out of the queue, it leaves nothing behind.
	two.must(0, "abort", second, "--yes")
	two.reach(second, "refused")
	unmarked(t, "q2", "node1")

	// Killed in the queue, it is settled by recover, with its journal or without.
	for _, lost := range []bool{false, true} {
		second = two.start("q2", "node3")
		until(t, "q2 shows that a move of it waits", time.Minute, func() bool { return strings.Contains(waitsOn(t, "q2", "node1"), second) })
		two.kill(second)
		if lost {
			two.lose(second)
		}
		two.must(0, "recover")
		unmarked(t, "q2", "node1")
	}

	// With a place it begins by itself.
	second = two.start("q2", "node3", "--bandwidth", "0")
	two.reach(second, "queued")
	one.must(0, "abort", first, "--yes")
	one.reach(first, "undone")
	two.reach(second, "done")
	if home(t, "q1") != "node1" || home(t, "q2") != "node3" {
		t.Errorf("q1 is on %s, q2 on %s", home(t, "q1"), home(t, "q2"))
	}
	unmarked(t, "q1", "node1")
	unmarked(t, "q2", "node3")
	beats(t, "q2", "node3", imageDir+"q2.qcow2")

	// Into the same target, from a node that is none of its own, while there is
	// nothing of the VM on the target yet.
	third := one.start("qoff", "node2", "--mode", "offline", "--bandwidth", "1")
	marked(t, "qoff", "node3", third)
	second = two.start("q1", "node2", "--bandwidth", "0")
	two.reach(second, "queued")
	until(t, "it says whose move it waits for", 30*time.Second, func() bool {
		w := two.jobs()[second].Waits
		return strings.Contains(w, third) && strings.Contains(w, "into node2")
	})
	one.must(0, "abort", third, "--yes")
	two.reach(second, "done")
	unmarked(t, "q1", "node2")
	unmarked(t, "qoff", "node3")
}

// A console that is gone for good does not keep the others waiting by the mark
// of a move that waited there.
func TestQueueOfALostConsole(t *testing.T) {
	queueVMs(t)
	gather(t, "node1", "q1", "q2", "q3")
	one, two := newConsole(t, "parallel_per_node = 1"), newConsole(t, "parallel_per_node = 1")
	first := one.start("q1", "node2")
	one.reach(first, "running")
	second := one.start("q2", "node2")
	until(t, "q2 shows that a move of it waits", time.Minute, func() bool { return strings.Contains(waitsOn(t, "q2", "node1"), second) })
	began := time.Now()
	one.kill(second)
	one.must(0, "abort", first, "--yes")
	one.reach(first, "undone")

	third := two.start("q3", "node2", "--bandwidth", "0")
	two.reach(third, "queued")
	if w := two.jobs()[third].Waits; !strings.Contains(w, second) {
		t.Errorf("it waits because %s", w)
	}
	two.reach(third, "done")
	if home(t, "q3") != "node2" {
		t.Error("q3 is not on node2")
	}
	until(t, "the mark is old enough", 2*time.Minute, func() bool { return time.Since(began) > 65*time.Second })
	two.must(0, "recover", "--orphans")
	unmarked(t, "q2", "node1")
	two.must(0, "migrate", "q2", "--to", "node2", "--yes")
}
