package virt

import (
	"encoding/xml"
	"strconv"
	"strings"
	"time"

	"libvirt.org/go/libvirtxml"

	"horcrux/engine/model"
)

// JobNamespace is the namespace of the element that a move leaves in the
// metadata of a domain: <… id="JOB" role="moving|tombstone"/>.
const JobNamespace = "https://horcrux.dev/xmlns/job/1"

// Roles in the mark of a move.
const (
	RoleMoving    = string(model.RoleMoving)
	RoleTombstone = string(model.RoleTombstone)
)

// agentChannel is the name that libvirt itself looks for.
const agentChannel = "org.qemu.guest_agent.0"

// Domain is what is read from a domain's XML. Names and paths are as the host
// has them but for Clean; use the XML itself to make another XML.
type Domain struct {
	UUID               model.UUID
	Name               string
	ID                 int // -1 when it does not run
	Title, Description string

	Type                    string // kvm, qemu
	Arch, Machine, Emulator string
	VCPUs, MaxVCPUs         int
	Memory, MaxMemory       uint64 // bytes: what the guest has now, and at most

	CPUMode, CPUModel string
	CPUXML            string // the <cpu> element as it stands, empty if there is none

	Disks []DiskXML
	NICs  []model.NIC
	Agent model.AgentState

	// Hostdevs names devices of the host given to the guest, "pci 0000:3b:00.0".
	Hostdevs    []string
	Filesystems []Filesystem
	Serials     []CharDevice
	Consoles    []CharDevice

	Firmware             string // efi, bios, or empty
	Loader               string
	NVRAM, NVRAMTemplate string
	TPM                  string // emulator, passthrough, external, or empty
	Kernel, Initrd, DTB  string
	// LaunchSecurity is SEV and its like: memory that no host can read.
	LaunchSecurity string
	Hugepages      bool

	// Job and JobRole are the mark of a move, if one is there.
	Job     model.JobID
	JobRole string
	// Mark is all of it.
	Mark model.Mark
}

// DiskXML is one disk with what only its XML says.
type DiskXML struct {
	model.Disk
	Bus           string
	Alias         string // only while it runs
	Pool, Volume  string // of a disk of type volume
	Protocol      string // of a disk of type network
	Discard, IO   string
	StartupPolicy string
	Mirror        bool // a block job is copying it
	Transient     bool
	Encrypted     bool
	// Chain is what lies under it, nearest first, as far as libvirt said.
	Chain []BackingFile
}

// BackingFile is one layer under a disk.
type BackingFile struct{ Type, Path, Format string }

// Filesystem is a directory of the host given to the guest.
type Filesystem struct{ Driver, Source, Target string }

// CharDevice is a serial port or a console; Path is its pseudo-terminal,
// socket or file, while it has one.
type CharDevice struct{ Type, Path string }

// ParseDomain reads a domain's XML of bounded size and depth.
func ParseDomain(text string) (Domain, error) {
	var d Domain
	err := scan(text, func(name string, from, to int64) {
		if name == "cpu" {
			d.CPUXML = text[from:to]
		}
	})
	if err != nil {
		return Domain{}, err
	}
	var x libvirtxml.Domain
	if err := parseXML(text, &x); err != nil {
		return Domain{}, err
	}
	d.UUID = model.UUID(strings.ToLower(Clean(x.UUID)))
	d.Name, d.Title, d.Description = Clean(x.Name), Clean(x.Title), Clean(x.Description)
	d.ID = -1
	if x.ID != nil {
		d.ID = *x.ID
	}
	d.Type = Clean(x.Type)
	d.readSizes(&x)
	d.readBoot(&x)
	if x.CPU != nil {
		d.CPUMode = Clean(x.CPU.Mode)
		if x.CPU.Model != nil {
			d.CPUModel = Clean(x.CPU.Model.Value)
		}
	}
	if x.MemoryBacking != nil {
		d.Hugepages = x.MemoryBacking.MemoryHugePages != nil
	}
	d.Agent = model.AgentNone
	if x.Devices != nil {
		d.readDevices(x.Devices)
	}
	if x.Metadata != nil {
		d.Mark = readMark(x.Metadata.XML)
		d.Job, d.JobRole = d.Mark.Job, string(d.Mark.Role)
	}
	return d, nil
}

func (d *Domain) readSizes(x *libvirtxml.Domain) {
	if x.VCPU != nil {
		d.MaxVCPUs = int(min(x.VCPU.Value, 1<<16))
		d.VCPUs = d.MaxVCPUs
		if x.VCPU.Current > 0 {
			d.VCPUs = int(min(x.VCPU.Current, 1<<16))
		}
	}
	if x.Memory != nil {
		d.MaxMemory = scaled(uint64(x.Memory.Value), x.Memory.Unit, 1<<10)
		d.Memory = d.MaxMemory
	}
	if x.CurrentMemory != nil {
		d.Memory = scaled(uint64(x.CurrentMemory.Value), x.CurrentMemory.Unit, 1<<10)
	}
}

func (d *Domain) readBoot(x *libvirtxml.Domain) {
	if l := x.LaunchSecurity; l != nil {
		switch {
		case l.SEV != nil:
			d.LaunchSecurity = "sev"
		case l.SEVSNP != nil:
			d.LaunchSecurity = "sev-snp"
		case l.S390PV != nil:
			d.LaunchSecurity = "s390-pv"
		default:
			d.LaunchSecurity = "tdx"
		}
	}
	if x.OS == nil {
		return
	}
	if x.OS.Type != nil {
		d.Arch, d.Machine = Clean(x.OS.Type.Arch), Clean(x.OS.Type.Machine)
	}
	d.Firmware = Clean(x.OS.Firmware)
	if x.OS.Loader != nil {
		d.Loader = Clean(x.OS.Loader.Path)
	}
	if n := x.OS.NVRam; n != nil {
		d.NVRAM, d.NVRAMTemplate = Clean(n.NVRam), Clean(n.Template)
		if _, path := sourceOf(n.Source); path != "" {
			d.NVRAM = path
		}
	}
	d.Kernel, d.Initrd, d.DTB = Clean(x.OS.Kernel), Clean(x.OS.Initrd), Clean(x.OS.DTB)
}

// readMark finds the mark of a move among the domain's metadata, whatever its
// element is called.
func readMark(inner string) model.Mark {
	if !strings.Contains(inner, JobNamespace) {
		return model.Mark{}
	}
	d := xml.NewDecoder(strings.NewReader("<m>" + inner + "</m>"))
	for depth := 0; ; {
		token, err := d.Token()
		if err != nil {
			return model.Mark{}
		}
		switch e := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 && e.Name.Space == JobNamespace {
				return markOf(e)
			}
		case xml.EndElement:
			depth--
		}
	}
}

// ParseMark reads the mark from our element alone, as Metadata returns it: without
// its namespace, for which it was asked.
func ParseMark(element string) model.Mark {
	d := xml.NewDecoder(strings.NewReader(element))
	for {
		token, err := d.Token()
		if err != nil {
			return model.Mark{}
		}
		if e, ok := token.(xml.StartElement); ok {
			return markOf(e)
		}
	}
}

// mostCopies bounds the disks that a mark may name.
const mostCopies = 64

func markOf(e xml.StartElement) (m model.Mark) {
	for _, a := range e.Attr {
		if a.Name.Space != "" {
			continue
		}
		v := Clean(a.Value)
		switch a.Name.Local {
		case "id":
			m.Job = model.JobID(v)
		case "role":
			m.Role = model.MarkRole(v)
		case "from":
			m.From = model.NodeName(v)
		case "to":
			m.To = model.NodeName(v)
		case "by":
			m.By = v
		case "console":
			m.Console = v
		case "since":
			m.Since, _ = time.Parse(time.RFC3339, v)
		case "memory":
			m.Memory, _ = strconv.ParseUint(v, 10, 64)
		case "beat":
			m.Beat, _ = strconv.ParseUint(v, 10, 64)
		case "was":
			m.Was = model.DomainState(v)
		case "autostart":
			m.Autostart = v == "on"
		case "copies":
			if f := strings.Fields(v); len(f) <= mostCopies {
				m.Copies = f
			}
		}
	}
	return m
}
