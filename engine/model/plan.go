package model

import "time"

// Request asks for one move.
type Request struct {
	VM      UUID     `json:"vm"`
	From    NodeName `json:"from"`
	To      NodeName `json:"to"`
	Mode    Mode     `json:"mode"`
	Options Options  `json:"options"`
}

// Options are what the user may choose for one move.
type Options struct {
	Bandwidth   uint64        `json:"bandwidth"`    // MiB/s, 0 is no limit
	MaxDowntime time.Duration `json:"max_downtime"` // longest pause aimed at
	// AutoConfirm lets go of the source's leftovers once all checks pass.
	AutoConfirm bool `json:"auto_confirm"`
	// AutoConverge lets QEMU throttle a guest that dirties memory too fast.
	AutoConverge bool `json:"auto_converge"`
}

// Finding is one point of a pre-flight: what was looked at, what was seen, and
// what would mend it.
type Finding struct {
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Verdict Verdict `json:"verdict"`
	Detail  string  `json:"detail"`
	Remedy  string  `json:"remedy,omitempty"`
}

// DiskDecision is what a move does with one disk.
type DiskDecision string

// Decisions about a disk.
const (
	DiskShared DiskDecision = "shared" // both nodes see the same bytes; proved by a mark
	DiskCopy   DiskDecision = "copy"
	DiskEmpty  DiskDecision = "empty" // a drive with nothing in it
	// DiskPresent is read-only media, which libvirt never copies: the target has
	// a file of that name, and nobody compared what is in it.
	DiskPresent DiskDecision = "present"
	DiskRefuse  DiskDecision = "refuse"
)

// DiskPlan is the decision for one disk, with its reason.
type DiskPlan struct {
	Disk
	Decision DiskDecision `json:"decision"`
	Reason   string       `json:"reason"`
	// Pool and Path say where the copy goes; Create that the volume does not
	// exist there yet and is ours to make and, if the move fails, to remove.
	Pool   string `json:"pool,omitempty"`
	Path   string `json:"path,omitempty"`
	Create bool   `json:"create,omitempty"`
}

// PlanStep is one line of what will be done, for a person to read.
type PlanStep struct {
	Phase PhaseID `json:"phase"`
	Text  string  `json:"text"`
}

// Plan is a move as it would be done now: facts in, decisions out. Making one
// changes nothing on any host.
type Plan struct {
	Request
	VMName string    `json:"vm_name"`
	Made   time.Time `json:"made"`
	// Was is the state of the domain when the plan was made. A VM that its user
	// had paused stays paused.
	Was         DomainStatus `json:"was"`
	Autostart   bool         `json:"autostart"`
	Transient   bool         `json:"transient,omitempty"`
	Memory      uint64       `json:"memory"`
	ModeReason  string       `json:"mode_reason,omitempty"`
	Findings    []Finding    `json:"findings"`
	Disks       []DiskPlan   `json:"disks"`
	Steps       []PlanStep   `json:"steps"`
	ActiveXML   string       `json:"active_xml,omitempty"`
	InactiveXML string       `json:"inactive_xml,omitempty"`
	// MigrateHost is the address of the target as the source can reach it.
	MigrateHost string `json:"migrate_host,omitempty"`
	// Unsafe overrules libvirt's own test for shared storage. It is set only
	// when every shared disk was proved by a mark and has a safe cache mode.
	Unsafe bool `json:"unsafe,omitempty"`
	// CopyBytes is what the disks hold that has to be moved; Forecast the time
	// that takes at the measured or assumed rate, zero when not known.
	CopyBytes uint64        `json:"copy_bytes"`
	Forecast  time.Duration `json:"forecast,omitempty"`
}

// Verdict is the worst verdict of all findings.
func (p Plan) Verdict() Verdict {
	v := Pass
	for _, f := range p.Findings {
		v = v.Worse(f.Verdict)
	}
	return v
}

// Blocking is the first finding that forbids the move, or nil.
func (p Plan) Blocking() *Finding {
	for i := range p.Findings {
		if p.Findings[i].Verdict == Fail {
			return &p.Findings[i]
		}
	}
	return nil
}

// Copies lists the disks that have to be copied.
func (p Plan) Copies() []DiskPlan {
	var c []DiskPlan
	for _, d := range p.Disks {
		if d.Decision == DiskCopy {
			c = append(c, d)
		}
	}
	return c
}
