package health

import (
	"context"
	"strings"
	"testing"

	"horcrux/engine/model"
)

// still is a guest that does nothing: its counters stand.
func still(v *fakeVM) { v.samples = []model.DomainStats{counters(1)} }

// userPaused is a VM that its user had paused.
func userPaused(v *fakeVM) {
	v.state = model.DomainStatus{State: model.StatePaused, Reason: "user"}
	v.qmp["query-status"] = `{"status":"paused","running":false}`
	still(v)
}

func TestChecks(t *testing.T) {
	with := func(from, to string) func(*fakeVM) {
		return func(v *fakeVM) { v.xml = strings.ReplaceAll(v.xml, from, to) }
	}
	qmp := func(command, answer string) func(*fakeVM) { return func(v *fakeVM) { v.qmp[command] = answer } }
	stats := func(change func(*model.DomainStats)) func(*fakeVM) {
		return func(v *fakeVM) {
			for i := range v.samples {
				change(&v.samples[i])
			}
		}
	}
	wasPaused := func(b []model.CheckResult) []model.CheckResult {
		return edit(b, model.CheckRunning, factState, string(model.StatePaused))
	}
	const (
		now, base, gate, after = model.StageNow, model.StageBaseline, model.StageGate, model.StageAfter
		running, monitor       = model.CheckRunning, model.CheckMonitor
		memory, cpu            = model.CheckMemory, model.CheckCPU
		disk, network          = model.CheckDisk, model.CheckNetwork
		agent                  = model.CheckAgent
	)
	tests := []struct {
		name     string
		stage    model.CheckStage
		check    model.CheckID
		spoil    func(*fakeVM)
		before   func([]model.CheckResult) []model.CheckResult // changes the baseline of gate and after
		verdict  model.Verdict
		evidence string
	}{
		{"user-paused before", base, running, userPaused, nil, model.Pass, "paused (user); it stays paused"},
		{"user-paused now", now, running, userPaused, nil, model.Warn, "paused (user)"},
		{"I/O error", base, running, func(v *fakeVM) { v.state = model.DomainStatus{State: model.StatePaused, Reason: "ioerror"} }, nil, model.Fail, "paused (ioerror)"},
		{"crashed", now, running, func(v *fakeVM) { v.state = model.DomainStatus{State: model.StateCrashed, Reason: "panicked"} }, nil, model.Fail, "crashed"},
		{"asleep", now, running, func(v *fakeVM) { v.state = model.DomainStatus{State: model.StateSuspended, Reason: "unknown"} }, nil, model.Warn, "pmsuspended"},
		{"no answer", now, running, func(v *fakeVM) { v.stateErr = errFake }, nil, model.Fail, "node2 did not say: host said no"},
		{"no answer in the state", now, running, func(v *fakeVM) { v.state = model.DomainStatus{State: model.StateUnreachable, Err: "cut"} }, nil, model.Fail, "did not say: cut"},
		{"gate running", gate, running, func(v *fakeVM) { v.state.State = model.StateRunning }, nil, model.Fail, "should be paused until the switch"},
		{"gate I/O error", gate, running, func(v *fakeVM) { v.state.Reason = "ioerror" }, nil, model.Fail, "ioerror"},
		{"after paused", after, running, userPaused, nil, model.Fail, "paused (user), and was running before the move"},
		{"after still paused", after, running, userPaused, wasPaused, model.Pass, "paused (user)"},
		{"after not paused any more", after, running, nil, wasPaused, model.Fail, "and was paused before the move"},
		{"after missing", after, running, func(v *fakeVM) { v.state.State = model.StateMissing }, nil, model.Fail, "there is no such VM on node2"},

		{"silent", now, monitor, qmp("query-status", ""), nil, model.Fail, "does not answer: host said no"},
		{"nonsense", now, monitor, qmp("query-status", `"x"`), nil, model.Fail, "query-status is not understood"},
		{"disagrees", now, monitor, qmp("query-status", `{"status":"paused","running":false}`), nil, model.Fail, "libvirt says running (booted) and QEMU says paused"},
		{"gate runs", gate, monitor, qmp("query-status", `{"status":"running","running":true}`), nil, model.Fail, "QEMU runs the guest, and should not"},
		{"no version", now, monitor, qmp("query-version", ""), nil, model.Pass, "QEMU says running"},

		{"memory smaller", gate, memory, qmp("query-memory-size-summary", `{"base-memory":134217728}`), nil, model.Fail, "RAM was 256 MiB before the move and is 128 MiB"},
		{"memory by one byte", gate, memory, qmp("query-memory-size-summary", `{"base-memory":268435457}`), nil, model.Fail, "RAM was 268,435,456 bytes before the move and is 268,435,457 bytes"},
		{"balloon two pages off", gate, memory, stats(func(s *model.DomainStats) { s.BalloonCurrent += 8192 }), nil, model.Pass, ""},
		{"balloon moved", gate, memory, stats(func(s *model.DomainStats) { s.BalloonCurrent = 128 << 20 }), nil, model.Warn, "what the balloon leaves the guest was 256 MiB"},
		{"balloon maximum", after, memory, stats(func(s *model.DomainStats) { s.BalloonMaximum = 128 << 20 }), nil, model.Fail, "the most the guest may have"},
		{"no balloon", now, memory, stats(func(s *model.DomainStats) { s.BalloonCurrent, s.BalloonMaximum = 0, 0 }), nil, model.Pass, "256 MiB of RAM; QEMU holds 200 MiB"},
		{"RAM not told", now, memory, qmp("query-memory-size-summary", ""), nil, model.Warn, "QEMU does not say"},
		{"counters not told", now, memory, func(v *fakeVM) { v.statsErr = errFake }, nil, model.Warn, "no counters"},
		{"memory unknown", now, memory, func(v *fakeVM) { v.statsErr, v.qmp["query-memory-size-summary"] = errFake, "" }, nil, model.Fail, "neither QEMU nor libvirt"},
		{"no RSS after", after, memory, stats(func(s *model.DomainStats) { s.RSS = 0 }), nil, model.Fail, "holds nothing of the host's"},
		{"no RSS now", now, memory, stats(func(s *model.DomainStats) { s.RSS = 0 }), nil, model.Warn, "does not say how much QEMU holds"},

		{"vCPU lost", gate, cpu, qmp("query-cpus-fast", `[{"thread-id":1}]`), nil, model.Fail, "there were 2 before the move; 1 vCPU"},
		{"no vCPU", now, cpu, qmp("query-cpus-fast", `[]`), nil, model.Fail, "QEMU has no vCPU"},
		{"no thread", now, cpu, qmp("query-cpus-fast", `[{"thread-id":1},{}]`), nil, model.Fail, "1 of them have no thread"},
		{"vCPUs unknown", now, cpu, qmp("query-cpus-fast", ""), nil, model.Fail, "does not list its vCPUs"},
		{"idle", now, cpu, still, nil, model.Warn, "no CPU time used in 1.0 s: the guest is idle or hangs"},
		{"stuck after", after, cpu, still, nil, model.Fail, "no CPU time used in 5.0 s, and 400 ms a second before the move"},
		{"idle before and after", after, cpu, still, func(b []model.CheckResult) []model.CheckResult { return edit(b, cpu, "ms_per_s", "10") }, model.Warn, "idle or hangs"},
		{"late start", after, cpu, func(v *fakeVM) { v.samples = []model.DomainStats{counters(1), counters(1), counters(1), counters(2)} }, nil, model.Pass, "100 ms of CPU time in 0.8 s"},
		{"CPU of the paused", base, cpu, userPaused, nil, model.Pass, "their time stands still"},
		{"CPU not watched", now, cpu, func(v *fakeVM) { v.statsErr = errFake }, nil, model.Warn, "could not be watched"},

		{"size differs", gate, disk, func(v *fakeVM) {
			v.samples[0].Blocks[0].Capacity = 2 << 30
			v.qmp["query-block"] = strings.Replace(v.qmp["query-block"], "1073741824", "2147483648", 1)
		}, nil, model.Fail, "vda was 1.0 GiB before the move and is 2.0 GiB"},
		{"size in dispute", now, disk, stats(func(s *model.DomainStats) { s.Blocks[0].Capacity++ }), nil, model.Fail, "bytes for libvirt and"},
		{"disk missing in QEMU", gate, disk, qmp("query-block", `[]`), nil, model.Fail, "vda is not there"},
		{"disk missing in libvirt", gate, disk, stats(func(s *model.DomainStats) { s.Blocks = s.Blocks[1:] }), nil, model.Fail, "vda is not there"},
		{"disk lost", gate, disk, func(v *fakeVM) {
			v.xml = v.xml[:strings.Index(v.xml, "<disk")] + v.xml[strings.Index(v.xml, "<interface"):]
		}, nil, model.Fail, "vda was there before the move and is not"},
		{"I/O error state", gate, disk, func(v *fakeVM) {
			v.qmp["query-block"] = strings.Replace(v.qmp["query-block"], `"io-status":"ok"`, `"io-status":"nospace"`, 1)
		}, nil, model.Fail, "vda has the I/O state nospace"},
		{"new errors", now, disk, func(v *fakeVM) { v.samples[1].Blocks[0].Errors = 3 }, nil, model.Fail, "3 new I/O errors in 0.2 s"},
		{"disks silent after", after, disk, still, nil, model.Warn, "nothing is read or written, and was before the move"},
		{"disks silent before and after", after, disk, still, func(b []model.CheckResult) []model.CheckResult { return edit(b, disk, "requests", "0") }, model.Pass, "0 reads and 0 writes in 1.0 s"},
		{"counters reset", after, disk, func(v *fakeVM) { v.samples = []model.DomainStats{counters(9), counters(1)} }, nil, model.Pass, "10 reads and 5 writes"},
		{"no QMP", now, disk, qmp("query-block", ""), nil, model.Warn, "I/O errors are not seen"},
		{"no counters", now, disk, func(v *fakeVM) { v.statsErr = errFake }, nil, model.Warn, "no counters"},
		{"disks unknown", now, disk, func(v *fakeVM) { v.statsErr, v.qmp["query-block"] = errFake, "" }, nil, model.Fail, "neither QEMU nor libvirt"},
		{"size unknown", now, disk, func(v *fakeVM) {
			v.samples[0].Blocks[0].Capacity = 0
			v.qmp["query-block"] = strings.Replace(v.qmp["query-block"], "1073741824", "0", 1)
		}, nil, model.Warn, "the size of vda is not known"},
		{"no definition", now, disk, func(v *fakeVM) { v.xmlErr = errFake }, nil, model.Fail, "the disks are not known"},
		{"no disk", now, disk, func(v *fakeVM) { v.xml = "<domain/>" }, nil, model.Skip, "the VM has no disk"},
		{"disks of the paused", base, disk, userPaused, nil, model.Pass, "paused, so nothing is read"},

		{"other bridge", gate, network, with("br0", "br1"), nil, model.Fail, "was on bridge br0 before the move and is on bridge br1"},
		{"other card", gate, network, with("AA:00:01", "AA:00:02"), nil, model.Fail, "52:54:00:aa:00:02 was not there before the move; 52:54:00:aa:00:01 was there before the move and is not"},
		{"link down", after, network, with("<model type='virtio'/>", "<link state='down'/>"), nil, model.Fail, "was up before the move and is down"},
		{"link down by definition", now, network, with("<model type='virtio'/>", "<link state='down'/>"), nil, model.Warn, "down by its definition"},
		{"not attached", gate, network, stats(func(s *model.DomainStats) { s.Nets = nil }), nil, model.Fail, "the host has no vnet0"},
		{"macvtap has no counters", now, network, with("type='bridge'", "type='direct'"), nil, model.Pass, "on direct"},
		{"no packets after", after, network, still, nil, model.Warn, "no packet moves, and some did before"},
		{"no packets before and after", after, network, still, func(b []model.CheckResult) []model.CheckResult { return edit(b, network, "packets", "0") }, model.Pass, "0 packets in and 0 out in 1.0 s"},
		{"errors", now, network, func(v *fakeVM) { v.samples[1].Nets[0].RxErrors = 2 }, nil, model.Warn, "2 new errors"},
		{"no counters", now, network, func(v *fakeVM) { v.statsErr = errFake }, nil, model.Warn, "no counters"},
		{"no card", now, network, func(v *fakeVM) { v.xml = "<domain/>" }, nil, model.Skip, "no network interface"},
		{"no definition", now, network, func(v *fakeVM) { v.xml = "<domain" }, nil, model.Fail, "not understood"},
		{"network of the paused", base, network, userPaused, nil, model.Pass, "paused, so nothing is sent"},
		{"no address", now, network, func(v *fakeVM) { v.ips = []string{"127.0.0.1", "nonsense"} }, nil, model.Pass, "2 out in 0.2 s"},

		{"no channel", now, agent, with("guest_agent", "spice"), nil, model.Skip, "has no channel"},
		{"channel lost", after, agent, with("guest_agent", "spice"), nil, model.Fail, "had a channel for its agent before the move"},
		{"silent", base, agent, func(v *fakeVM) { v.agentOff = -1 }, nil, model.Warn, "the agent does not answer"},
		{"silent before and after", after, agent, func(v *fakeVM) { v.agentOff = -1 }, func(b []model.CheckResult) []model.CheckResult { return edit(b, agent, factAgent, silent) }, model.Skip, "did not answer before the move either"},
		{"silent before, speaks now", after, agent, nil, func(b []model.CheckResult) []model.CheckResult {
			return edit(edit(b, agent, factAgent, silent), agent, factBoot, "")
		}, model.Pass, "boot aaaaaaaa"},
		{"silent after", after, agent, func(v *fakeVM) { v.agentOff = -1 }, nil, model.Fail, "answered before the move and does not: guest agent is not connected"},
		{"late", after, agent, func(v *fakeVM) { v.agentOff = 3 }, nil, model.Pass, "same boot aaaaaaaa"},
		{"rebooted", after, agent, func(v *fakeVM) { v.boot = bootB }, nil, model.Fail, "the guest rebooted: boot aaaaaaaa before the move, bbbbbbbb now"},
		{"no files after", after, agent, func(v *fakeVM) { v.noFiles = true }, nil, model.Warn, "whether it is the same boot is not known"},
		{"no files now", now, agent, func(v *fakeVM) { v.noFiles = true }, nil, model.Pass, "no boot id: the command guest-file-open has been disabled"},
		{"not a boot id", now, agent, func(v *fakeVM) { v.boot = "Windows" }, nil, model.Pass, "not a boot id"},
		{"agent of the paused", after, agent, userPaused, wasPaused, model.Skip, "paused"},
	}
	for _, tt := range tests {
		t.Run(string(tt.check)+" "+tt.name, func(t *testing.T) {
			v := healthy()
			if tt.stage == gate {
				v = paused()
			}
			if tt.spoil != nil {
				tt.spoil(v)
			}
			var o Options
			if tt.stage == gate || tt.stage == after {
				o.Baseline = baseline(t)
			}
			if tt.before != nil {
				o.Baseline = tt.before(o.Baseline)
			}
			r := v.run(t, tt.stage, o)[tt.check]
			if r.Verdict != tt.verdict || !strings.Contains(r.Evidence, tt.evidence) {
				t.Errorf("got  %s: %s\nwant %s: %s", r.Verdict, r.Evidence, tt.verdict, tt.evidence)
			}
		})
	}
}

// The agent keeps files open until it is told otherwise.
func TestBootIDClosesItsFile(t *testing.T) {
	for _, boot := range []string{bootA, "nonsense"} {
		v := healthy()
		v.boot = boot
		v.run(t, model.StageNow, Options{})
		if v.count("guest-file-open") != 1 || v.count("guest-file-close") != 1 {
			t.Errorf("opened %d times, closed %d times", v.count("guest-file-open"), v.count("guest-file-close"))
		}
	}
}

func TestStateMayLagBehindTheResume(t *testing.T) {
	v := &lagging{fakeVM: healthy(), until: 3}
	for _, r := range Run(t.Context(), v, model.StageAfter, Options{Clock: v.clock, Baseline: baseline(t)}, nil) {
		if r.Check == model.CheckRunning && r.Verdict != model.Pass {
			t.Errorf("got %+v", r)
		}
	}
}

// lagging says paused a few times before it says running.
type lagging struct {
	*fakeVM
	until int
}

// dying is a guest whose process is gone after some looks at it.
type dying struct {
	*fakeVM
	looks int
}

func (v *dying) Status(ctx context.Context) (model.DomainStatus, error) {
	v.mu.Lock()
	v.looks--
	over := v.looks < 0
	v.mu.Unlock()
	if over {
		return model.DomainStatus{State: model.StateShutoff, Reason: "crashed"}, nil
	}
	return v.fakeVM.Status(ctx)
}

// TestEndedGuestIsNotWaitedFor: a guest may take minutes to boot, but not one
// whose process is gone.
func TestEndedGuestIsNotWaitedFor(t *testing.T) {
	for looks, want := range map[int][2]int{3: {1, 5}, 1 << 20: {100, 1000}} {
		v := &dying{healthy(), looks}
		v.agentOff = -1
		for _, r := range Run(t.Context(), v, model.StageAfter, Options{Clock: v.clock, VMName: "web", Baseline: baseline(t), Booted: true}, nil) {
			if n := v.count("guest-ping"); r.Check == model.CheckAgent && (r.Verdict != model.Fail || n < want[0] || n > want[1]) {
				t.Errorf("%s after %d questions: %s", r.Verdict, n, r.Evidence)
			}
		}
	}
}

func TestCleanText(t *testing.T) {
	for in, want := range map[string]string{
		"a\x1b[31mb":       "a[31mb",
		"a\u202eb\u200dc":  "abc",
		"one\ntwo\tthree ": "one two three",
		"bad\xff":          "bad\ufffd",
	} {
		if got := clean(in); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := clean(strings.Repeat("x", 1000)); len([]rune(got)) != longest+1 {
		t.Errorf("%d runes", len([]rune(got)))
	}
}

func (v *lagging) Status(ctx context.Context) (model.DomainStatus, error) {
	v.mu.Lock()
	v.until--
	late := v.until >= 0
	v.mu.Unlock()
	if late {
		return model.DomainStatus{State: model.StatePaused, Reason: "migration"}, nil
	}
	return v.fakeVM.Status(ctx)
}
