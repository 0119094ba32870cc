//go:build lab

package test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"horcrux/lab"
)

// cutOff takes the console's network away from the hosts, which still reach each
// other, and gives what puts it back.
func cutOff(t *testing.T) (heal func()) {
	t.Helper()
	a, err := netip.ParseAddr(the.Nodes[0].Address)
	if err != nil {
		t.Fatal(err)
	}
	b := a.As4()
	b[3] = 1
	console := netip.AddrFrom4(b).String()
	rules := "table inet hxcut\ndelete table inet hxcut\ntable inet hxcut {\n" +
		" chain in {\n type filter hook input priority -10\n ip saddr " + console + " drop\n }\n" +
		" chain out {\n type filter hook output priority -10\n ip daddr " + console + " drop\n }\n}\n"
	heal = func() {
		for _, n := range the.Nodes {
			n.Exec(context.Background(), "nft", "delete", "table", "inet", "hxcut") //nolint:errcheck // it may be healed already
		}
	}
	t.Cleanup(heal)
	for _, n := range the.Nodes {
		if _, err := n.ExecInput(t.Context(), rules, "nft", "-f", "-"); err != nil {
			t.Fatal(err)
		}
	}
	return heal
}

// TestAShortBreak: a break that the daemons do not notice costs nothing.
func TestAShortBreak(t *testing.T) {
	ensure(t, lab.VMSpec{Name: "far", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 192, FillMiB: 128}}})
	from := home(t, "far")
	to := other(from)
	if err := the.Node(to).LimitRate(8 << 20); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := the.Node(to).UnlimitRate(); err != nil {
			t.Error(err)
		}
	}()
	watched(t, "far", func() {
		m := begin(t, "far", to, slowly...)
		m.reach("the copy", 2*time.Minute, copying)
		heal := cutOff(t)
		began := time.Now()
		until(t, "the break to pass", 20*time.Second, func() bool { return time.Since(began) > 10*time.Second })
		heal()
		if code, r := m.end(); code != 0 {
			t.Errorf("exit code %d: %+v", code, r)
		}
	})
	if home(t, "far") != to {
		t.Errorf("far is not on %s", to)
	}
	beats(t, "far", to, imageDir+"far.qcow2")
}

// breakLasts is as long as the contract says that a move must live through.
const breakLasts = 60 * time.Second

// TestTheConsoleIsCutOffForAMinute: a move that is copying when the console
// loses all hosts comes to an end by itself once they are back, or recovery
// brings it to one; the VM runs on exactly one host and never stopped beating.
//
// `make test-long` alone makes it: QEMU 7.2 was seen to crash on the source when
// both daemons cancel the same mirror at once, which no test of ours can mend.
func TestTheConsoleIsCutOffForAMinute(t *testing.T) {
	ensure(t, lab.VMSpec{Name: "far", Agent: true, Disks: []lab.DiskSpec{{SizeMiB: 512, FillMiB: 256}}})
	from := home(t, "far")
	to := other(from)
	if err := the.Node(to).LimitRate(4 << 20); err != nil {
		t.Fatal(err)
	}
	slow := true
	full := func() {
		if slow {
			slow = false
			if err := the.Node(to).UnlimitRate(); err != nil {
				t.Error(err)
			}
		}
	}
	defer full()
	watched(t, "far", func() {
		m := begin(t, "far", to, slowly...)
		m.reach("the copy", 2*time.Minute, copying)
		heal := cutOff(t)
		began := time.Now()
		until(t, "the break to pass", breakLasts+10*time.Second, func() bool { return time.Since(began) > breakLasts })
		heal()
		full()
		code, r := m.end()
		t.Logf("%v after the cut: exit code %d, %s on %s: %s; %s", time.Since(began).Round(time.Second), code, r.Outcome, r.Owner, r.Reason, r.Next)
		if code == 5 {
			must(t, 0, "recover")
		}
	})
	at := home(t, "far")
	beats(t, "far", at, imageDir+"far.qcow2")
	t.Logf("far is on %s; it came from %s", at, from)
	if at == from {
		absent(t, "far", to)
		unmarked(t, "far", from)
	}
	again(t, "far", at)
}
