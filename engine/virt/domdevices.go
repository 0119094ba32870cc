package virt

import (
	"fmt"
	"strings"

	"libvirt.org/go/libvirtxml"

	"horcrux/engine/model"
)

func (d *Domain) readDevices(x *libvirtxml.DomainDeviceList) {
	d.Emulator = Clean(x.Emulator)
	for i := range x.Disks {
		d.Disks = append(d.Disks, readDisk(&x.Disks[i]))
	}
	for i := range x.Interfaces {
		d.NICs = append(d.NICs, readNIC(&x.Interfaces[i]))
	}
	for _, ch := range x.Channels {
		if ch.Target == nil || ch.Target.VirtIO == nil || ch.Target.VirtIO.Name != agentChannel {
			continue
		}
		d.Agent = model.AgentDisconnected
		if ch.Target.VirtIO.State == "connected" {
			d.Agent = model.AgentConnected
		}
	}
	for i := range x.Hostdevs {
		d.Hostdevs = append(d.Hostdevs, readHostdev(&x.Hostdevs[i]))
	}
	for i := range x.Filesystems {
		d.Filesystems = append(d.Filesystems, readFilesystem(&x.Filesystems[i]))
	}
	for _, s := range x.Serials {
		d.Serials = append(d.Serials, readChar(s.Source))
	}
	for _, c := range x.Consoles {
		d.Consoles = append(d.Consoles, readChar(c.Source))
	}
	for _, t := range x.TPMs {
		switch b := t.Backend; {
		case b == nil:
		case b.Emulator != nil:
			d.TPM = "emulator"
		case b.Passthrough != nil:
			d.TPM = "passthrough"
		case b.External != nil:
			d.TPM = "external"
		}
	}
}

func readDisk(x *libvirtxml.DomainDisk) DiskXML {
	d := DiskXML{Disk: model.Disk{
		Device: Clean(x.Device), ReadOnly: x.ReadOnly != nil, Shareable: x.Shareable != nil,
	}}
	if d.Device == "" {
		d.Device = "disk"
	}
	d.Transient, d.Mirror = x.Transient != nil, x.Mirror != nil
	d.Encrypted = x.Encryption != nil
	if t := x.Target; t != nil {
		d.Target, d.Bus = Clean(t.Dev), Clean(t.Bus)
	}
	if x.Alias != nil {
		d.Alias = Clean(x.Alias.Name)
	}
	if r := x.Driver; r != nil {
		d.Format, d.Cache, d.Discard, d.IO = Clean(r.Type), Clean(r.Cache), Clean(r.Discard), Clean(r.IO)
	}
	d.Type, d.Source = sourceOf(x.Source)
	if s := x.Source; s != nil {
		d.StartupPolicy = Clean(s.StartupPolicy)
		d.Encrypted = d.Encrypted || s.Encryption != nil
		if s.Volume != nil {
			d.Pool, d.Volume = Clean(s.Volume.Pool), Clean(s.Volume.Volume)
		}
		if s.Network != nil {
			d.Protocol = Clean(s.Network.Protocol)
		}
	}
	for b := x.BackingStore; b != nil && b.Source != nil; b = b.BackingStore {
		f := BackingFile{}
		if f.Type, f.Path = sourceOf(b.Source); f.Path == "" {
			break // the mark that nothing lies under it
		}
		if b.Format != nil {
			f.Format = Clean(b.Format.Type)
		}
		d.Chain = append(d.Chain, f)
	}
	if len(d.Chain) > 0 {
		d.Backing = d.Chain[0].Path
	}
	return d
}

// sourceOf gives the type of a disk's source, and its path or the nearest
// thing to one. An empty drive has a type and no path.
func sourceOf(s *libvirtxml.DomainDiskSource) (kind, path string) {
	switch {
	case s == nil:
		return "file", ""
	case s.File != nil:
		return "file", Clean(s.File.File)
	case s.Block != nil:
		return "block", Clean(s.Block.Dev)
	case s.Dir != nil:
		return "dir", Clean(s.Dir.Dir)
	case s.Volume != nil:
		if s.Volume.Pool == "" && s.Volume.Volume == "" {
			return "volume", ""
		}
		return "volume", Clean(s.Volume.Pool + "/" + s.Volume.Volume)
	case s.Network != nil:
		host := ""
		if len(s.Network.Hosts) > 0 {
			host = s.Network.Hosts[0].Name
			if p := s.Network.Hosts[0].Port; p != "" {
				host += ":" + p
			}
		}
		return "network", Clean(s.Network.Protocol + "://" + host + "/" + strings.TrimPrefix(s.Network.Name, "/"))
	case s.NVME != nil:
		return "nvme", "nvme"
	case s.VHostUser != nil:
		return "vhostuser", "vhostuser"
	case s.VHostVDPA != nil:
		return "vhostvdpa", Clean(s.VHostVDPA.Dev)
	}
	return "file", ""
}

func readNIC(x *libvirtxml.DomainInterface) model.NIC {
	var n model.NIC
	if x.MAC != nil {
		n.MAC = strings.ToLower(Clean(x.MAC.Address))
	}
	if x.Model != nil {
		n.Model = Clean(x.Model.Type)
	}
	if x.Target != nil {
		n.Target = Clean(x.Target.Dev)
	}
	s := x.Source
	switch {
	case s == nil:
	case s.Bridge != nil:
		n.Type, n.Source = "bridge", Clean(s.Bridge.Bridge)
	case s.Network != nil:
		n.Type, n.Source = "network", Clean(s.Network.Network)
	case s.Direct != nil:
		n.Type, n.Source = "direct", Clean(s.Direct.Dev)
	case s.User != nil:
		n.Type = "user"
	case s.Ethernet != nil:
		n.Type = "ethernet"
	case s.VHostUser != nil:
		n.Type = "vhostuser"
	case s.Hostdev != nil:
		n.Type = "hostdev"
	case s.VDPA != nil:
		n.Type = "vdpa"
	default:
		n.Type = "other"
	}
	return n
}

func readHostdev(x *libvirtxml.DomainHostdev) string {
	switch {
	case x.SubsysPCI != nil:
		if s := x.SubsysPCI.Source; s != nil && s.Address != nil {
			a := s.Address
			return fmt.Sprintf("pci %04x:%02x:%02x.%x", at(a.Domain), at(a.Bus), at(a.Slot), at(a.Function))
		}
		return "pci"
	case x.SubsysUSB != nil:
		return "usb"
	case x.SubsysSCSI != nil:
		return "scsi"
	case x.SubsysSCSIHost != nil:
		return "scsi-host"
	case x.SubsysMDev != nil:
		return "mdev"
	}
	return "other"
}

func at(p *uint) uint {
	if p == nil {
		return 0
	}
	return *p
}

func readFilesystem(x *libvirtxml.DomainFilesystem) Filesystem {
	f := Filesystem{Driver: "path"}
	if x.Driver != nil && x.Driver.Type != "" {
		f.Driver = Clean(x.Driver.Type)
	}
	if s := x.Source; s != nil && s.Mount != nil {
		f.Source = Clean(s.Mount.Dir)
	}
	if x.Target != nil {
		f.Target = Clean(x.Target.Dir)
	}
	return f
}

func readChar(s *libvirtxml.DomainChardevSource) CharDevice {
	switch {
	case s == nil:
		return CharDevice{}
	case s.Pty != nil:
		return CharDevice{"pty", Clean(s.Pty.Path)}
	case s.UNIX != nil:
		return CharDevice{"unix", Clean(s.UNIX.Path)}
	case s.File != nil:
		return CharDevice{"file", Clean(s.File.Path)}
	case s.Dev != nil:
		return CharDevice{"dev", Clean(s.Dev.Path)}
	case s.TCP != nil:
		return CharDevice{"tcp", Clean(s.TCP.Host + ":" + s.TCP.Service)}
	}
	return CharDevice{Type: "other"}
}
