package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestProcList: a process that calls itself QEMU is found with its state, known
// again, and gone when it ended; one that is called otherwise is not.
func TestProcList(t *testing.T) {
	exe := filepath.Join(t.TempDir(), "qemu-system-test")
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, b, 0o755); err != nil {
		t.Fatal(err)
	}
	var l procList
	has := func(pid int, quick bool) bool {
		for _, p := range l.qemus(quick) {
			if p.PID == pid {
				return true
			}
		}
		return false
	}
	l.qemus(true)
	ours, other := exec.Command(exe, "60", "0", "0", "0"), exec.Command(sleep, "60", "0", "0", "0")
	for _, c := range []*exec.Cmd{ours, other} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Wait()         //nolint:errcheck // it is killed
		defer c.Process.Kill() //nolint:errcheck // it may be gone
	}
	pid := ours.Process.Pid
	for _, quick := range []bool{true, true, false} {
		if !has(pid, quick) || has(other.Process.Pid, quick) {
			t.Fatalf("quick %t: found %t, the other %t", quick, has(pid, quick), has(other.Process.Pid, quick))
		}
	}
	// Its place is taken by another: what was known of that number is void.
	l.known[pid].start = "1"
	l.known[pid].Args = nil
	if !has(pid, true) || len(l.known[pid].Args) != 5 {
		t.Error("a process of another start is taken for the one before")
	}
	ours.Process.Kill() //nolint:errcheck // it may be gone
	for end := time.Now().Add(5 * time.Second); has(pid, true); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("found after its end")
		}
	}
}

func BenchmarkProcList(b *testing.B) {
	for _, quick := range []bool{false, true} {
		b.Run(map[bool]string{false: "whole", true: "quick"}[quick], func(b *testing.B) {
			var l procList
			for b.Loop() {
				l.qemus(quick)
			}
		})
	}
}
