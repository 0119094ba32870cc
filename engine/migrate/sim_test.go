package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/digitalocean/go-libvirt"

	"horcrux/engine/event"
	"horcrux/engine/journal"
	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// sim is two hosts and one VM, with libvirt's behaviour as it was measured
// (docs/migration.md, section 1.7), at the small interfaces of this package. It
// proves the order of our acts under faults that are hard to time on real
// hosts; what libvirt really does is proved in the lab.
type sim struct {
	mu       sync.Mutex
	src, dst simHost
	// faults by call name: the call does not happen, or its answer is lost.
	fail, lose map[string]error
	calls      []string
	before     model.DomainState // of the source, when Begin was called
	broken     string            // the first invariant that did not hold
	volumes    map[string]bool
	files      map[string]bool
}

type simHost struct {
	st         model.DomainStatus
	marked     bool
	claimed    model.JobID // by another move
	autostart  bool
	silent     bool
	incoming   bool // came by Prepare, ends with its link
	job        bool
	definition string
	disk       string // what vda is on, if not its image
}

var (
	simRunning = model.DomainStatus{State: model.StateRunning, Reason: "booted", Persistent: true}
	simPM      = model.DomainStatus{State: model.StatePaused, Reason: "migration", Persistent: true}
	simPU      = model.DomainStatus{State: model.StatePaused, Reason: "user", Persistent: true}
	simOff     = model.DomainStatus{State: model.StateShutoff, Reason: "migrated", Persistent: true}
	simGone    = model.DomainStatus{State: model.StateMissing}
	errLost    = &virt.Error{Doing: "call", Sent: true, Class: virt.ErrLost}
	errSaid    = &virt.Error{Doing: "call", Sent: true, Err: libvirt.Error{Code: virt.CodeOperationFailed, Message: "said no"}}
)

func newSim() *sim {
	return &sim{
		src: simHost{st: simRunning, autostart: true}, dst: simHost{st: simGone},
		fail: map[string]error{}, lose: map[string]error{}, volumes: map[string]bool{}, files: map[string]bool{"/img/web.qcow2": true},
	}
}

// do runs one call on one host, with its fault, and checks what must hold.
func (s *sim) do(h *simHost, name string, act func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, name)
	if h.silent {
		return errLost
	}
	if err := s.fail[name]; err != nil {
		return err
	}
	err := act()
	if s.src.st.State == model.StateRunning && s.dst.st.State == model.StateRunning && s.broken == "" {
		s.broken = "two copies run after " + name
	}
	if lost := s.lose[name]; lost != nil {
		return lost
	}
	return err
}

type simEnd struct {
	s    *sim
	h    *simHost
	name model.NodeName
}

func (e *simEnd) Name() model.NodeName  { return e.name }
func (e *simEnd) on(what string) string { return string(e.name) + "." + what }

func (e *simEnd) Status(context.Context) (st model.DomainStatus, err error) {
	err = e.s.do(e.h, e.on("status"), func() error { st = e.h.st; st.JobActive = e.h.job; return nil })
	if err != nil {
		st = model.DomainStatus{State: model.StateUnreachable, Err: err.Error()}
	}
	return st, err
}

func (e *simEnd) Destroy(context.Context) error {
	return e.s.do(e.h, e.on("destroy"), func() error {
		if e.h.st.Persistent {
			e.h.st = simOff
		} else {
			e.h.st = simGone
		}
		e.h.incoming, e.h.job = false, false
		return nil
	})
}

func (e *simEnd) Undefine(context.Context) error {
	return e.s.do(e.h, e.on("undefine"), func() error {
		if e.h.st.Live() {
			e.h.st.Persistent = false
			return nil
		}
		e.h.st, e.h.marked = simGone, false
		return nil
	})
}

func (e *simEnd) Resume(context.Context) error {
	return e.s.do(e.h, e.on("resume"), func() error {
		if e.h.job {
			return errSaid // change protection
		}
		if e.h.st.State != model.StatePaused {
			return errSaid
		}
		e.h.st = model.DomainStatus{State: model.StateRunning, Reason: "unpaused", Persistent: e.h.st.Persistent}
		return nil
	})
}

func (e *simEnd) Suspend(context.Context) error {
	return e.s.do(e.h, e.on("suspend"), func() error { e.h.st = simPU; return nil })
}

func (e *simEnd) DeleteVolume(_ context.Context, p string) error {
	return e.s.do(e.h, e.on("delete"), func() error {
		if used := e.h.disk; e.h.st.Live() && (p == used || used == "" && p == "/img/web.qcow2") {
			return errSaid // in use
		}
		if e.h == &e.s.dst {
			delete(e.s.volumes, p)
		} else {
			delete(e.s.files, p)
		}
		return nil
	})
}

func (e *simEnd) SetAutostart(_ context.Context, on bool) error {
	return e.s.do(e.h, e.on("autostart"), func() error { e.h.autostart = on; return nil })
}

func (e *simEnd) Mark(_ context.Context, m Mark) error {
	return e.s.do(e.h, e.on("mark"), func() error { e.h.marked = m.Role == RoleMoving; return nil })
}

func (e *simEnd) ReadMark(context.Context) (m Mark, err error) {
	err = e.s.do(e.h, e.on("readmark"), func() error {
		m.Job = e.h.claimed
		if m.Job == "" && (e.h.marked || e.h == &e.s.dst && e.h.st.State != model.StateMissing) {
			m.Job, m.Role = "k3f9x2", RoleMoving
		}
		return nil
	})
	return m, err
}

func (e *simEnd) Start(context.Context) error {
	return e.s.do(e.h, e.on("start"), func() error {
		switch {
		case e.h.st.State != model.StateShutoff:
			return errSaid
		case strings.Contains(e.h.definition, ".moved-to-"):
			return errSaid // the tombstone's disks do not exist
		case e.h == &e.s.src && !e.s.files["/img/web.qcow2"], e.h == &e.s.dst && !e.s.volumes["/img/web.qcow2"]:
			return errSaid
		}
		e.h.st = simRunning
		return nil
	})
}

func (e *simEnd) File(_ context.Context, p string) model.FileFact { return model.FileFact{Path: p} }

func (e *simEnd) Rights(_ context.Context, p string) (model.Rights, error) {
	return model.Rights{Path: p}, nil
}

func (e *simEnd) SetRights(context.Context, model.Rights) (bool, error) { return false, nil }

func (e *simEnd) RemoveMark(context.Context) error {
	return e.s.do(e.h, e.on("unmark"), func() error { e.h.marked = false; return nil })
}

func (e *simEnd) Announce(context.Context) error {
	return e.s.do(e.h, e.on("announce"), func() error { return nil })
}

func (e *simEnd) AbortJob(context.Context) error {
	return e.s.do(e.h, e.on("abort"), func() error { return nil })
}

func (e *simEnd) StartPostCopy(context.Context) error {
	return e.s.do(e.h, e.on("postcopy"), func() error { return nil })
}

func (e *simEnd) PausePostCopy(context.Context) error {
	return e.s.do(e.h, e.on("break"), func() error { return nil })
}

func (e *simEnd) PauseIncoming(context.Context) error {
	return e.s.do(e.h, e.on("break"), func() error { return nil })
}

func (e *simEnd) BreakStreams(context.Context) (int, error) {
	return 1, e.s.do(e.h, e.on("yank"), func() error { return nil })
}

func (e *simEnd) SetMaxSpeed(context.Context, uint64) error {
	return e.s.do(e.h, e.on("speed"), func() error { return nil })
}

func (e *simEnd) SetMaxDowntime(context.Context, time.Duration) error {
	return e.s.do(e.h, e.on("downtime"), func() error { return nil })
}

func (e *simEnd) SetBlockJobSpeed(context.Context, string, uint64) error {
	return e.s.do(e.h, e.on("blockspeed"), func() error { return nil })
}

func (e *simEnd) XML(context.Context, virt.XMLOptions) (string, error) {
	return `<domain><name>web</name><devices><disk type='file' device='disk'><source file='/img/web.qcow2'/><target dev='vda'/></disk></devices></domain>`, nil
}

func (e *simEnd) Define(_ context.Context, xml string) error {
	return e.s.do(e.h, e.on("define"), func() error {
		e.h.definition = xml
		if e.h.st.State == model.StateMissing {
			e.h.st = simOff
		}
		return nil
	})
}

func (e *simEnd) JobStats(context.Context) (virt.JobStats, error) {
	return virt.JobStats{Type: virt.JobUnbounded, MemTotal: 1 << 28}, nil
}

func (e *simEnd) CompletedJobStats(context.Context) (virt.JobStats, error) {
	return virt.JobStats{Downtime: 40 * time.Millisecond}, nil
}

func (e *simEnd) VolumeExists(_ context.Context, p string) (ok bool, err error) {
	err = e.s.do(e.h, e.on("exists"), func() error {
		ok = e.s.files[p]
		if e.h == &e.s.dst {
			ok = e.s.volumes[p]
		}
		return nil
	})
	return ok, err
}

func (e *simEnd) CreateVolume(_ context.Context, d model.DiskPlan) error {
	return e.s.do(e.h, e.on("create"), func() error { e.s.volumes[d.Path] = true; return nil })
}

func (e *simEnd) Rename(_ context.Context, from, to string) error {
	return e.s.do(e.h, e.on("rename"), func() error {
		files := e.s.files
		if e.h == &e.s.dst {
			files = e.s.volumes
		}
		if !files[from] || files[to] || e.h.st.Live() {
			return errSaid
		}
		delete(files, from)
		files[to] = true
		return nil
	})
}

func (e *simEnd) StartPaused(context.Context) error {
	return e.s.do(e.h, e.on("start-paused"), func() error { return e.boot(simPU) })
}

// boot starts a defined VM whose disk is there by its name.
func (e *simEnd) boot(to model.DomainStatus) error {
	has := e.s.files["/img/web.qcow2"]
	if e.h == &e.s.dst {
		has = e.s.volumes["/img/web.qcow2"]
	}
	if e.h.st.State != model.StateShutoff || !has {
		return errSaid
	}
	e.h.st = to
	return nil
}

func (e *simEnd) ShutdownBy(_ context.Context, way virt.ShutdownWay) error {
	return e.s.do(e.h, e.on("shutdown-"+string(way)), func() error { e.h.st = simOff; return nil })
}

func (e *simEnd) DropSockets(ctx context.Context, p string) error { return e.DeleteVolume(ctx, p) }

func (e *simEnd) EmptyDevice(context.Context, string) error {
	return errors.New("no VM here has a device")
}
func (e *simEnd) DeleteTree(ctx context.Context, p string) error { return e.DeleteVolume(ctx, p) }

func (e *simEnd) Snapshot(_ context.Context, _, to string) error {
	return e.s.do(e.h, e.on("snapshot"), func() error { e.s.volumes[to] = true; return nil })
}

func (e *simEnd) FreezeDisks(_ context.Context, overlays map[string]string, _ []string) error {
	return e.s.do(e.h, e.on("freeze"), func() error {
		e.h.disk = overlays["vda"]
		e.s.files[e.h.disk] = true
		return nil
	})
}

func (e *simEnd) RefreshPools(context.Context, ...string) error { return nil }

func (e *simEnd) DiskSource(context.Context, string) (src string, err error) {
	err = e.s.do(e.h, e.on("source"), func() error {
		src = e.h.disk
		if src == "" {
			src = "/img/web.qcow2"
		}
		return nil
	})
	return src, err
}

func (e *simEnd) Allocation(context.Context, string) (uint64, error) { return 1 << 20, nil }

func (e *simEnd) CreateOverlay(_ context.Context, file, _, _ string, _ uint64) error {
	return e.s.do(e.h, e.on("overlay"), func() error { e.s.volumes[file] = true; return nil })
}

func (e *simEnd) Flatten(context.Context, string, string, []string) error {
	return e.s.do(e.h, e.on("flatten"), func() error {
		if e.h.st.State == model.StatePaused && e.h.st.Reason == "migration" {
			return errSaid // QEMU: "Block node is read-only"
		}
		e.h.disk = ""
		return nil
	})
}

func (e *simEnd) Join(_ context.Context, _, _ string) error {
	return e.s.do(e.h, e.on("join"), func() error { return nil })
}

func (e *simEnd) Link(context.Context) (Link, error) {
	return &simLink{simEnd: e}, e.s.do(e.h, e.on("link"), func() error { return nil })
}

// simLink is one side's phase calls.
type simLink struct {
	*simEnd
	closed bool
}

func (l *simLink) LibVersion(context.Context) (string, error) { return "9.0.0", nil }

func (l *simLink) SupportsFeature(context.Context, int32) (bool, error) { return true, nil }

func (l *simLink) MigrateBegin(context.Context, model.UUID, virt.MigrateParams, virt.MigrateFlags) (c []byte, x string, err error) {
	err = l.s.do(l.h, "begin", func() error { l.h.job, l.s.before = true, l.h.st.State; return nil })
	return []byte("c1"), "<domain/>", err
}

func (l *simLink) MigratePrepare(_ context.Context, _ virt.MigrateParams, cookie []byte, _ virt.MigrateFlags) (c []byte, u string, err error) {
	if string(cookie) != "c1" {
		return nil, "", errors.New("wrong cookie for prepare")
	}
	err = l.s.do(l.h, "prepare", func() error {
		l.h.st = model.DomainStatus{State: model.StatePaused, Reason: "migration"}
		l.h.incoming = true
		return nil
	})
	return []byte("c2"), "tcp:node2:49152", err
}

func (l *simLink) MigratePerform(_ context.Context, _ model.UUID, _ virt.MigrateParams, cookie []byte, flags virt.MigrateFlags) (c []byte, err error) {
	if flags&virt.MigrateSyncWrites != 0 {
		return nil, errors.New("to abort this may destroy the source's QEMU")
	}
	if string(cookie) != "c2" {
		return nil, errors.New("wrong cookie for perform")
	}
	err = l.s.do(l.h, "perform", func() error { l.h.st = simPM; return nil })
	if err != nil && l.s.fail["perform"] != nil {
		// A failed Perform has resumed the source and ended its job.
		l.s.mu.Lock()
		l.h.job = false
		l.s.mu.Unlock()
	}
	return []byte("c3"), err
}

func (l *simLink) MigrateFinish(_ context.Context, _ virt.MigrateParams, cookie []byte, flags virt.MigrateFlags, cancelled bool) (c []byte, err error) {
	if flags&virt.MigratePaused == 0 {
		return nil, errors.New("finish without PAUSED would let the target run")
	}
	name := "finish"
	if cancelled {
		name = "finish-cancelled"
	}
	err = l.s.do(l.h, name, func() error {
		if cancelled {
			l.h.st, l.h.incoming = simGone, false
			return &virt.Error{Sent: true, Err: libvirt.Error{Code: virt.CodeMigrateFinishOK}}
		}
		if string(cookie) != "c3" {
			return fmt.Errorf("wrong cookie %q for finish", cookie)
		}
		l.h.st, l.h.incoming = simPU, false
		return nil
	})
	return []byte("c4"), err
}

func (l *simLink) MigrateConfirm(_ context.Context, _ model.UUID, _ virt.MigrateParams, cookie []byte, _ virt.MigrateFlags, cancelled bool) error {
	name := "confirm"
	if cancelled {
		name = "confirm-cancelled"
	}
	return l.s.do(l.h, name, func() error {
		if len(cookie) > 0 && string(cookie) != "c4" {
			return errors.New("attempt to migrate guest to the same host")
		}
		l.h.job = false
		switch {
		case !cancelled:
			l.h.st = simOff
		case l.h.st == simPM && l.s.before == model.StateRunning:
			l.h.st = model.DomainStatus{State: model.StateRunning, Reason: "migration canceled", Persistent: true}
		}
		return nil
	})
}

// Close drops what is unfinished, as libvirt does when a connection ends.
func (l *simLink) Close() error {
	l.s.mu.Lock()
	defer l.s.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	if l.h == &l.s.dst && l.h.incoming {
		l.h.st, l.h.incoming = simGone, false
	}
	if l.h == &l.s.src {
		l.h.job = false
	}
	return nil
}

// env makes a job's surroundings over the simulated hosts.
func (s *sim) env(j *journal.Journal, emit func(event.Event)) Env {
	return Env{
		Patience: 300 * time.Millisecond, Journal: j, Source: &simEnd{s, &s.src, "node1"}, Target: &simEnd{s, &s.dst, "node2"}, Now: time.Now, Emit: emit,
		Health: func(_ context.Context, stage model.CheckStage, _ []model.CheckResult, _ func(model.CheckResult)) []model.CheckResult {
			v := model.Pass
			if s.fail["health-"+string(stage)] != nil {
				v = model.Fail
			}
			return []model.CheckResult{{Check: model.CheckMonitor, Title: "QEMU monitor", Stage: stage, Verdict: v, Evidence: "sim"}}
		},
	}
}
