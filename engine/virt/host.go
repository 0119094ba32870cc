package virt

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"
)

// HostInfo is what a host is.
type HostInfo struct {
	Hostname, HostUUID, Libvirt, QEMU, CPUModel string
	CPUs                                        int
	MemTotal                                    uint64 // bytes
	Arch                                        string
	// QEMU's processes are of this user and group; nil where that is not known.
	QEMUUser *QEMUUser
}

// HostLoad are counters and sizes of a host at one moment. CPUBusy and
// CPUTotal only grow; the use is the quotient of two differences.
type HostLoad struct {
	CPUBusy, CPUTotal time.Duration
	MemTotal, MemFree uint64 // bytes; free counts buffers and cache
}

// Host asks what the host is. The first call after the start of the daemon may
// take seconds, because libvirt then asks QEMU about itself.
func (c *Conn) Host(ctx context.Context) (HostInfo, error) {
	ctx, cancel := bounded(ctx, probing)
	defer cancel()
	var h HostInfo
	name, err := call(ctx, c, "read the host's name", quick, (*libvirt.Libvirt).ConnectGetHostname)
	if err != nil {
		return h, err
	}
	h.Hostname = Clean(name)
	lib, err := c.LibVersion(ctx)
	if err != nil {
		return h, err
	}
	h.Libvirt = lib
	hv, err := call(ctx, c, "read QEMU's version", probing, (*libvirt.Libvirt).ConnectGetVersion)
	if _, answered := Code(err); err != nil && !answered {
		return h, err
	} else if err == nil {
		h.QEMU = version(hv)
	}
	type node struct {
		memory uint64
		cpus   int32
	}
	n, err := call(ctx, c, "read the host's size", quick, func(l *libvirt.Libvirt) (node, error) {
		_, memory, cpus, _, _, _, _, _, err := l.NodeGetInfo()
		return node{memory, cpus}, err
	})
	if err != nil {
		return h, err
	}
	h.MemTotal, h.CPUs = n.memory<<10, int(n.cpus)
	text, err := c.Capabilities(ctx)
	if err != nil {
		return h, err
	}
	var caps libvirtxml.Caps
	if err := parseXML(text, &caps); err != nil {
		return h, c.failed("read the host's capabilities", &answerError{err})
	}
	h.HostUUID = Clean(caps.Host.UUID)
	if caps.Host.CPU != nil {
		h.CPUModel, h.Arch = Clean(caps.Host.CPU.Model), Clean(caps.Host.CPU.Arch)
	}
	h.QEMUUser = qemuUser(caps)
	return h, nil
}

// QEMUUser is who QEMU runs as, in numbers.
type QEMUUser struct{ UID, GID uint32 }

// Root tells whether that is root.
func (u *QEMUUser) Root() bool { return u != nil && u.UID == 0 }

// qemuUser reads the label that libvirt gives to QEMU's processes: "+64055:+64055".
func qemuUser(caps libvirtxml.Caps) *QEMUUser {
	for _, m := range caps.Host.SecModel {
		for _, l := range m.Labels {
			user, group, ok := strings.Cut(l.Value, ":")
			uid, err1 := strconv.ParseUint(strings.TrimPrefix(user, "+"), 10, 32)
			gid, err2 := strconv.ParseUint(strings.TrimPrefix(group, "+"), 10, 32)
			if m.Name == "dac" && ok && err1 == nil && err2 == nil {
				return &QEMUUser{uint32(uid), uint32(gid)}
			}
		}
	}
	return nil
}

func version(v uint64) string {
	return fmt.Sprintf("%d.%d.%d", v/1_000_000, v/1000%1000, v%1000)
}

// Load reads the host's counters.
func (c *Conn) Load(ctx context.Context) (HostLoad, error) {
	var load HostLoad
	cpu := func(field string, v uint64) {
		switch field {
		case "kernel", "user", "intr":
			load.CPUBusy += time.Duration(v)
			load.CPUTotal += time.Duration(v)
		case "idle", "iowait":
			load.CPUTotal += time.Duration(v)
		}
	}
	if err := c.counters(ctx, "read the CPU's counters", procCPUStats, &c.cpuStats, cpu); err != nil {
		return load, err
	}
	memory := func(field string, v uint64) {
		switch field {
		case "total":
			load.MemTotal = v << 10
		case "free", "buffers", "cached":
			load.MemFree += v << 10
		}
	}
	return load, c.counters(ctx, "read the host's memory", procMemoryStats, &c.memStats, memory)
}

// counters reads the counters of a whole host. How many there are to ask for is
// asked once per connection.
func (c *Conn) counters(ctx context.Context, doing string, proc uint32, known *atomic.Int32, each func(field string, v uint64)) error {
	for {
		n := known.Load()
		p, err := call(ctx, c, doing, quick, func(*libvirt.Libvirt) ([]byte, error) {
			const whole = 1<<32 - 1 // all CPUs, all cells
			args := []uint32{whole, uint32(n), 0}
			if proc == procMemoryStats {
				args = []uint32{uint32(n), whole, 0}
			}
			return c.wire.ask(proc, words32(args...))
		})
		if err != nil {
			return err
		}
		r := reader{p: p}
		for range r.count() {
			field, v := r.text(), r.u64()
			if !r.bad {
				each(string(field), v)
			}
		}
		there := int32(r.u32())
		if r.bad {
			return c.failed(doing, c.wire.malformed(proc))
		}
		if n > 0 || there <= 0 {
			return nil
		}
		known.Store(there)
	}
}

// Capabilities is the XML of what the host can do.
func (c *Conn) Capabilities(ctx context.Context) (string, error) {
	return call(ctx, c, "read the host's capabilities", probing, (*libvirt.Libvirt).ConnectGetCapabilities)
}

// DomainCapabilities is the XML of what guests of that kind can have; empty
// arguments let libvirt choose.
func (c *Conn) DomainCapabilities(ctx context.Context, emulator, arch, machine, virttype string) (string, error) {
	return call(ctx, c, "read what guests can have", probing, func(l *libvirt.Libvirt) (string, error) {
		return l.ConnectGetDomainCapabilities(optional(emulator), optional(arch), optional(machine), optional(virttype), 0)
	})
}

func optional(s string) libvirt.OptString {
	if s == "" {
		return nil
	}
	return libvirt.OptString{s}
}

// CPUCompare is how a host's CPU stands to a wanted one.
type CPUCompare string

// Outcomes of CompareCPU.
const (
	CPUIncompatible CPUCompare = "incompatible"
	CPUIdentical    CPUCompare = "identical"
	CPUSuperset     CPUCompare = "superset"
	CPUError        CPUCompare = "error"
)

// CompareCPU asks whether guests with the CPU in cpuXML can run here.
func (c *Conn) CompareCPU(ctx context.Context, emulator, arch, machine, virttype, cpuXML string) (CPUCompare, error) {
	n, err := call(ctx, c, "compare the CPU", probing, func(l *libvirt.Libvirt) (int32, error) {
		return l.ConnectCompareHypervisorCPU(optional(emulator), optional(arch), optional(machine), optional(virttype), cpuXML, 0)
	})
	if err != nil {
		return CPUError, err
	}
	switch n {
	case 0:
		return CPUIncompatible, nil
	case 1:
		return CPUIdentical, nil
	case 2:
		return CPUSuperset, nil
	}
	return CPUError, nil
}

// Ping asks for a number that libvirt answers even when all its workers are
// busy, and does not wait behind other calls of this connection.
func (c *Conn) Ping(ctx context.Context) error {
	ctx, cancel := bounded(ctx, quick)
	defer cancel()
	_, err := send(ctx, c, "hear from libvirt", c.grace, func(*libvirt.Libvirt) ([]byte, error) { return c.wire.ask(procLibVersion, nil) }, func() {})
	return err
}

// LibVersion is libvirt's version, like 11.3.0.
func (c *Conn) LibVersion(ctx context.Context) (string, error) {
	v, err := call(ctx, c, "read libvirt's version", quick, (*libvirt.Libvirt).ConnectGetLibVersion)
	return version(v), err
}

// SupportsFeature asks for a VIR_DRV_FEATURE; 7 is change protection.
func (c *Conn) SupportsFeature(ctx context.Context, n int32) (bool, error) {
	v, err := call(ctx, c, "ask for a feature", quick, func(l *libvirt.Libvirt) (int32, error) {
		return l.ConnectSupportsFeature(n)
	})
	return v > 0, err
}

// Network is one libvirt network.
type Network struct {
	Name   string
	Active bool
	Bridge string // empty if it has none
}

// Networks lists all libvirt networks.
func (c *Conn) Networks(ctx context.Context) ([]Network, error) {
	nets, err := call(ctx, c, "list the networks", slow, func(l *libvirt.Libvirt) ([]libvirt.Network, error) {
		n, _, err := l.ConnectListAllNetworks(1, 0)
		return n, err
	})
	if err != nil {
		return nil, err
	}
	out := make([]Network, 0, len(nets))
	for _, n := range nets {
		active, err := call(ctx, c, "look at network "+n.Name, quick, func(l *libvirt.Libvirt) (int32, error) {
			return l.NetworkIsActive(n)
		})
		if IsCode(err, CodeNoNetwork) {
			continue // gone since the list
		}
		if err != nil {
			return nil, err
		}
		bridge, err := call(ctx, c, "look at network "+n.Name, quick, func(l *libvirt.Libvirt) (string, error) {
			return l.NetworkGetBridgeName(n)
		})
		if _, answered := Code(err); err != nil && !answered {
			return nil, err
		}
		out = append(out, Network{Name: Clean(n.Name), Active: active > 0, Bridge: Clean(bridge)})
	}
	return out, nil
}

// NetworkNames lists the active networks.
func (c *Conn) NetworkNames(ctx context.Context) ([]string, error) {
	const active = 2
	nets, err := call(ctx, c, "list the networks", slow, func(l *libvirt.Libvirt) ([]libvirt.Network, error) {
		n, _, err := l.ConnectListAllNetworks(1, active)
		return n, err
	})
	names := make([]string, 0, len(nets))
	for _, n := range nets {
		names = append(names, Clean(n.Name))
	}
	return names, err
}
