package virt

import (
	"encoding/binary"
	"math"
	"testing"
	"time"

	"github.com/digitalocean/go-libvirt"
	"github.com/google/go-cmp/cmp"

	"horcrux/engine/model"
)

func TestDecodeStats(t *testing.T) {
	now := time.Unix(1000, 0)
	got := model.DomainStats{At: now, UUID: formatUUID(testUUID), Blocks: make([]model.BlockStat, 3), Nets: []model.NetStat{{RxBytes: 99}}}
	r := reader{p: xdrParams(
		integer("state.state", 3), integer("state.reason", 2),
		unsigned("cpu.time", 5e9), unsigned("cpu.user", 1),
		unsigned("balloon.current", 1024), unsigned("balloon.maximum", 2048), unsigned("balloon.rss", 512),
		unsigned("vcpu.current", 2), integer("vcpu.0.state", 1), unsigned("vcpu.0.time", 7), integer("vcpu.1.state", 2),
		unsigned("block.count", 1), text("block.0.name", "vda"), text("block.0.path", "/x"),
		unsigned("block.0.rd.reqs", 1), unsigned("block.0.rd.bytes", 2), unsigned("block.0.wr.reqs", 3),
		unsigned("block.0.wr.bytes", 4), unsigned("block.0.fl.reqs", 5), unsigned("block.0.errors", 6),
		unsigned("block.0.capacity", 7), unsigned("block.0.allocation", 8), unsigned("block.0.physical", 9),
		unsigned("net.count", 1), text("net.0.name", "vnet0"), unsigned("net.0.rx.bytes", 1), unsigned("net.0.rx.pkts", 2),
		unsigned("net.0.rx.errs", 3), unsigned("net.0.rx.drop", 4), unsigned("net.0.tx.bytes", 5),
		unsigned("net.0.tx.pkts", 6), unsigned("net.0.tx.errs", 7), unsigned("net.0.tx.drop", 8),
	)}
	readStats(&r, &got, newRoster(), true)
	if r.bad || len(r.p) > 0 {
		t.Error("not read to the end")
	}
	want := model.DomainStats{
		At: now, UUID: "27547765-b6ef-4c65-94e7-2576667b0d5a",
		State:   model.DomainStatus{State: model.StatePaused, Reason: "migration", At: now},
		CPUTime: 5 * time.Second, BalloonCurrent: 1 << 20, BalloonMaximum: 2 << 20, RSS: 512 << 10,
		VCPUs: []model.VCPUStat{{State: "running", Time: 7, Timed: true}, {State: "blocked"}},
		Blocks: []model.BlockStat{{
			Target: "vda", Path: "/x", ReadRequests: 1, ReadBytes: 2, WriteRequests: 3, WriteBytes: 4,
			FlushRequests: 5, Errors: 6, Capacity: 7, Allocation: 8, Physical: 9,
		}},
		Nets: []model.NetStat{{
			Target: "vnet0", RxBytes: 1, RxPackets: 2, RxErrors: 3, RxDropped: 4, TxBytes: 5, TxPackets: 6, TxErrors: 7, TxDropped: 8,
		}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// xdrParams is an array of typed parameters as it comes over the wire.
func xdrParams(ps ...libvirt.TypedParam) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(ps)))
	for _, p := range ps {
		b = append(b, xdrString(p.Field)...)
		b = binary.BigEndian.AppendUint32(b, p.Value.D)
		switch v := p.Value.I.(type) {
		case int32:
			b = binary.BigEndian.AppendUint32(b, uint32(v))
		case uint32:
			b = binary.BigEndian.AppendUint32(b, v)
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(v))
		case uint64:
			b = binary.BigEndian.AppendUint64(b, v)
		case float64:
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
		case string:
			b = append(b, xdrString(v)...)
		}
	}
	return b
}

// An answer of two hundred domains makes no garbage but its own bytes.
func BenchmarkReadStats(b *testing.B) {
	one := xdrParams(
		integer("state.state", 1), integer("state.reason", 1), unsigned("cpu.time", 5e9), unsigned("balloon.current", 1024),
		unsigned("block.count", 1), text("block.0.name", "vda"), text("block.0.path", "/x"), unsigned("block.0.rd.bytes", 2),
		unsigned("block.0.wr.bytes", 4), unsigned("block.0.capacity", 7), unsigned("net.count", 1), text("net.0.name", "vnet0"),
		unsigned("net.0.rx.bytes", 1), unsigned("net.0.tx.bytes", 5),
	)
	known := newRoster()
	var s model.DomainStats
	b.ReportAllocs()
	for b.Loop() {
		for range 200 {
			readStats(&reader{p: one}, &s, known, false)
		}
	}
}

func FuzzDecodeStats(f *testing.F) {
	f.Add("block.0.name", "vda", uint64(1), uint8(4))
	f.Add("vcpu.99999999999.time", "", uint64(math.MaxUint64), uint8(4))
	f.Add("state.state", "", uint64(1<<40), uint8(1))
	f.Fuzz(func(t *testing.T, field, s string, n uint64, kind uint8) {
		p := libvirt.TypedParam{Field: field, Value: libvirt.TypedParamValue{D: uint32(kind)}}
		switch kind % 8 {
		case 1:
			p.Value.I = int32(n)
		case 2:
			p.Value.I = uint32(n)
		case 3:
			p.Value.I = int64(n)
		case 4:
			p.Value.I = n
		case 5:
			p.Value.I = float64(n)
		case 7:
			p.Value.I = s
		}
		var st model.DomainStats
		readStats(&reader{p: xdrParams(p, p)}, &st, newRoster(), true)
		if len(st.Blocks)+len(st.Nets)+len(st.VCPUs) > maxDevices || st.CPUTime < 0 {
			t.Errorf("%+v", st)
		}
		if j := decodeJob(int32(n), []libvirt.TypedParam{p}, time.Now()); j.Elapsed < 0 || j.AutoConvergeThrottle > 100 {
			t.Errorf("%+v", j)
		}
	})
}

// FuzzStatsAnswer feeds bytes of a hostile daemon through the library.
func FuzzStatsAnswer(f *testing.F) {
	rec := binary.BigEndian.AppendUint32(nil, 1)
	rec = append(rec, xdrString("web")...)
	rec = append(rec, testUUID[:]...)
	rec = append(rec, 0, 0, 0, 7, 0, 0, 0, 1)
	rec = append(rec, xdrString("state.state")...)
	rec = append(rec, 0, 0, 0, 1, 0, 0, 0, 3)
	f.Add(rec)
	f.Fuzz(func(t *testing.T, answer []byte) {
		d := newFakeDaemon()
		d.answers[344] = func([]byte) (uint32, []byte) { return 0, answer }
		c := openFake(t, d)
		defer c.Close()
		c.EachStats(t.Context(), nil, func(*model.DomainStats) {}) //nolint:errcheck // it must come back, whatever it says
	})
}

func TestWords(t *testing.T) {
	for _, c := range []struct {
		state, reason int32
		want          string
	}{
		{1, 1, "running (booted)"},
		{1, 5, "running (unpaused)"},
		{1, 6, "running (migration canceled)"},
		{1, 11, "running (postcopy failed)"},
		{3, 1, "paused (user)"},
		{3, 2, "paused (migration)"},
		{3, 5, "paused (ioerror)"},
		{3, 11, "paused (starting up)"},
		{3, 14, "paused (api error)"},
		{5, 4, "shutoff (migrated)"},
		{5, 8, "shutoff (daemon)"},
		{6, 1, "crashed (panicked)"},
		{7, 0, "pmsuspended"},
		{99, -3, "nostate"},
	} {
		s := stateWord(c.state)
		if got := (model.DomainStatus{State: s, Reason: reasonWord(s, c.reason)}).String(); got != c.want {
			t.Errorf("%d,%d is %q, want %q", c.state, c.reason, got, c.want)
		}
	}
}

func TestDecodeJob(t *testing.T) {
	j := decodeJob(2, []libvirt.TypedParam{
		integer("operation", 5), unsigned("time_elapsed", 1500), unsigned("memory_remaining", 1<<20), unsigned("memory_bps", 7),
		unsigned("disk_total", 64<<20), unsigned("memory_dirty_rate", 9), integer("auto_converge_throttle", 20),
		unsigned("downtime", 250), text("errmsg", "no\x1b[1mway"),
	}, time.Unix(1, 0))
	want := JobStats{
		At: time.Unix(1, 0), Type: JobUnbounded, Operation: "migration out", Elapsed: 1500 * time.Millisecond,
		MemRemaining: 1 << 20, MemBps: 7, DiskTotal: 64 << 20, DirtyRate: 9, AutoConvergeThrottle: 20,
		Downtime: 250 * time.Millisecond, ErrorMessage: "noway",
	}
	if d := cmp.Diff(want, j); d != "" || !j.Active() {
		t.Error(d)
	}
}

func TestMigrateParams(t *testing.T) {
	p := MigrateParams{
		DestName: "web", DestXML: "<d/>", PersistentXML: "<p/>", MigrateURI: "tcp://b", Bandwidth: 100,
		Disks: []string{"vda", "vdb"}, DisksPort: 49200, AutoConvergeInitial: 20, AutoConvergeIncrement: 10,
		ParallelConnections: 2, Compression: []string{"zstd"}, ListenAddress: "::", GraphicsURI: "g", TLSDestination: "b", DisksURI: "unix:///s",
	}
	types := map[string]uint32{}
	n := 0
	for _, v := range p.typed(true) {
		types[v.Field] = v.Value.D
		n++
	}
	const i, u, s = 1, 4, 7
	want := map[string]uint32{
		"destination_name": s, "destination_xml": s, "persistent_xml": s, "migrate_uri": s, "bandwidth": u, "migrate_disks": s,
		"disks_port": i, "auto_converge.initial": i, "auto_converge.increment": i, "parallel.connections": i, "compression": s,
		"listen_address": s, "graphics_uri": s, "tls.destination": s, "disks_uri": s,
	}
	if d := cmp.Diff(want, types); d != "" || n != len(want)+1 {
		t.Error(d, n)
	}
	if d := cmp.Diff(1, len(MigrateParams{DestName: "web", DestXML: "x"}.typed(false))); d != "" {
		t.Error(d)
	}
	if f := (MigrateLive | MigrateAbortOnError | MigrateAutoConverge | MigrateChangeProtection | MigratePaused) &^ sourceOnly; f != MigrateLive|MigratePaused {
		t.Errorf("flags %x go to the target", f)
	}
}

func TestMigrateFlagsAreLibvirts(t *testing.T) {
	for ours, theirs := range map[MigrateFlags]libvirt.DomainMigrateFlags{
		MigrateLive: libvirt.MigrateLive, MigratePeer2Peer: libvirt.MigratePeer2peer, MigrateTunnelled: libvirt.MigrateTunnelled,
		MigratePersistDest: libvirt.MigratePersistDest, MigrateUndefineSource: libvirt.MigrateUndefineSource,
		MigratePaused: libvirt.MigratePaused, MigrateNonSharedDisk: libvirt.MigrateNonSharedDisk,
		MigrateNonSharedInc: libvirt.MigrateNonSharedInc, MigrateChangeProtection: libvirt.MigrateChangeProtection,
		MigrateUnsafe: libvirt.MigrateUnsafe, MigrateOffline: libvirt.MigrateOffline, MigrateCompressed: libvirt.MigrateCompressed,
		MigrateAbortOnError: libvirt.MigrateAbortOnError, MigrateAutoConverge: libvirt.MigrateAutoConverge,
		MigrateRDMAPinAll: libvirt.MigrateRdmaPinAll, MigratePostcopy: libvirt.MigratePostcopy, MigrateTLS: libvirt.MigrateTLS,
		MigrateParallel: libvirt.MigrateParallel, MigrateSyncWrites: libvirt.MigrateNonSharedSynchronousWrites,
		MigratePostcopyResume: libvirt.MigratePostcopyResume, MigrateZerocopy: libvirt.MigrateZerocopy,
	} {
		if uint32(ours) != uint32(theirs) {
			t.Errorf("%x is %x", ours, theirs)
		}
	}
}

func TestReadAnswer(t *testing.T) {
	if v, err := readAnswer(`{"return":{"a":1},"id":"x"}`); err != nil || string(v) != `{"a":1}` {
		t.Error(string(v), err)
	}
	if _, err := readAnswer(`{"error":{"class":"CommandNotFound","desc":"no such command"}}`); err == nil || err.Error() != "no such command (CommandNotFound)" {
		t.Error(err)
	}
	for _, bad := range []string{"", "{}", "[]", "null"} {
		if _, err := readAnswer(bad); err == nil {
			t.Errorf("%q was understood", bad)
		}
	}
}

func TestUUID(t *testing.T) {
	raw, err := parseUUID(formatUUID(testUUID))
	if err != nil || raw != testUUID {
		t.Error(raw, err)
	}
	for _, bad := range []model.UUID{"", "x", "27547765-b6ef-4c65-94e7-2576667b0d5", "27547765-b6ef-4c65-94e7-2576667b0d5aa"} {
		if _, err := parseUUID(bad); err == nil {
			t.Errorf("%q is no UUID", bad)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\x1b[31mb\x1b[0m": "ab", "a\x1b]0;title\x07b": "ab", "a\x1b]0;rest": "a]0;rest", "a\x1b\x1b[": "a[",
		"a\u202eb": "ab", "a\nb\tc\r": "a b c", "\u009b31mx": "31mx", "é日本": "é日本", "a\x00\x08\x7fb": "ab", "\xff": "\ufffd",
		"a\u200bb": "ab", "a\u2028b": "a b",
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31mb\u202e")
	f.Add("\x1b\x1b[[AA")
	f.Fuzz(func(t *testing.T, s string) {
		c := Clean(s)
		if again := Clean(c); again != c {
			t.Errorf("%q is cleaned to %q and then to %q", s, c, again)
		}
		for _, r := range c {
			if r < 0x20 || r == 0x7f || (r >= 0x80 && r < 0xa0) || (r >= 0x202a && r <= 0x202e) || (r >= 0x2066 && r <= 0x2069) {
				t.Errorf("%q has %U", c, r)
			}
		}
	})
}
