package lab

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"regexp"
	"strconv"
)

// What Options stands for where a field is left empty.
const (
	DefaultDir    = "/var/lib/horcrux-lab"
	DefaultPrefix = "hx"
	DefaultSubnet = "10.77.0.0/24"
	DefaultNodes  = 3
)

// Limits of a lab. Host addresses end at base+10+maxNodes and must stay below
// the first guest's.
const (
	maxNodes    = 64
	firstNode   = 10  // node i is base+10+i
	firstGuest  = 101 // guests are base+101 and up
	maxIfName   = 15  // the kernel's IFNAMSIZ without its final zero
	maxGuests   = 140 // stays inside a /24
	smallestNet = 24
	largestNet  = 16
)

var (
	// A prefix of 8 leaves room for "-n64" within maxIfName.
	prefixPattern = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)
	nodePattern   = regexp.MustCompile(`^node([1-9][0-9]?)$`)
	// What libvirt, a file name and a host name all accept.
	vmPattern   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,59}$`)
	filePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
)

func checkPrefix(prefix string) error {
	if !prefixPattern.MatchString(prefix) {
		return fmt.Errorf("cannot use the lab prefix %q: it must be a lower-case letter and up to 7 letters or digits, because it becomes part of interface names", prefix)
	}
	return nil
}

func checkVMName(name string) error {
	if !vmPattern.MatchString(name) {
		return fmt.Errorf("cannot use the VM name %q: letters, digits, dot, dash and underscore only, at most 60", name)
	}
	return nil
}

func nodeName(i int) string { return "node" + strconv.Itoa(i) }

// nodeIndex gives the number in a node's name, or 0 if it is not one.
func nodeIndex(name string) int {
	m := nodePattern.FindStringSubmatch(name)
	if m == nil {
		return 0
	}
	i, _ := strconv.Atoi(m[1])
	if i > maxNodes {
		return 0
	}
	return i
}

// The names of a lab's links on the machine. Interface names are global there,
// so all of them begin with the prefix.
func bridgeName(prefix string) string          { return prefix + "-br" }
func vethName(prefix string, node int) string  { return prefix + "-n" + strconv.Itoa(node) }
func vethInner(prefix string, node int) string { return prefix + "-p" + strconv.Itoa(node) }

// addressPlan says who has which address in the lab's subnet.
type addressPlan struct{ net netip.Prefix }

func parseSubnet(cidr string) (addressPlan, error) {
	p, err := netip.ParsePrefix(cidr)
	if err != nil {
		return addressPlan{}, fmt.Errorf("cannot use the subnet %q: %w; write it as 10.77.0.0/24", cidr, err)
	}
	if !p.Addr().Is4() || p.Bits() > smallestNet || p.Bits() < largestNet {
		return addressPlan{}, fmt.Errorf("cannot use the subnet %q: it must be IPv4 and between /%d and /%d", cidr, largestNet, smallestNet)
	}
	if p.Masked().Addr() != p.Addr() {
		return addressPlan{}, fmt.Errorf("cannot use the subnet %q: its network address is %s", cidr, p.Masked())
	}
	return addressPlan{p}, nil
}

func (a addressPlan) at(n int) netip.Addr {
	b := a.net.Addr().As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += uint32(n)
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

func (a addressPlan) gateway() netip.Addr    { return a.at(1) }
func (a addressPlan) node(i int) netip.Addr  { return a.at(firstNode + i) }
func (a addressPlan) guest(i int) netip.Addr { return a.at(firstGuest + i) }

// cidr writes an address of the plan with the subnet's length.
func (a addressPlan) cidr(ip netip.Addr) string {
	return netip.PrefixFrom(ip, a.net.Bits()).String()
}

// paths of one lab on the machine.
type paths struct{ dir, prefix string }

func (p paths) state() string                     { return filepath.Join(p.dir, p.prefix) }
func (p paths) node(name string) string           { return filepath.Join(p.state(), name) }
func (p paths) lock() string                      { return filepath.Join(p.dir, "."+p.prefix+".lock") }
func (p paths) cache() string                     { return filepath.Join(p.dir, "guest-cache") }
func (p paths) releases() string                  { return filepath.Join(p.dir, "release-cache") }
func (p paths) shared() string                    { return filepath.Join(p.state(), "shared") }
func (p paths) file(name string) string           { return filepath.Join(p.state(), name) }
func (p paths) nodeFile(node, name string) string { return filepath.Join(p.node(node), name) }
