package lab

import (
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
)

// Names of a host's links, inside it.
const (
	uplinkName   = "eth0"
	nodeBridge   = "br0"
	labLinkAlias = "horcrux-lab "
)

// linkHost makes the host's bridge, which carries its address, and plugs the
// uplink into it, so that guests are on the lab's own network.
func linkHost(s hostSpec) error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return err
	}
	up, err := netlink.LinkByName(s.Uplink)
	if err != nil {
		return fmt.Errorf("cannot find the uplink %s: %w", s.Uplink, err)
	}
	if err := netlink.LinkSetName(up, uplinkName); err != nil {
		return err
	}
	mac, err := net.ParseMAC(s.MAC)
	if err != nil {
		return err
	}
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: nodeBridge, HardwareAddr: mac}}
	if err := netlink.LinkAdd(br); err != nil {
		return fmt.Errorf("cannot make the bridge %s: %w", nodeBridge, err)
	}
	if err := netlink.LinkSetMaster(up, br); err != nil {
		return err
	}
	addr, err := netlink.ParseAddr(s.CIDR)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(br, addr); err != nil {
		return err
	}
	for _, l := range []netlink.Link{up, br} {
		if err := netlink.LinkSetUp(l); err != nil {
			return err
		}
	}
	return nil
}
