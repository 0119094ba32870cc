package model

import "time"

// NodeState is what can be said of the way to a node.
type NodeState string

// The states of a node. They are told apart by what answers: sshd, libvirtd,
// or libvirtd with a delay.
const (
	NodeConnecting  NodeState = "connecting"  // not tried to the end yet
	NodeUp          NodeState = "up"          // libvirt answers
	NodeBusy        NodeState = "busy"        // libvirt answers, but late
	NodeDaemonDown  NodeState = "daemon-down" // SSH answers, libvirt does not
	NodeUnreachable NodeState = "unreachable" // SSH does not answer
	NodeRefused     NodeState = "refused"     // SSH answers but does not let us in: host key, authentication
)

// Cluster is everything known at one moment. Facts carry their own age.
type Cluster struct {
	At    time.Time `json:"at"`
	Nodes []Node    `json:"nodes"`
	VMs   []*VM     `json:"vms"` // never changed once given out: they are shared
}

// Node is one host as last seen.
type Node struct {
	Name    NodeName  `json:"name"`
	Address string    `json:"address"`
	State   NodeState `json:"state"`
	// Reason says in words why the state is not up, and what to do.
	Reason string `json:"reason,omitempty"`
	// Since is when State last changed; Seen is the last answer of libvirt.
	Since time.Time `json:"since"`
	Seen  time.Time `json:"seen"`

	Hostname string `json:"hostname"`
	HostUUID string `json:"host_uuid"`
	Libvirt  string `json:"libvirt"` // version, "9.0.0"
	QEMU     string `json:"qemu"`    // version, "7.2.22"
	CPUModel string `json:"cpu_model"`
	CPUs     int    `json:"cpus"`
	// CPUPercent is the use of all CPUs together, 0 to 100, over the last poll.
	CPUPercent float64 `json:"cpu_percent"`
	MemTotal   uint64  `json:"mem_total"` // bytes
	MemFree    uint64  `json:"mem_free"`  // bytes that new VMs could have (free + buffers + cached)

	Running int `json:"running"` // VMs that run or are paused
	Defined int `json:"defined"` // VMs in all

	Pools    []Pool   `json:"pools"`
	Networks []string `json:"networks"` // active libvirt networks

	// Maintenance is set while no VM is to be sent here.
	Maintenance *Maintenance `json:"maintenance,omitempty"`
}

// Pool is one storage pool of a node.
type Pool struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Path      string `json:"path"`
	Active    bool   `json:"active"`
	Capacity  uint64 `json:"capacity"`  // bytes
	Available uint64 `json:"available"` // bytes
}

// HoldsFiles tells that its volumes are files in its directory.
func (p Pool) HoldsFiles() bool {
	switch p.Type {
	case "dir", "fs", "netfs", "":
		return true
	}
	return false
}

// DomainState is the state of a domain on one host. Unknown, Missing
// and Unreachable are ours; the others are libvirt's.
type DomainState string

// States of a domain on a host.
const (
	StateRunning     DomainState = "running"
	StatePaused      DomainState = "paused"
	StateShutdown    DomainState = "in-shutdown"
	StateShutoff     DomainState = "shutoff"
	StateCrashed     DomainState = "crashed"
	StateSuspended   DomainState = "pmsuspended"
	StateBlocked     DomainState = "blocked"
	StateNone        DomainState = "nostate"
	StateUnknown     DomainState = "unknown"     // listed, and not asked about yet
	StateMissing     DomainState = "missing"     // the host answered: no such domain
	StateUnreachable DomainState = "unreachable" // the host did not answer; never read as dead
)

// AgentState is what is known of the guest agent.
type AgentState string

// States of the guest agent.
const (
	AgentNone         AgentState = "none"         // the VM has no channel for it
	AgentDisconnected AgentState = "disconnected" // a channel, and nobody behind it
	AgentConnected    AgentState = "connected"
)

// VM is one domain on one node, as last seen.
type VM struct {
	UUID  UUID        `json:"uuid"`
	Name  string      `json:"name"`
	Node  NodeName    `json:"node"`
	State DomainState `json:"state"`
	// Reason is libvirt's word for why it is in that state, "booted", "migration".
	Reason     string    `json:"reason,omitempty"`
	Seen       time.Time `json:"seen"`
	Persistent bool      `json:"persistent"`
	// Unsettled is set until the host was asked whether it is persistent.
	Unsettled bool `json:"-"`
	Autostart bool `json:"autostart"`

	VCPUs  int    `json:"vcpus"`
	Memory uint64 `json:"memory"` // bytes, what the guest has now
	// HostMemory is what its process has of the host's memory, in bytes.
	HostMemory uint64 `json:"host_memory,omitempty"`
	// CPUPercent: 100 is one vCPU fully used.
	CPUPercent float64 `json:"cpu_percent"`
	// DiskRead, DiskWrite, NetRx and NetTx are bytes per second over the last poll.
	DiskRead  float64 `json:"disk_read"`
	DiskWrite float64 `json:"disk_write"`
	NetRx     float64 `json:"net_rx"`
	NetTx     float64 `json:"net_tx"`
	// Started is when its QEMU process began on this node (a move begins a new
	// process, so this is not the guest's own uptime); zero when not known.
	Started time.Time `json:"started,omitzero"`

	Disks     []Disk     `json:"disks"`
	NICs      []NIC      `json:"nics"`
	Agent     AgentState `json:"agent"`
	Addresses []string   `json:"addresses"`
	Snapshots int        `json:"snapshots"`
	// Title is the short description of its definition, Tags are words of the
	// definition's metadata that a person put there.
	Title string   `json:"title,omitempty"`
	Tags  []string `json:"tags,omitempty"`
	// Job is the move that has hold of this VM, if any: ours by the journal on
	// this machine, or by the mark that another console left on the domain.
	Job JobID `json:"job,omitempty"`
	// Mark is what the move wrote on the domain, nil if there is none.
	Mark *Mark `json:"mark,omitempty"`
	// Tombstone is set on what a finished move left on its source: a
	// definition that must not be started.
	Tombstone bool `json:"tombstone,omitempty"`
	// Arriving is set on the copy that a move is building on its target: it has
	// never run and is not the VM yet.
	Arriving bool `json:"arriving,omitempty"`
}

// Disk is one disk of a VM.
type Disk struct {
	Target     string `json:"target"`           // vda
	Device     string `json:"device"`           // disk, cdrom, floppy, lun
	Type       string `json:"type"`             // file, block, network, volume
	Source     string `json:"source,omitempty"` // path; empty for an empty drive
	Format     string `json:"format,omitempty"` // qcow2, raw
	Cache      string `json:"cache,omitempty"`
	ReadOnly   bool   `json:"readonly,omitempty"`
	Shareable  bool   `json:"shareable,omitempty"`
	Capacity   uint64 `json:"capacity"`   // bytes the guest sees
	Allocation uint64 `json:"allocation"` // bytes taken on the host
	Backing    string `json:"backing,omitempty"`
}

// NIC is one network interface of a VM.
type NIC struct {
	Target    string   `json:"target"` // vnet0, only while it runs
	MAC       string   `json:"mac"`
	Model     string   `json:"model"`
	Type      string   `json:"type"`   // bridge, network, direct
	Source    string   `json:"source"` // name of the bridge or network
	Addresses []string `json:"addresses,omitempty"`
}

// DomainStatus is what one host said about one domain, for decisions.
type DomainStatus struct {
	State      DomainState `json:"state"`
	Reason     string      `json:"reason,omitempty"`
	Persistent bool        `json:"persistent,omitempty"`
	// JobActive tells that libvirt has a job on it that blocks changes.
	JobActive bool `json:"job_active,omitempty"`
	// Err holds the words of why the host did not answer (StateUnreachable).
	Err string    `json:"err,omitempty"`
	At  time.Time `json:"at"`
}

// Live tells whether a QEMU process exists: running or paused of any kind.
func (s DomainStatus) Live() bool {
	switch s.State {
	case StateRunning, StatePaused, StateBlocked, StateSuspended, StateShutdown, StateCrashed:
		return true
	}
	return false
}

func (s DomainStatus) String() string {
	if s.Reason == "" || s.Reason == "unknown" || s.State == StateMissing || s.State == StateUnreachable {
		return string(s.State)
	}
	return string(s.State) + " (" + s.Reason + ")"
}
