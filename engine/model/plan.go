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
	// Policy says what becomes of a guest whose memory will not converge.
	Policy Policy `json:"policy,omitempty"`
	// Parallel is the number of connections that carry memory, 0 for one stream.
	Parallel int `json:"parallel,omitempty"`
	// Compression of the memory stream.
	Compression Compression `json:"compression,omitempty"`
	// TLS says whether QEMU's own encryption is used for memory and disks.
	TLS TLS `json:"tls,omitempty"`
	// ShutdownTimeout is how long each way of asking a guest to shut down is
	// given: the agent, then ACPI. ForceOff allows to end the guest after that.
	ShutdownTimeout time.Duration `json:"shutdown_timeout,omitempty"`
	ForceOff        bool          `json:"force_off,omitempty"`
	// Finish is how the mode block ends: live, or by a brief stop.
	Finish Finish `json:"finish,omitempty"`
	// Path is the way of the data.
	Path DataPath `json:"path,omitempty"`
	// NoCompare spares the nodes the reading of mirrored disks afterwards.
	NoCompare bool `json:"no_compare,omitempty"`
}

// Policy is what is done with a guest that dirties memory faster than it can be
// sent, once throttling it did not help.
type Policy string

// Policies; the first is the default.
const (
	PolicyAbort    Policy = "abort"     // stop and undo; nothing is lost
	PolicySuspend  Policy = "suspend"   // pause the guest for what remains
	PolicyPostCopy Policy = "post-copy" // switch at once and fetch the rest; no gate, no undo
)

// Compression of the memory stream.
type Compression string

// Ways to compress; the first is the default.
const (
	CompressNone   Compression = "none"
	CompressZstd   Compression = "zstd"   // needs parallel connections
	CompressXBZRLE Compression = "xbzrle" // needs a single stream
)

// TLS says whether QEMU encrypts what it sends.
type TLS string

// Wishes for TLS; the first is the default.
const (
	TLSAuto    TLS = "auto"    // where both hosts have certificates
	TLSRequire TLS = "require" // or the move is refused
	TLSOff     TLS = "off"
)

// Finish is how the mode block ends.
type Finish string

// Ways to finish; the first is the default.
const (
	FinishLive Finish = "live"
	FinishStop Finish = "stop" // shut down, copy what remains, start on the target
)

// DataPath is the way that memory and disks take between two nodes.
type DataPath string

// Data paths; the first is the default.
const (
	PathAuto   DataPath = "auto"
	PathDirect DataPath = "direct" // from node to node over TCP
	PathSSH    DataPath = "ssh"    // from node to node over SSH
	PathRelay  DataPath = "relay"  // through this machine's SSH connections
)

// BySockets tells that libvirt sends to a socket on the source's own host, and
// that SSH carries the data from there.
func (p DataPath) BySockets() bool { return p == PathRelay || p == PathSSH }

// Auto tells that nobody chose.
func (p DataPath) Auto() bool { return p == "" || p == PathAuto }

// RelayDir is the folder on both nodes that has the sockets of a move by SSH.
// It lies where the profiles of security modules let QEMU make sockets.
func RelayDir(job JobID) string { return "/run/libvirt/qemu/horcrux-" + string(job) }

// The values that a user may give for each choice, the default first.
var (
	Policies     = []Policy{PolicyAbort, PolicySuspend, PolicyPostCopy}
	Compressions = []Compression{CompressNone, CompressZstd, CompressXBZRLE}
	TLSWishes    = []TLS{TLSAuto, TLSRequire, TLSOff}
	Finishes     = []Finish{FinishLive, FinishStop}
	DataPaths    = []DataPath{PathAuto, PathDirect, PathSSH, PathRelay}
)

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
	// Named is the pool by which the definition names the disk, as a volume; empty
	// if it names the file itself.
	Named string `json:"named,omitempty"`
}

// FileRole is what a file is to its VM.
type FileRole string

// Roles of files.
const (
	FileDisk  FileRole = "disk"  // the image that the guest writes to
	FileLayer FileRole = "layer" // what lies under one, and perhaps under those of other VMs
	FileNVRAM FileRole = "nvram" // UEFI variables
	FileTPM   FileRole = "tpm"   // state of an emulated TPM, in a folder named after the VM
	FileSave  FileRole = "save"  // memory that libvirt saved
	FileMedia FileRole = "media" // read-only
)

// FilePlan is one file that is copied byte by byte while nobody writes to it.
// It has the same path on both nodes.
type FilePlan struct {
	Path string   `json:"path"`
	Role FileRole `json:"role"`
	Disk string   `json:"disk,omitempty"` // vda, of a disk, a layer or media
	// Format is raw or qcow2 as far as somebody said it.
	Format     string `json:"format,omitempty"`
	Size       uint64 `json:"size"`       // bytes
	Allocation uint64 `json:"allocation"` // bytes taken on the host
	// Present tells that the target has a file of that name, which is used if it
	// is proved to be the same, and never written over.
	Present bool `json:"present,omitempty"`
}

// Own tells that a file is of this VM alone, so that it goes with it.
func (f FilePlan) Own() bool { return f.Role != FileLayer && f.Role != FileMedia }

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
	Was       DomainStatus `json:"was"`
	Autostart bool         `json:"autostart"`
	Transient bool         `json:"transient,omitempty"`
	Memory    uint64       `json:"memory"`
	// MemFree is what the target had for VMs when the plan was made, bytes.
	MemFree     uint64     `json:"mem_free,omitempty"`
	ModeReason  string     `json:"mode_reason,omitempty"`
	Findings    []Finding  `json:"findings"`
	Disks       []DiskPlan `json:"disks"`
	Files       []FilePlan `json:"files,omitempty"`
	Steps       []PlanStep `json:"steps"`
	ActiveXML   string     `json:"active_xml,omitempty"`
	InactiveXML string     `json:"inactive_xml,omitempty"`
	// TargetXML is InactiveXML without what libvirt adds by itself, of which an
	// older one on the target may know nothing.
	TargetXML string `json:"target_xml,omitempty"`
	// MigrateHost is the address of the target as the source can reach it.
	MigrateHost string `json:"migrate_host,omitempty"`
	// Way is how memory and disks travel: direct, ssh or relay; empty in a plan
	// that sends none. WayReason says why that way was taken.
	Way       DataPath `json:"way,omitempty"`
	WayReason string   `json:"way_reason,omitempty"`
	// Travels are files of the VM whose content goes over with its memory and that
	// only the source has: they are made on the target, and stale on the source.
	Travels []FilePlan `json:"travels,omitempty"`
	// Encrypted: QEMU encrypts memory and disks. TLSName is the name by which the
	// target's certificate knows it, if not by MigrateHost.
	Encrypted bool   `json:"encrypted,omitempty"`
	TLSName   string `json:"tls_name,omitempty"`
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

// Devices are the block devices that are copied: nothing of ours makes or
// removes one, so their bytes stay on both sides.
func (p Plan) Devices() (paths []string) {
	for _, d := range p.Copies() {
		if d.Type == "block" {
			paths = append(paths, d.Path)
		}
	}
	return paths
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
