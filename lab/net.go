package lab

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

// alias marks the lab's links on the machine as its own: names alone could
// belong to somebody else.
func (p paths) alias() string { return labLinkAlias + p.state() }

// wholeWithin bounds the repeating of a listing.
const wholeWithin = time.Second

// whole repeats a listing until nothing has changed while the kernel wrote it.
// Another lab that starts or ends changes links many times.
func whole[T any](list func() ([]T, error)) ([]T, error) {
	for deadline := time.Now().Add(wholeWithin); ; {
		out, err := list()
		if !errors.Is(err, netlink.ErrDumpInterrupted) || time.Now().After(deadline) {
			return out, err
		}
	}
}

// checkSubnet refuses a subnet of which this machine already knows a part.
func checkSubnet(p paths, plan addressPlan) error {
	routes, err := whole(func() ([]netlink.Route, error) { return netlink.RouteList(nil, netlink.FAMILY_V4) })
	if err != nil {
		return fmt.Errorf("cannot list the machine's routes: %w", err)
	}
	_, want, err := net.ParseCIDR(plan.net.String())
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Dst == nil || isDefault(r.Dst) || !overlap(r.Dst, want) {
			continue
		}
		dev := fmt.Sprintf("link %d", r.LinkIndex)
		if l, err := netlink.LinkByIndex(r.LinkIndex); err == nil {
			if l.Attrs().Alias == p.alias() {
				continue
			}
			dev = l.Attrs().Name
			if a, ok := strings.CutPrefix(l.Attrs().Alias, labLinkAlias); ok {
				dev += ", which belongs to the lab in " + a
			}
		}
		return fmt.Errorf("cannot use the subnet %s: this machine already has a route to %s on %s; choose another with --subnet", plan.net, r.Dst, dev)
	}
	return nil
}

func isDefault(n *net.IPNet) bool { ones, _ := n.Mask.Size(); return ones == 0 }

func overlap(a, b *net.IPNet) bool { return a.Contains(b.IP) || b.Contains(a.IP) }

// makeBridge makes the switch that all hosts are plugged into. The machine's
// own address on it is the gateway's.
func (l *Lab) makeBridge() error {
	name := bridgeName(l.Prefix)
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: name}}
	if err := netlink.LinkAdd(br); err != nil {
		return fmt.Errorf("cannot make the bridge %s: %w", name, err)
	}
	if err := netlink.LinkSetAlias(br, l.paths.alias()); err != nil {
		return errors.Join(fmt.Errorf("cannot mark the bridge %s: %w", name, err), netlink.LinkDel(br))
	}
	addr, err := netlink.ParseAddr(l.plan.cidr(l.plan.gateway()))
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(br, addr); err != nil {
		return fmt.Errorf("cannot give %s its address: %w", name, err)
	}
	return netlink.LinkSetUp(br)
}

func describeAlias(l netlink.Link) string {
	if a, ok := strings.CutPrefix(l.Attrs().Alias, labLinkAlias); ok {
		return "of the lab in " + a
	}
	return "not made by a lab"
}

// plug connects a new host, known by its process, to the switch.
func (n *Node) plug(pid int) error {
	l := n.lab
	br, err := netlink.LinkByName(bridgeName(l.Prefix))
	if err != nil {
		return fmt.Errorf("cannot find the bridge %s: %w; the lab is incomplete: take it down and up again", bridgeName(l.Prefix), err)
	}
	outer, inner := vethName(l.Prefix, n.index), vethInner(l.Prefix, n.index)
	if err := removeLink(outer, l.paths.alias()); err != nil {
		return err
	}
	pair := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: outer, MasterIndex: br.Attrs().Index},
		PeerName:  inner,
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("cannot make the link %s: %w", outer, err)
	}
	link, err := netlink.LinkByName(outer)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetAlias(link, l.paths.alias()); err != nil {
		return err
	}
	peer, err := netlink.LinkByName(inner)
	if err != nil {
		return err
	}
	if err := netlink.LinkSetNsPid(peer, pid); err != nil {
		return fmt.Errorf("cannot move %s into %s: %w", inner, n.Name, err)
	}
	return netlink.LinkSetUp(link)
}

// checkLinks refuses a prefix whose links somebody else has. After it, a link
// of such a name that appears while the lab's state is there is the lab's own.
func checkLinks(p paths) error {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("cannot list the machine's links: %w", err)
	}
	for _, l := range links {
		if ours(p, l) {
			return fmt.Errorf("cannot make the lab %q: the link %s exists already (%s); choose another --prefix", p.prefix, l.Attrs().Name, describeAlias(l))
		}
	}
	return nil
}

// ours tells a link that by kind and name could be one of this lab.
func ours(p paths, l netlink.Link) bool {
	rest, ok := strings.CutPrefix(l.Attrs().Name, p.prefix+"-")
	switch l.Type() {
	case "bridge":
		return ok && rest == "br"
	case "veth":
		return ok && len(rest) > 1 && (rest[0] == 'n' || rest[0] == 'p') && nodeIndex("node"+rest[1:]) > 0
	}
	return false
}

// removeLink deletes a link of the machine if it carries that mark. A link that
// is not there is fine, one of somebody else is left alone.
func removeLink(name, alias string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		}
		return err
	}
	if link.Attrs().Alias != alias {
		return nil
	}
	if err := netlink.LinkDel(link); err != nil && !errors.As(err, &netlink.LinkNotFoundError{}) {
		if _, gone := netlink.LinkByName(name); gone != nil {
			return nil // the other end took it along
		}
		return fmt.Errorf("cannot remove the link %s: %w", name, err)
	}
	return nil
}

// removeLinks deletes every link of the machine that carries the lab's mark,
// and those that an Up made and died before it could mark them.
func removeLinks(p paths) error {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return fmt.Errorf("cannot list the machine's links: %w", err)
	}
	started := fileExists(p.state())
	var errs []error
	for _, l := range links {
		a := l.Attrs()
		if a.Alias == p.alias() || started && a.Alias == "" && ours(p, l) {
			errs = append(errs, removeLink(a.Name, a.Alias))
		}
	}
	return errors.Join(errs...)
}
