package model

import "time"

// PowerAct is one act on the life cycle of a VM.
type PowerAct string

// Acts on the life cycle. ForceOff is what pulling the plug is to a machine.
const (
	PowerStart        PowerAct = "start"
	PowerShutdown     PowerAct = "shutdown"
	PowerReboot       PowerAct = "reboot"
	PowerForceOff     PowerAct = "force-off"
	PowerPause        PowerAct = "pause"
	PowerResume       PowerAct = "resume"
	PowerAutostartOn  PowerAct = "autostart-on"
	PowerAutostartOff PowerAct = "autostart-off"
)

// SnapshotKind is what is done with a snapshot.
type SnapshotKind string

// What can be done with snapshots.
const (
	SnapshotCreate SnapshotKind = "create"
	SnapshotRevert SnapshotKind = "revert"
	SnapshotDelete SnapshotKind = "delete"
)

// SnapshotAct is one act on a snapshot of a VM.
type SnapshotAct struct {
	Kind              SnapshotKind
	Name, Description string
}

// Snapshot is one snapshot of a VM, as libvirt keeps it.
type Snapshot struct {
	Name        string      `json:"name"`
	Description string      `json:"description,omitempty"`
	Parent      string      `json:"parent,omitempty"`
	State       DomainState `json:"state"` // of the VM when it was taken
	Created     time.Time   `json:"created"`
	Current     bool        `json:"current,omitempty"`
	// External tells that its disks are files of their own, with overlays on top.
	External bool `json:"external,omitempty"`
}

// ChainFile is one file of a disk: the one the guest writes to, or one under it.
type ChainFile struct {
	Path   string `json:"path"`
	Format string `json:"format,omitempty"`
	// Size is how long the file is, Taken what it takes on the host; zero when
	// not known.
	Size  uint64 `json:"size"`
	Taken uint64 `json:"taken"`
}

// VMDetails is what is only asked for when somebody looks at one VM. A part
// that could not be read has its reason in Errs.
type VMDetails struct {
	At  time.Time `json:"at"`
	XML string    `json:"xml"`
	// Chains are the files of each disk by its target, the topmost first.
	Chains    map[string][]ChainFile `json:"chains"`
	Snapshots []Snapshot             `json:"snapshots"`
	// Serial tells that there is a serial or virtio console to connect to.
	Serial bool     `json:"serial"`
	Errs   []string `json:"errs,omitempty"`
}

// Volume is one storage volume of a pool; sizes are bytes.
type Volume struct {
	Pool       string `json:"pool"`
	Name       string `json:"name"`
	Path       string `json:"path"`
	Format     string `json:"format,omitempty"`
	Capacity   uint64 `json:"capacity"`
	Allocation uint64 `json:"allocation"`
}

// Network is one libvirt network of a node.
type Network struct {
	Name      string `json:"name"`
	Bridge    string `json:"bridge,omitempty"`
	Forward   string `json:"forward"` // nat, route, bridge, or isolated
	Address   string `json:"address,omitempty"`
	Active    bool   `json:"active"`
	Autostart bool   `json:"autostart"`
}

// NodeDetails is what is only asked for when somebody looks at one node.
type NodeDetails struct {
	At       time.Time `json:"at"`
	Volumes  []Volume  `json:"volumes"`
	Networks []Network `json:"networks"`
	// Capabilities are the facts of libvirt's capabilities that matter here.
	Capabilities []Capability `json:"capabilities"`
	Errs         []string     `json:"errs,omitempty"`
}

// Capability is one fact of what a host can do.
type Capability struct{ Name, Value string }

// Maintenance is a person's mark on a node: no VM is sent to it.
type Maintenance struct {
	Since time.Time `json:"since"`
	By    string    `json:"by"`
	Why   string    `json:"why,omitempty"`
}

// LogKind says whose words a line of the log is.
type LogKind string

// Kinds of log lines.
const (
	LogAct  LogKind = "act"  // what was asked of a host, and what it answered
	LogHost LogKind = "host" // what a host or its line said
	LogSaid LogKind = "said" // what the console told its user
)

// LogEntry is one line of what this console did and what hosts said.
type LogEntry struct {
	Time time.Time `json:"time"`
	Kind LogKind   `json:"kind"`
	// Verdict is pass, warn, fail, or empty for a mere note.
	Verdict Verdict       `json:"verdict,omitempty"`
	Node    NodeName      `json:"node,omitempty"`
	VM      string        `json:"vm,omitempty"`
	Text    string        `json:"text"`
	Took    time.Duration `json:"took,omitempty"`
	By      string        `json:"by,omitempty"`
}
