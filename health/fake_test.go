package health

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"horcrux/engine/model"
)

// fakeClock moves when somebody sleeps, so that tests wait for nothing.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func newFakeClock() *fakeClock { return &fakeClock{now: time.Unix(1000, 0)} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) Sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
	return ctx.Err()
}

const (
	bootA = "aaaaaaaa-1111-2222-3333-444444444444"
	bootB = "bbbbbbbb-1111-2222-3333-444444444444"
)

var errFake = errors.New("host said no")

// fakeVM is a scripted Target: a healthy VM by default; tests spoil parts.
type fakeVM struct {
	mu    sync.Mutex
	clock *fakeClock

	state    model.DomainStatus
	stateErr error
	xml      string
	xmlErr   error
	qmp      map[string]string // command -> JSON; an empty one is an error
	boot     string
	agentOff int  // questions that go unanswered first; <0 for ever
	noFiles  bool // the agent does not open files
	exec     string
	ips      []string

	// samples is what Stats answers, one after the other, the last for ever.
	samples  []model.DomainStats
	statsErr error
	asked    int
	calls    map[string]int
	hang     bool
}

func (v *fakeVM) called(what string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.calls == nil {
		v.calls = map[string]int{}
	}
	v.calls[what]++
}

func (v *fakeVM) count(what string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[what]
}

func (v *fakeVM) wait(ctx context.Context) error {
	if v.hang {
		<-ctx.Done()
		return ctx.Err()
	}
	return nil
}

func (v *fakeVM) Node() model.NodeName { return "node2" }

func (v *fakeVM) Status(ctx context.Context) (model.DomainStatus, error) {
	v.called("status")
	if err := v.wait(ctx); err != nil {
		return model.DomainStatus{}, err
	}
	return v.state, v.stateErr
}

func (v *fakeVM) XML(ctx context.Context) (string, error) {
	v.called("xml")
	return v.xml, cmp.Or(v.wait(ctx), v.xmlErr)
}

func (v *fakeVM) Stats(ctx context.Context) (model.DomainStats, error) {
	v.called("stats")
	if err := v.wait(ctx); err != nil {
		return model.DomainStats{}, err
	}
	if v.statsErr != nil {
		return model.DomainStats{}, v.statsErr
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.samples[min(v.asked, len(v.samples)-1)]
	s.At = time.Unix(5000, 0).Add(time.Duration(v.asked) * window / looks)
	v.asked++
	return s, nil
}

func (v *fakeVM) QMP(ctx context.Context, command string, _ any) (json.RawMessage, error) {
	v.called(command)
	if err := v.wait(ctx); err != nil {
		return nil, err
	}
	if v.qmp[command] == "" {
		return nil, errFake
	}
	return json.RawMessage(v.qmp[command]), nil
}

func (v *fakeVM) Agent(ctx context.Context, command string, _ any, _ time.Duration) (json.RawMessage, error) {
	v.called(command)
	if err := cmp.Or(v.wait(ctx), ctx.Err()); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.agentOff != 0 {
		v.agentOff--
		return nil, errors.New("guest agent is not connected")
	}
	switch command {
	case "guest-ping":
		return json.RawMessage(`{}`), nil
	case "guest-get-host-name":
		return json.RawMessage(`{"host-name":"web.example"}`), nil
	case "guest-info":
		return json.RawMessage(`{"version":"7.2.22"}`), nil
	case "guest-file-open":
		if v.noFiles {
			return nil, errors.New("the command guest-file-open has been disabled")
		}
		return json.RawMessage(`1001`), nil
	case "guest-file-read":
		return json.RawMessage(`{"count":37,"buf-b64":"` + base64.StdEncoding.EncodeToString([]byte(v.boot+"\n")) + `"}`), nil
	case "guest-file-close":
		return json.RawMessage(`{}`), nil
	case "guest-exec":
		return json.RawMessage(`{"pid":77}`), nil
	case "guest-exec-status":
		return json.RawMessage(v.exec), nil
	}
	return nil, errors.New("no such command")
}

func (v *fakeVM) Addresses(ctx context.Context) ([]string, error) {
	v.called("addresses")
	if err := v.wait(ctx); err != nil {
		return nil, err
	}
	return v.ips, nil
}

const healthyXML = `<domain type='kvm' id='1'>
  <devices>
    <disk type='file' device='disk'><source file='/img/web.qcow2'/><target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>
    <disk type='file' device='cdrom'><source index='1'/><target dev='sda' bus='sata'/><readonly/><alias name='sata0-0-0'/></disk>
    <interface type='bridge'><mac address='52:54:00:AA:00:01'/><source bridge='br0'/><target dev='vnet0'/><model type='virtio'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>
  </devices>
</domain>`

func counters(n uint64) model.DomainStats {
	return model.DomainStats{
		VCPUs:          []model.VCPUStat{{State: "running", Time: time.Duration(n) * 100 * time.Millisecond}, {State: "running"}},
		BalloonCurrent: 256 << 20, BalloonMaximum: 256 << 20, RSS: 200 << 20,
		Blocks: []model.BlockStat{
			{Target: "vda", Capacity: 1 << 30, ReadRequests: 10 * n, WriteRequests: 5 * n},
			{Target: "sda"},
		},
		Nets: []model.NetStat{{Target: "vnet0", RxPackets: 3 * n, TxPackets: 2 * n}},
	}
}

func healthy() *fakeVM {
	return &fakeVM{
		clock: newFakeClock(),
		state: model.DomainStatus{State: model.StateRunning, Reason: "booted"},
		xml:   healthyXML,
		qmp: map[string]string{
			"query-status":              `{"status":"running","running":true}`,
			"query-version":             `{"qemu":{"major":7,"minor":2,"micro":22},"package":"Debian"}`,
			"query-memory-size-summary": `{"base-memory":268435456,"plugged-memory":0}`,
			"query-cpus-fast":           `[{"cpu-index":0,"thread-id":11},{"cpu-index":1,"thread-id":12}]`,
			"query-block": `[{"device":"","qdev":"/machine/peripheral/virtio-disk0/virtio-backend","io-status":"ok","inserted":{"image":{"virtual-size":1073741824}}},
				{"device":"","qdev":"sata0-0-0","io-status":"ok","removable":true}]`,
		},
		boot: bootA, ips: []string{"127.0.0.1", "fe80::1", "2001:db8::9", "192.0.2.9"},
		exec:    `{"exited":true,"exitcode":0}`,
		samples: []model.DomainStats{counters(1), counters(2), counters(3)},
	}
}

// paused is the VM as the gate sees it on the target.
func paused() *fakeVM {
	v := healthy()
	v.state = model.DomainStatus{State: model.StatePaused, Reason: "user"}
	v.qmp["query-status"] = `{"status":"paused","running":false}`
	v.samples = []model.DomainStats{counters(0)}
	v.agentOff = -1
	return v
}

func (v *fakeVM) run(t *testing.T, stage model.CheckStage, o Options) map[model.CheckID]model.CheckResult {
	t.Helper()
	if o.Clock == nil {
		o.Clock = v.clock
	}
	if o.VMName == "" {
		o.VMName = "web"
	}
	out := map[model.CheckID]model.CheckResult{}
	for _, r := range Run(t.Context(), v, stage, o, nil) {
		out[r.Check] = r
	}
	return out
}

// baseline is that of a healthy VM.
func baseline(t *testing.T) []model.CheckResult {
	t.Helper()
	v := healthy()
	return Run(t.Context(), v, model.StageBaseline, Options{Clock: v.clock, VMName: "web"}, nil)
}

// edit changes one fact of a baseline.
func edit(b []model.CheckResult, id model.CheckID, key, value string) []model.CheckResult {
	for i := range b {
		if b[i].Check == id {
			b[i].Facts[key] = value
		}
	}
	return b
}
