package lab

import (
	"encoding/json"
	"fmt"
	"os"
)

// hostSpec is all that process 1 of a host needs to know. It is passed as a
// file, because the process has nothing but its arguments.
type hostSpec struct {
	Dir     string     `json:"dir"`
	Prefix  string     `json:"prefix"`
	Node    string     `json:"node"`
	CIDR    string     `json:"cidr"`    // own address with the subnet's length
	Uplink  string     `json:"uplink"`  // name of the veth's inner end as it arrives
	MAC     string     `json:"mac"`     // of the bridge, so that it survives a power cycle
	Machine string     `json:"machine"` // machine-id
	Tree    string     `json:"tree"`    // root of another Debian, "" for the machine's own
	Loop    string     `json:"loop"`    // block device of the images, "" if there is none
	FSType  string     `json:"fs"`
	Peers   []hostName `json:"peers"` // all hosts, this one too
}

type hostName struct {
	Name    string `json:"name"`
	Address string `json:"address"`
}

const hostSpecName = "host.json"

func (s hostSpec) paths() paths { return paths{s.Dir, s.Prefix} }

func (s hostSpec) write() error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(s.paths().nodeFile(s.Node, hostSpecName), b, 0o600)
}

func readHostSpec(p paths, node string) (hostSpec, error) {
	var s hostSpec
	b, err := os.ReadFile(p.nodeFile(node, hostSpecName))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("cannot read %s: %w", hostSpecName, err)
	}
	return s, nil
}

// hostBinds are directories that each host has for itself instead of the
// machine's: fresh ones, kept in its state directory. Nothing of the machine's
// own libvirt or SSH set-up is visible in a host, and nothing that its root's
// shell does at the start of every command over SSH.
var hostBinds = []struct{ source, target string }{
	{"etc-libvirt", "/etc/libvirt"},
	{"etc-ssh", "/etc/ssh"},
	{rootHome, "/root"},
	{"var-lib-libvirt", "/var/lib/libvirt"},
	{"var-cache-libvirt", "/var/cache/libvirt"},
	{"var-log-libvirt", "/var/log/libvirt"},
}

// rootHome is what a host has as /root.
const rootHome = "root-home"

// Paths inside every host.
const (
	imagesDir = "/var/lib/libvirt/images"
	sharedDir = "/srv/shared"
)
