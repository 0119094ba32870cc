package lab

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// VMState is what a VM shall be once the lab is up.
type VMState string

// The states a VM can be made in.
const (
	VMRunning VMState = "running"
	VMOff     VMState = "off"    // defined, never started
	VMPaused  VMState = "paused" // booted, then suspended
)

// VMSpec describes a VM. Only the name must be given.
type VMSpec struct {
	Name      string     `json:"name"`
	Node      string     `json:"node"`       // node1 if empty
	MemoryMiB int        `json:"memory_mib"` // 256 if 0
	VCPUs     int        `json:"vcpus"`      // 1 if 0
	Disks     []DiskSpec `json:"disks"`      // one qcow2 of 64 MiB if empty
	Agent     bool       `json:"agent"`      // has the channel and runs qemu-ga
	HTTP      bool       `json:"http"`       // serves /health with 200 and /beat
	// DirtyMiB of memory are written over and over, DirtyRate MiB each second.
	DirtyMiB  int `json:"dirty_mib"`
	DirtyRate int `json:"dirty_rate"`
	// WriteRate is how many MiB each second are written to the first disk.
	WriteRate int     `json:"write_rate"`
	State     VMState `json:"state"` // VMRunning if empty
	IP        string  `json:"ip"`    // the next free one from base+101 if empty
	Transient bool    `json:"transient"`
	Autostart bool    `json:"autostart"`
	// EmptyCDROM adds a drive without a medium.
	EmptyCDROM bool `json:"empty_cdrom"`
	// ISO adds a drive with a read-only medium in it, a file of the VM's own.
	ISO bool `json:"iso"`
	// UEFI boots through OVMF with NVRAM of its own; TPM adds a virtual TPM.
	// Their packages are installed when a lab is made with such a VM.
	UEFI bool `json:"uefi"`
	TPM  bool `json:"tpm"`
	// Ledger lets the guest write blocks that can be proved from outside, for
	// CheckLedger.
	Ledger bool `json:"ledger"`
	// DevicesXML goes into <devices>, DomainXML into <domain>, as they are.
	DevicesXML string `json:"devices_xml"`
	DomainXML  string `json:"domain_xml"`
}

// DiskSpec describes a disk of a VM. The first disk of a VM holds an ext4 file
// system without a journal, and in it the heartbeat.
type DiskSpec struct {
	Pool    string `json:"pool"`     // "images" (each host its own) or "shared"; images if empty
	File    string `json:"file"`     // VM's name, the disk's number if it is not the first, and format if empty
	Format  string `json:"format"`   // qcow2 or raw; qcow2 if empty
	SizeMiB int    `json:"size_mib"` // 64 if 0
	FillMiB int    `json:"fill_mib"` // random data in it; the rest is sparse
	Cache   string `json:"cache"`    // QEMU's cache mode; none if empty
	// IOThread serves the disk by a thread of its own, not QEMU's main one.
	IOThread bool `json:"iothread"`
	// Backing is the format, qcow2 or raw, of a base that the disk lies on: then
	// all that the lab puts into the disk is in the base, beside it.
	Backing string `json:"backing"`
	// Device lets the VM have the disk, a raw one, as a block device that every
	// host has: the file at Path is what the device has its bytes in.
	Device bool `json:"device"`
	// Named has the definition name the disk as a volume of its pool.
	Named bool `json:"named"`
}

// VM is a VM of the lab, with all that was settled when it was made.
type VM struct {
	VMSpec
	UUID string `json:"uuid"`
	MAC  string `json:"mac"`
	// CIDR is the guest's address with the length of the subnet.
	CIDR string `json:"cidr"`
}

// Path is where the disk is, on its host.
func (d DiskSpec) Path() string {
	if d.Pool == "shared" {
		return path.Join(sharedDir, d.File)
	}
	return path.Join(imagesDir, d.File)
}

// BasePath is where the base of a disk with one is, on its host.
func (d DiskSpec) BasePath() string {
	return path.Join(path.Dir(d.Path()), strings.TrimSuffix(d.File, path.Ext(d.File))+"-base.img")
}

// ISOPath is where the medium of a VM with one is, on its host.
func (vm VM) ISOPath() string { return path.Join(imagesDir, vm.Name+".iso") }

// NVRAMPath is where the variables of a VM with UEFI are, on its host.
func (vm VM) NVRAMPath() string {
	return path.Join("/var/lib/libvirt/qemu/nvram", vm.Name+"_VARS.fd")
}

const (
	defaultMemory = 256 // below it the kernel and its initramfs get tight
	defaultDisk   = 64
	smallestDisk  = 16 // what mkfs.ext4 still makes sense of
)

// resolveVMs fills in what the specs leave open and refuses what cannot be.
func resolveVMs(specs []VMSpec, prefix string, plan addressPlan, nodes int) ([]VM, error) {
	return resolveAfter(nil, specs, prefix, plan, nodes)
}

// resolveAfter is resolveVMs in a lab that has VMs already.
func resolveAfter(have []VM, specs []VMSpec, prefix string, plan addressPlan, nodes int) ([]VM, error) {
	taken := map[string]string{}
	for _, vm := range have {
		taken[vm.IP] = vm.Name
	}
	for _, s := range specs {
		if s.IP != "" {
			if other, dup := taken[s.IP]; dup {
				return nil, fmt.Errorf("cannot make %s: %s has the address %s", s.Name, other, s.IP)
			}
			taken[s.IP] = s.Name
		}
	}
	out := make([]VM, 0, len(specs))
	for _, s := range specs {
		if slices.ContainsFunc(slices.Concat(have, out), func(v VM) bool { return v.Name == s.Name }) {
			return nil, fmt.Errorf("cannot make %s twice: names of VMs are unique in a lab", s.Name)
		}
		vm, err := resolveVM(s, prefix, plan, nodes, taken)
		if err != nil {
			return nil, err
		}
		out = append(out, vm)
	}
	return out, nil
}

func resolveVM(s VMSpec, prefix string, plan addressPlan, nodes int, taken map[string]string) (VM, error) {
	if err := checkVMName(s.Name); err != nil {
		return VM{}, err
	}
	if s.Node == "" {
		s.Node = nodeName(1)
	}
	if i := nodeIndex(s.Node); i == 0 || i > nodes {
		return VM{}, fmt.Errorf("cannot make %s on %q: the lab has node1 to node%d", s.Name, s.Node, nodes)
	}
	if s.State == "" {
		s.State = VMRunning
	}
	if !slices.Contains([]VMState{VMRunning, VMOff, VMPaused}, s.State) {
		return VM{}, fmt.Errorf("cannot make %s in the state %q: running, off or paused are possible", s.Name, s.State)
	}
	if s.Transient && s.State == VMOff {
		return VM{}, fmt.Errorf("cannot make %s: a transient VM cannot be off", s.Name)
	}
	s.VCPUs = max(s.VCPUs, 1)
	if s.MemoryMiB == 0 {
		s.MemoryMiB = defaultMemory + s.DirtyMiB
	}
	if s.MemoryMiB < 128+s.DirtyMiB {
		return VM{}, fmt.Errorf("cannot make %s: with %d MiB to dirty it needs at least %d MiB of memory", s.Name, s.DirtyMiB, 128+s.DirtyMiB)
	}
	var err error
	if s.Disks, err = resolveDisks(s); err != nil {
		return VM{}, err
	}
	if s.IP == "" {
		for i := 0; s.IP == ""; i++ {
			if ip := plan.guest(i).String(); taken[ip] == "" {
				s.IP = ip
			}
		}
		taken[s.IP] = s.Name
	}
	if ip, err := netip.ParseAddr(s.IP); err != nil || !plan.net.Contains(ip) {
		return VM{}, fmt.Errorf("cannot give %s the address %q: it is not in %s", s.Name, s.IP, plan.net)
	}
	sum := sha256.Sum256([]byte("horcrux lab vm\x00" + prefix + "\x00" + s.Name))
	return VM{
		VMSpec: s,
		UUID:   formatUUID(sum[:16]),
		MAC:    macOf(prefix, "vm", s.Name),
		CIDR:   fmt.Sprintf("%s/%d", s.IP, plan.net.Bits()),
	}, nil
}

func resolveDisks(s VMSpec) ([]DiskSpec, error) {
	disks := slices.Clone(s.Disks)
	if len(disks) == 0 {
		disks = []DiskSpec{{}}
	}
	for i := range disks {
		d := &disks[i]
		if d.Pool == "" {
			d.Pool = "images"
		}
		if d.Format == "" {
			d.Format = "qcow2"
		}
		if d.Cache == "" {
			d.Cache = "none"
		}
		if d.SizeMiB == 0 {
			d.SizeMiB = defaultDisk
		}
		if d.File == "" {
			d.File = s.Name
			if i > 0 {
				d.File += fmt.Sprintf("-%d", i+1)
			}
			d.File += "." + strings.Replace(d.Format, "raw", "img", 1)
		}
		switch {
		case d.Pool != "images" && d.Pool != "shared":
			return nil, fmt.Errorf("cannot put a disk of %s into the pool %q: images and shared are possible", s.Name, d.Pool)
		case d.Format != "qcow2" && d.Format != "raw":
			return nil, fmt.Errorf("cannot make a disk of %s in the format %q: qcow2 and raw are possible", s.Name, d.Format)
		case d.Backing != "" && (d.Backing != "qcow2" && d.Backing != "raw" || d.Format != "qcow2"):
			return nil, fmt.Errorf("cannot put a disk of %s on a base of the format %q: a qcow2 on qcow2 or raw is possible", s.Name, d.Backing)
		case d.Device && d.Named:
			return nil, fmt.Errorf("cannot name a disk of %s as a volume: a device is in no pool", s.Name)
		case d.Device && (d.Format != "raw" || d.Pool != "images"):
			return nil, fmt.Errorf("cannot make a device of a disk of %s: a raw one of the pool images is possible", s.Name)
		case !filePattern.MatchString(d.File):
			return nil, fmt.Errorf("cannot name a disk of %s %q: letters, digits, dot, dash and underscore only", s.Name, d.File)
		case d.SizeMiB < smallestDisk:
			return nil, fmt.Errorf("cannot make a disk of %s with %d MiB: at least %d", s.Name, d.SizeMiB, smallestDisk)
		case d.FillMiB < 0 || i == 0 && d.FillMiB > d.SizeMiB-12 || d.FillMiB > d.SizeMiB:
			return nil, fmt.Errorf("cannot fill a disk of %s (%d MiB) with %d MiB", s.Name, d.SizeMiB, d.FillMiB)
		}
	}
	return disks, nil
}
