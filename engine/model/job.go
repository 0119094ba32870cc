package model

import "time"

// PhaseID names a stretch of a move; the order of Phases is the rail on screen.
type PhaseID string

// Phases of a move, in their order.
const (
	PhaseQueue     PhaseID = "queue"     // waits for its turn; on no rail, since nothing is done yet
	PhasePreflight PhaseID = "preflight" // the plan is checked once more, the baseline of the checks is taken
	PhasePasses    PhaseID = "passes"    // block: disks go over in passes while the guest runs
	PhasePrepare   PhaseID = "prepare"   // volumes on the target, Begin, Prepare: the target waits
	PhaseStop      PhaseID = "stop"      // offline: the guest is shut down
	PhaseDisks     PhaseID = "disks"     // Perform: disks are being mirrored
	PhaseMemory    PhaseID = "memory"    // Perform: memory is being copied
	PhaseGate      PhaseID = "gate"      // both are paused; what can be checked on the paused target is
	PhaseSwitch    PhaseID = "switch"    // the target takes over: the first commit point
	PhaseFlatten   PhaseID = "flatten"   // block: the passes become one image again, while the guest runs
	PhaseVerify    PhaseID = "verify"    // the checks that need a running guest
	PhaseConfirm   PhaseID = "confirm"   // a person, or --yes, lets go of the source's leftovers
	PhaseUndo      PhaseID = "undo"      // only when something failed
)

// PhaseTitles are the words of the rail.
var PhaseTitles = map[PhaseID]string{
	PhaseQueue:     "queue",
	PhasePreflight: "pre-flight",
	PhasePasses:    "disk passes",
	PhasePrepare:   "prepare",
	PhaseStop:      "shut down",
	PhaseDisks:     "disks",
	PhaseMemory:    "memory",
	PhaseGate:      "gate",
	PhaseSwitch:    "switch",
	PhaseFlatten:   "one image",
	PhaseVerify:    "verify",
	PhaseConfirm:   "confirm",
	PhaseUndo:      "undo",
}

// Rail lists the phases of a move in the order in which they come.
func Rail(m Mode, f Finish) []PhaseID {
	switch {
	case m == ModeOffline:
		return []PhaseID{PhasePreflight, PhasePrepare, PhaseStop, PhaseDisks, PhaseGate, PhaseSwitch, PhaseVerify, PhaseConfirm}
	case m == ModeBlock && f == FinishStop:
		return []PhaseID{PhasePreflight, PhasePasses, PhaseStop, PhaseDisks, PhaseGate, PhaseSwitch, PhaseVerify, PhaseConfirm}
	case m == ModeBlock:
		return []PhaseID{PhasePreflight, PhasePasses, PhasePrepare, PhaseDisks, PhaseMemory, PhaseGate, PhaseSwitch, PhaseFlatten, PhaseVerify, PhaseConfirm}
	}
	return []PhaseID{PhasePreflight, PhasePrepare, PhaseDisks, PhaseMemory, PhaseGate, PhaseSwitch, PhaseVerify, PhaseConfirm}
}

// JobState says where a job stands as a whole.
type JobState string

// States of a job.
const (
	JobStarting    JobState = "starting"
	JobQueued      JobState = "queued" // waits for its turn
	JobRunning     JobState = "running"
	JobUndoing     JobState = "undoing"
	JobAwaiting    JobState = "awaiting-confirm" // moved; waits for confirm or rollback
	JobDone        JobState = "done"             // moved and confirmed, or sent back
	JobUndone      JobState = "undone"           // failed or aborted, the VM is where it was
	JobRefused     JobState = "refused"          // nothing was changed
	JobPerson      JobState = "needs-person"     // a person must decide
	JobInterrupted JobState = "interrupted"      // its process is gone and the journal is not finished: recover
)

// Ended tells that no process works on the job any more and nothing is owed.
func (s JobState) Ended() bool {
	return s == JobDone || s == JobUndone || s == JobRefused
}

// PhaseStatus is the state of one phase on the rail.
type PhaseStatus string

// States of a phase.
const (
	PhaseWaiting PhaseStatus = "waiting"
	PhaseActive  PhaseStatus = "active"
	PhaseOK      PhaseStatus = "done"
	PhaseFailed  PhaseStatus = "failed" // or aborted; its detail says which
	PhaseSkipped PhaseStatus = "skipped"
)

// Phase is one line of the rail.
type Phase struct {
	ID     PhaseID     `json:"phase"`
	Status PhaseStatus `json:"status"`
	Detail string      `json:"detail,omitempty"`
	At     time.Time   `json:"at"` // when Status was reached
	Began  time.Time   `json:"began,omitzero"`
	// Place in the queue, from 1; only of PhaseQueue while it waits.
	Place int `json:"place,omitempty"`
	// Comparing: the disks are being read on both nodes after the switch, which an
	// abort ends, and nothing else.
	Comparing bool `json:"comparing,omitempty"`
}

// Comparing tells that an abort would end the comparison of the disks alone.
func (j Job) Comparing() bool {
	for _, p := range j.Phases {
		if p.ID == PhaseVerify {
			return p.Comparing && p.Status == PhaseActive && !j.State.Ended()
		}
	}
	return false
}

// Progress is one reading of libvirt's job statistics, plus what follows from
// it. All sizes are bytes, all rates bytes per second, as libvirt reported
// them at At; zero means that libvirt did not say.
type Progress struct {
	At            time.Time     `json:"at"`
	Phase         PhaseID       `json:"phase"`
	Elapsed       time.Duration `json:"elapsed"`
	DiskTotal     uint64        `json:"disk_total"`
	DiskProcessed uint64        `json:"disk_processed"`
	DiskRemaining uint64        `json:"disk_remaining"`
	DiskRate      uint64        `json:"disk_rate"`
	MemTotal      uint64        `json:"mem_total"`
	MemProcessed  uint64        `json:"mem_processed"`
	MemRemaining  uint64        `json:"mem_remaining"`
	MemRate       uint64        `json:"mem_rate"`
	DirtyRate     uint64        `json:"dirty_rate"`
	Iteration     uint64        `json:"iteration"`
	Throttle      int           `json:"throttle"` // percent, auto-converge
	// Downtime is the forecast while it runs and the measured pause when done.
	Downtime time.Duration `json:"downtime"`
	// ETA is an honest forecast, or zero with Diverging saying why there is none.
	ETA       time.Duration `json:"eta"`
	Diverging string        `json:"diverging,omitempty"`
	// Bandwidth is the limit in force, MiB/s, 0 for none.
	Bandwidth uint64 `json:"bandwidth"`
	// Path is the way that the data take: direct or relay.
	Path DataPath `json:"path,omitempty"`
}

// CheckID names one of the eight health checks.
type CheckID string

// The eight checks, in their order on screen.
const (
	CheckRunning CheckID = "vm-running"
	CheckMonitor CheckID = "qemu-monitor"
	CheckMemory  CheckID = "memory"
	CheckCPU     CheckID = "cpu"
	CheckDisk    CheckID = "disk-io"
	CheckNetwork CheckID = "network"
	CheckAgent   CheckID = "guest-agent"
	CheckApp     CheckID = "application"
)

// Checks lists them in order; CheckTitles gives their words.
var (
	Checks      = []CheckID{CheckRunning, CheckMonitor, CheckMemory, CheckCPU, CheckDisk, CheckNetwork, CheckAgent, CheckApp}
	CheckTitles = map[CheckID]string{
		CheckRunning: "VM running", CheckMonitor: "QEMU monitor", CheckMemory: "memory", CheckCPU: "CPU",
		CheckDisk: "disk I/O", CheckNetwork: "network", CheckAgent: "guest agent", CheckApp: "application",
	}
)

// CheckStage says when a check was made.
type CheckStage string

// Stages of a check.
const (
	StageBaseline CheckStage = "baseline" // before the move, on the source
	StageGate     CheckStage = "gate"     // on the paused target, before the switch
	StageAfter    CheckStage = "after"    // on the running target
	StageNow      CheckStage = "now"      // horcrux health
)

// CheckResult is one check, made once.
type CheckResult struct {
	Check   CheckID    `json:"check"`
	Title   string     `json:"title"`
	Stage   CheckStage `json:"stage"`
	Node    NodeName   `json:"node"`
	Verdict Verdict    `json:"verdict"`
	// Evidence is what was seen, in words a person can check: numbers with units.
	Evidence string `json:"evidence"`
	// Facts are the values that a later stage compares with.
	Facts    map[string]string `json:"facts,omitempty"`
	Duration time.Duration     `json:"duration"`
	At       time.Time         `json:"at"`
}

// StepID names one of the six steps of a rollback.
type StepID string

// The six steps, in their order.
const (
	StepDisks      StepID = "clean-target-disks"
	StepUnregister StepID = "unregister-target"
	StepRelease    StepID = "release-target"
	StepConfig     StepID = "restore-source-config"
	StepNetwork    StepID = "restore-source-network"
	StepRun        StepID = "run-on-source"
)

// RollbackSteps lists them in order; StepTitles gives their words.
var (
	RollbackSteps = []StepID{StepDisks, StepUnregister, StepRelease, StepConfig, StepNetwork, StepRun}
	StepTitles    = map[StepID]string{
		StepDisks:      "clean up target disks",
		StepUnregister: "unregister the target VM",
		StepRelease:    "release target resources",
		StepConfig:     "restore the source's configuration",
		StepNetwork:    "restore the source's network",
		StepRun:        "run the VM on the source",
	}
)

// RollbackKind is one of the three things a rollback can be.
type RollbackKind string

// Kinds of rollback.
const (
	RollbackUndo     RollbackKind = "undo"
	RollbackSendBack RollbackKind = "send-back"
	RollbackRestore  RollbackKind = "restore-source"
)

// StepResult is one step of a rollback as it went.
type StepResult struct {
	Step   StepID       `json:"step"`
	Title  string       `json:"title"`
	Kind   RollbackKind `json:"kind"`
	Status PhaseStatus  `json:"status"`
	Detail string       `json:"detail,omitempty"`
}

// LogLine is one line of the job's log.
type LogLine struct {
	Level string   `json:"level"` // info, warn, error
	Node  NodeName `json:"node,omitempty"`
	Text  string   `json:"text"`
}

// Outcome is how a job ended.
type Outcome string

// Outcomes; each has one exit code.
const (
	OutcomeDone     Outcome = "done"         // 0: moved, all checks passed
	OutcomeRefused  Outcome = "refused"      // 3: nothing changed
	OutcomeUndone   Outcome = "undone"       // 4: failed, the VM is where it was
	OutcomePerson   Outcome = "needs-person" // 5
	OutcomeDegraded Outcome = "degraded"     // 6: moved, but a check failed
	OutcomeFailed   Outcome = "failed"       // 1: anything else
)

// Result ends a job, or a stretch of it: a move that waits for confirm has a
// result already, since the VM has moved.
type Result struct {
	Outcome Outcome `json:"outcome"`
	// Owner is the node that has the VM now; empty only if that is unknown.
	Owner NodeName `json:"owner"`
	// Reason is the cause, in the words of whoever said it.
	Reason string `json:"reason,omitempty"`
	// Next is what the person can do now.
	Next string `json:"next,omitempty"`
	// Confirmed tells that the source's leftovers were let go.
	Confirmed bool          `json:"confirmed"`
	Duration  time.Duration `json:"duration"`
	// Downtime is the pause of the guest as libvirt and we measured it.
	Downtime time.Duration `json:"downtime,omitempty"`
	// Decide is what a person needs to choose, where only a person can.
	Decide *Decision `json:"decide,omitempty"`
	// Proof says which proof of equal disks was made, if any.
	Proof string `json:"proof,omitempty"`
}

// Job is one move as it can be read from its journal: a fold of its events.
type Job struct {
	ID      JobID     `json:"id"`
	VM      UUID      `json:"vm"`
	VMName  string    `json:"vm_name"`
	From    NodeName  `json:"from"`
	To      NodeName  `json:"to"`
	Mode    Mode      `json:"mode"`
	State   JobState  `json:"state"`
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	By      string    `json:"by,omitempty"` // who started it: user and SSH origin
	Phases  []Phase   `json:"phases"`
	// Progress is the newest reading; nil before the first.
	Progress *Progress     `json:"progress,omitempty"`
	Checks   []CheckResult `json:"checks"`
	Steps    []StepResult  `json:"steps"`
	Log      []JobLog      `json:"log,omitempty"`
	Result   *Result       `json:"result,omitempty"`
	Plan     *Plan         `json:"plan,omitempty"`
	// Interrupted is what the journal alone says of a job in that state: where the
	// VM is, if that is certain, the cause, and the next step.
	Interrupted *Result `json:"interrupted,omitempty"`
	// Place in the queue, from 1, and Waits, why it has to wait, while it does.
	Place int    `json:"place,omitempty"`
	Waits string `json:"waits,omitempty"`
	// Switched tells that the target has taken over.
	Switched bool `json:"switched"`
	// SendsBack is the job that this one is the rollback of.
	SendsBack JobID `json:"sends_back,omitempty"`
	// Elsewhere tells that another console has the job, and that all that is known
	// of it is its mark on the VM.
	Elsewhere bool `json:"elsewhere,omitempty"`
}

// JobLog is a log line with its time.
type JobLog struct {
	At time.Time `json:"at"`
	LogLine
}

// Current is the phase that is being worked on, or the last that was.
func (j Job) Current() Phase {
	var p Phase
	for _, q := range j.Phases {
		if q.Status == PhaseActive || q.Status == PhaseFailed {
			return q
		}
		if q.Status == PhaseOK {
			p = q
		}
	}
	return p
}
