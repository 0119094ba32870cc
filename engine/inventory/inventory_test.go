package inventory

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"horcrux/config"
	"horcrux/engine/fleet"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// closedNodes is a fleet of nodes that lead nowhere.
func closedNodes(t testing.TB, n int) *Inventory {
	t.Helper()
	cfg := config.Default()
	cfg.SSH.ConfigFile = ""
	for i := range n {
		cfg.Nodes = append(cfg.Nodes, config.Node{Name: fmt.Sprintf("node%d", i), Address: "127.0.0.1:1"})
	}
	f := fleet.Open(cfg, fleet.Options{})
	inv := New(f, time.Second)
	t.Cleanup(func() {
		inv.Close()
		f.Close()
	})
	return inv
}

func TestDeadNodesAreSettledAndShown(t *testing.T) {
	inv := closedNodes(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := inv.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	for _, n := range inv.Snapshot().Nodes {
		if n.State != model.NodeUnreachable || n.Reason == "" || n.Since.IsZero() || !n.Seen.IsZero() {
			t.Errorf("%+v", n)
		}
	}
}

func TestFactsOfADeadNodeStay(t *testing.T) {
	inv := closedNodes(t, 1)
	w := inv.watchers[0]
	at := time.Unix(1000, 0)
	w.listed([]virt.DomainRef{{UUID: "u", Name: "web", ID: 3}}, at)
	w.counted(&model.DomainStats{At: at, UUID: "u", State: model.DomainStatus{State: model.StateRunning, Reason: "booted"}})
	w.touched(Seen)
	c := inv.Snapshot()
	if len(c.VMs) != 1 || c.VMs[0].State != model.StateRunning || !c.VMs[0].Seen.Equal(at) || c.Nodes[0].Running != 1 {
		t.Errorf("%+v", c)
	}
}

func TestSnapshotsAreNeverChanged(t *testing.T) {
	inv := closedNodes(t, 1)
	w := inv.watchers[0]
	read := func(bytes uint64, at int64) {
		w.listed([]virt.DomainRef{{UUID: "u", Name: "web", ID: 3}}, time.Unix(at, 0))
		w.counted(&model.DomainStats{
			At: time.Unix(at, 0), UUID: "u", State: model.DomainStatus{State: model.StateRunning},
			CPUTime: time.Duration(at) * time.Second / 2,
			Blocks:  []model.BlockStat{{Target: "vda", ReadBytes: bytes, Capacity: bytes}},
		})
		w.touched(Seen)
	}
	w.listed([]virt.DomainRef{{UUID: "u", Name: "web", ID: 3}}, time.Unix(1, 0))
	w.vms["u"].learned(virt.Domain{Disks: []virt.DiskXML{{Disk: model.Disk{Target: "vda"}}}}, time.Unix(1, 0))
	read(100, 10)
	first := inv.Snapshot()
	read(300, 12)
	second := inv.Snapshot()
	if first.VMs[0].Disks[0].Capacity != 100 || second.VMs[0].Disks[0].Capacity != 300 {
		t.Errorf("%+v\n%+v", first.VMs[0].Disks, second.VMs[0].Disks)
	}
	if r := second.VMs[0]; r.DiskRead != 100 || r.CPUPercent != 50 {
		t.Errorf("%v bytes/s, %v %%", r.DiskRead, r.CPUPercent)
	}
}

func TestTheFirstPictureNeedsEveryState(t *testing.T) {
	w := closedNodes(t, 1).watchers[0]
	w.listed([]virt.DomainRef{{UUID: "u", Name: "web", ID: 3}, {UUID: "v", Name: "off", ID: -1}}, time.Unix(1, 0))
	tell := func(id model.UUID, s model.DomainState) {
		w.counted(&model.DomainStats{UUID: id, State: model.DomainStatus{State: s}})
	}
	if !w.uncounted() {
		t.Error("complete without a state")
	}
	if tell("u", model.StatePaused); !w.uncounted() {
		t.Error("complete with one state of two")
	}
	if tell("v", model.StateShutoff); w.uncounted() {
		t.Error("a state is still awaited")
	}
	select {
	case <-w.look:
	default:
		t.Error("who waits for the states is not woken")
	}
}

// A domain that is off is defined, whatever is not known of it yet; of one that
// runs it is asked.
func TestWhatIsOffIsPersistent(t *testing.T) {
	inv := closedNodes(t, 1)
	w := inv.watchers[0]
	w.listed([]virt.DomainRef{{UUID: "1", Name: "off", ID: -1}, {UUID: "2", Name: "on", ID: 3}}, time.Now())
	w.touched(Seen)
	for _, v := range inv.Snapshot().VMs {
		if v.Persistent != (v.Name == "off") {
			t.Errorf("%s: persistent %v", v.Name, v.Persistent)
		}
	}
	if !w.vms["2"].doubted {
		t.Error("a new domain is not in doubt")
	}
}

func TestListFollowsTheHost(t *testing.T) {
	inv := closedNodes(t, 1)
	w := inv.watchers[0]
	names := func(refs ...virt.DomainRef) []string {
		w.listed(refs, time.Now())
		w.touched(Seen)
		var got []string
		for _, v := range inv.Snapshot().VMs {
			got = append(got, v.Name)
		}
		return got
	}
	b, a := virt.DomainRef{UUID: "1", Name: "b", ID: -1}, virt.DomainRef{UUID: "2", Name: "a", ID: -1}
	if d := cmp.Diff([]string{"a", "b"}, names(b, a)); d != "" {
		t.Error(d)
	}
	b.Name = "0"
	if d := cmp.Diff([]string{"0", "a"}, names(b, a)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"0"}, names(b)); d != "" {
		t.Error(d)
	}
}

func TestRates(t *testing.T) {
	at := func(s int64, cpu time.Duration, rx uint64) counters {
		return countersOf(&model.DomainStats{At: time.Unix(s, 0), CPUTime: cpu, Nets: []model.NetStat{{RxBytes: rx}}})
	}
	for name, c := range map[string]struct {
		old, now counters
		want     rates
	}{
		"first":     {counters{}, at(10, time.Second, 5), rates{}},
		"two":       {at(10, time.Second, 100), at(12, 4*time.Second, 300), rates{cpu: 150, rx: 100}},
		"restarted": {at(10, time.Minute, 100), at(12, time.Second, 5), rates{}},
		"nic swap":  {at(10, time.Second, 100), at(12, time.Second, 50), rates{}},
		"same time": {at(10, time.Second, 100), at(10, 2*time.Second, 200), rates{}},
	} {
		if got := ratesOf(c.old, c.now); got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestParseStarts(t *testing.T) {
	now := time.Unix(5000, 0)
	got := parseStarts("1000\n900 web.pid\n990 a b.pid\n2000 future.pid\nx y.pid\n880 driver.txt\n", now)
	want := map[string]time.Time{"web": time.Unix(4900, 0), "a b": time.Unix(4990, 0)}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if parseStarts("", now) != nil || parseStarts("sh: no", now) != nil {
		t.Error("nonsense was understood")
	}
}

func TestAddressesGoToTheirNICs(t *testing.T) {
	v := &vm{xml: said{NICs: []model.NIC{{MAC: "a"}, {MAC: "b"}}}, addresses: []virt.IfaceAddr{
		{MAC: "b", IPs: []string{"10.0.0.1", "fe80::1", "2001:db8::1"}}, {MAC: "00", IPs: []string{"127.0.0.1"}},
	}}
	v.layNICs()
	if d := cmp.Diff([]string{"10.0.0.1", "2001:db8::1"}, v.flat); d != "" {
		t.Error(d)
	}
	if v.nics[0].Addresses != nil || len(v.nics[1].Addresses) != 2 || v.xml.NICs[1].Addresses != nil {
		t.Errorf("%+v", v.nics)
	}
}

func TestSubscribe(t *testing.T) {
	inv := closedNodes(t, 1)
	ch, stop := inv.Subscribe()
	<-ch // at once
	for range 10 {
		inv.touched(Seen)
	}
	<-ch
	stop()
}

func BenchmarkSnapshot10000(b *testing.B) {
	inv := closedNodes(b, 12)
	for i, w := range inv.watchers {
		var refs []virt.DomainRef
		for j := range 834 {
			refs = append(refs, virt.DomainRef{UUID: model.UUID(fmt.Sprintf("%d-%d", i, j)), Name: fmt.Sprintf("vm%05d", (j*7919)%9973)})
		}
		w.listed(refs, time.Now())
		w.touched(Seen)
	}
	for b.Loop() {
		inv.watchers[0].touched(Seen) // one node answers at a time
		if n := len(inv.Snapshot().VMs); n < 10000 {
			b.Fatal(n)
		}
	}
}
