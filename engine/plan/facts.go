package plan

import "horcrux/engine/model"

// HostFacts is what is known of one node when a plan is made. An empty map or
// list says that the node has none of it; a nil one that nobody asked, and then
// the plan says so instead of guessing.
type HostFacts struct {
	Name model.NodeName
	// Reachable tells that libvirt answered; Reason why not, in words.
	Reachable bool
	Reason    string

	Hostname, HostUUID string
	Libvirt, QEMU      string // versions, "9.0.0"; empty if not known
	Arch               string
	CPUs               int
	MemTotal, MemFree  uint64 // bytes; free counts buffers and cache
	// MemReserved are bytes that must stay free for the host itself.
	MemReserved uint64
	// MemPromised are bytes that other moves will need and that still show as
	// free; PromisedTo are their jobs.
	MemPromised uint64
	PromisedTo  []model.JobID

	// QEMUUser is who QEMU runs as; nil if that is not known.
	QEMUUser *User
	// NoTPM are programs that libvirt needs on a target for an emulated TPM, and that
	// are not there.
	NoTPM []string
	// NoPostCopy is, of a target, why its QEMU cannot take a post-copy; empty where
	// that is not known, or was not asked for.
	NoPostCopy string

	// MigrationV3 and MigrationParams are libvirt's features 6 and 13. Without
	// them a move cannot be driven step by step.
	MigrationV3, MigrationParams bool
	// MigrateAddr is where other nodes reach this one for the data of a move.
	MigrateAddr string
	// Reach is, of a target, whether the source gets through to it; Forward what
	// sshd allows there. Both are asked for only where they decide something.
	Reach   ReachFact
	Forward ForwardFact
	// ReachSSH is, of a target, whether the source gets through to its sshd.
	ReachSSH ReachFact
	// Lacks are programs that a move by SSH from node to node needs there.
	Lacks []string
	// TLS is what QEMU there could encrypt with.
	TLS TLSFact
	// Rate is the measured rate from the other node, bytes per second, 0 if not
	// known. It makes forecasts, no decisions.
	Rate uint64

	// Emulators, VirtTypes and Machines are what the node has for the VM's
	// architecture; Machines has the canonical names and their aliases.
	Emulators, VirtTypes, Machines []string
	// CPU is how the node's CPU stands to the one the VM has.
	CPU CPUFact

	// Networks are libvirt's, with whether each is active.
	Networks map[string]bool
	// Bridges are the node's bridges; nil if nobody looked.
	Bridges []string

	Pools []model.Pool
	// Volumes has an entry for each disk's path of the VM that was looked at.
	Volumes map[string]VolumeFact
	// Files tells of each path that the VM names (images, layers under them,
	// media, kernel, initrd, firmware) whether something is there. A path
	// without an entry was not looked at.
	Files map[string]bool

	Domains []DomainFact

	// Dirs tells of each folder that files will go into; CopyTools are findings
	// about what the node has for copying them.
	Dirs      map[string]DirFact
	CopyTools []model.Finding

	// User is who logs in; Unwritable are folders of the VM's images in which
	// that user may not rename files.
	User       string
	Unwritable []string
}

// DirFact is what is known of a folder.
type DirFact struct {
	Exists bool
	Free   uint64 // bytes that may be written there
}

// VolumeFact is what is at the path of one disk.
type VolumeFact struct {
	Exists               bool
	Capacity, Allocation uint64 // bytes
	Format               string
	// Blank tells of a block device that it was read and holds no data anybody
	// could miss: its first and last MiB are zeros, nothing lies on it, and no
	// other VM of the node has it.
	Blank bool
	// User is another VM of the node that has the device.
	User string
}

// DomainFact is one domain of a node.
type DomainFact struct {
	UUID  model.UUID
	Name  string
	State model.DomainState
	// Tombstone is set on what a finished move of ours left there.
	Tombstone bool
	Job       model.JobID
}

// CPUMatch is how a host's CPU stands to the one that a VM has.
type CPUMatch string

// Outcomes of comparing CPUs.
const (
	CPUUnknown      CPUMatch = ""
	CPUIdentical    CPUMatch = "identical"
	CPUSuperset     CPUMatch = "superset" // it has all that is needed, and more
	CPUIncompatible CPUMatch = "incompatible"
)

// CPUFact is the outcome, with libvirt's words if it gave any.
type CPUFact struct {
	Match  CPUMatch
	Detail string
}

// VMFacts is what the source says of the VM.
type VMFacts struct {
	Domain    Domain
	Status    model.DomainStatus
	Autostart bool
	Agent     model.AgentState
	Snapshots int
	// ManagedSave tells of a saved state on the source's disk.
	ManagedSave bool
	// BlockJobs are the targets of disks that have a job.
	BlockJobs []string
	// BaseRAM is the RAM of the running QEMU in bytes, as it says; 0 if nobody
	// asked. It is asked for of VMs without KVM only.
	BaseRAM uint64
	// NeverRan tells of a paused guest whose vCPUs have used no time since its
	// QEMU was started: another move has brought it paused, or it was started so.
	NeverRan bool
	// Altered are names in the definition that are not shown as the host has them.
	Altered []string
	// Console is the name of the console that asks.
	Console string
	// Files are what a move that copies files brings over, FilesErr why they are
	// not all known.
	Files    []model.FilePlan
	FilesErr string
	// ActiveXML is that of the process, InactiveXML the definition; the second
	// is empty for a transient domain. TargetXML is the definition for another host.
	ActiveXML, InactiveXML, TargetXML string
}

// Domain is what the rules need of the VM's active XML.
type Domain struct {
	UUID                    model.UUID
	Name                    string
	Type                    string // kvm, qemu
	Arch, Machine, Emulator string
	VCPUs                   int
	Memory, MaxMemory       uint64 // bytes: now, and at most
	CPUMode, CPUModel       string
	CPUXML                  string // empty for QEMU's default CPU

	Disks []Disk
	NICs  []model.NIC
	// Hostdevs and Filesystems name what belongs to the host: "pci 0000:3b:00.0".
	Hostdevs, Filesystems []string

	Loader, NVRAM, NVRAMTemplate string
	Kernel, Initrd, DTB          string
	TPM                          string // emulator, passthrough, external
	LaunchSecurity               string // sev and its like
	Hugepages                    bool

	// Job is the mark of a move on the domain, JobRole its meaning: moving or
	// tombstone.
	Job     model.JobID
	JobRole string
	// Mark is all that it says.
	Mark model.Mark
}

// Disk is one disk with what the decision about it needs. Capacity and
// Allocation are those of the running VM.
type Disk struct {
	model.Disk
	Pool                         string // of a disk of type volume
	StartupPolicy                string // of a drive: optional, requisite
	Transient, Encrypted, Mirror bool
	// Chain are the paths of the layers under it, nearest first.
	Chain []string
	// DataFile is where a qcow2 image keeps its data if not in itself; Internal
	// how many snapshots are inside it.
	DataFile string
	Internal int
}

// Proof is the outcome of looking for one disk's bytes from both nodes.
type Proof struct {
	// Proved: a mark that was written beside the disk through the source was
	// read through the target at the same path.
	Proved bool
	// Separate: it was looked at, and the target has other bytes there. Neither
	// means that nobody knows.
	Separate bool
	// FS is the type of the file system on the source, "nfs4", if known.
	FS string
	// Detail says how it was found out.
	Detail string
}

// SharedProof has the proof for each disk by its target, "vda".
type SharedProof map[string]Proof
