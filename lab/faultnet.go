package lab

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// uplink is the machine's end of the host's cable.
func (n *Node) uplink() (netlink.Link, error) {
	link, err := netlink.LinkByName(vethName(n.lab.Prefix, n.index))
	if err != nil {
		return nil, fmt.Errorf("cannot find the cable of %s: %w; is the host on?", n.Name, err)
	}
	return link, nil
}

// CutLink pulls the host's cable: the host and its guests hear and say nothing
// any more, connections are not told.
func (n *Node) CutLink() error {
	link, err := n.uplink()
	if err != nil {
		return err
	}
	return netlink.LinkSetDown(link)
}

// HealLink puts the cable back.
func (n *Node) HealLink() error {
	link, err := n.uplink()
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(link)
}

// LinkUp tells whether the cable is in.
func (n *Node) LinkUp() bool {
	link, err := n.uplink()
	return err == nil && link.Attrs().Flags&unix.IFF_UP != 0
}

// LimitRate lets no more than so many bytes a second pass, each way.
func (n *Node) LimitRate(bytesPerSecond uint64) error {
	if bytesPerSecond < 8<<10 {
		return errors.New("cannot limit a link below 8 KiB/s")
	}
	return n.bothEnds(func(h *netlink.Handle, link netlink.Link) error {
		// A burst holds the largest packet veth hands over in one piece.
		burst := uint32(max(bytesPerSecond/50, 128<<10))
		qdisc := &netlink.Tbf{
			QdiscAttrs: netlink.QdiscAttrs{LinkIndex: link.Attrs().Index, Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(1, 0)},
			Rate:       bytesPerSecond,
			Limit:      burst + uint32(bytesPerSecond/10),
			Buffer:     netlink.Xmittime(bytesPerSecond, burst),
		}
		return h.QdiscReplace(qdisc)
	})
}

// UnlimitRate takes the limit away.
func (n *Node) UnlimitRate() error {
	return n.bothEnds(func(h *netlink.Handle, link netlink.Link) error {
		qdiscs, err := whole(func() ([]netlink.Qdisc, error) { return h.QdiscList(link) })
		if err != nil {
			return err
		}
		for _, q := range qdiscs {
			if q.Type() == "tbf" {
				return h.QdiscDel(q)
			}
		}
		return nil
	})
}

// bothEnds acts on both ends of the host's cable: each limits what leaves it.
func (n *Node) bothEnds(act func(*netlink.Handle, netlink.Link) error) error {
	outer, err := n.uplink()
	if err != nil {
		return err
	}
	pid := n.PID()
	if pid == 0 {
		return n.errOff()
	}
	here, err := netlink.NewHandle()
	if err != nil {
		return err
	}
	defer here.Close()
	if err := act(here, outer); err != nil {
		return fmt.Errorf("cannot change the cable of %s: %w", n.Name, err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	ns, err := netns.GetFromPid(pid)
	if err != nil {
		return n.errOff()
	}
	defer ns.Close()
	there, err := netlink.NewHandleAt(ns)
	if err != nil {
		return err
	}
	defer there.Close()
	inner, err := there.LinkByName(uplinkName)
	if err != nil {
		return fmt.Errorf("cannot find the cable inside %s: %w", n.Name, err)
	}
	if err := act(there, inner); err != nil {
		return fmt.Errorf("cannot change the cable inside %s: %w", n.Name, err)
	}
	return nil
}

// blockTable holds the rules of BlockPeers inside a host.
const blockTable = "horcrux_lab"

// BlockPeers drops TCP between this host and the other hosts, but for SSH, so
// that the console reaches all of them and a migration does not get through.
func (n *Node) BlockPeers(ctx context.Context) error {
	return n.block(ctx, n.peers(), "tcp dport 22", "tcp sport 22")
}

// CutPeers drops SSH between this host and the others, too.
func (n *Node) CutPeers(ctx context.Context) error { return n.block(ctx, n.peers()) }

// Behind drops all TCP of this host, that with this machine too, but for SSH
// between it and one other host: who wants to log in has to come through that.
func (n *Node) Behind(ctx context.Context, door *Node) error {
	return n.block(ctx, append(n.peers(), n.lab.plan.gateway().String()),
		"SIDE "+door.Address+" tcp dport 22", "SIDE "+door.Address+" tcp sport 22")
}

func (n *Node) peers() []string {
	var peers []string
	for _, p := range n.lab.Nodes {
		if p != n {
			peers = append(peers, p.Address)
		}
	}
	return peers
}

// block drops TCP from and to some addresses, but for what rules before let
// through; SIDE in those becomes the address of the other host.
func (n *Node) block(ctx context.Context, from []string, but ...string) error {
	if len(from) == 0 {
		return errors.New("cannot block the other hosts: there are none")
	}
	set := "{ " + strings.Join(from, ", ") + " }"
	chain := func(hook, side string) string {
		rules := ""
		for _, b := range but {
			rules += "\t\t" + strings.ReplaceAll(b, "SIDE", side) + " accept\n"
		}
		return fmt.Sprintf("\tchain %s {\n\t\ttype filter hook %s priority 0\n%s\t\t%s %s meta l4proto tcp drop\n\t}\n", hook, hook, rules, side, set)
	}
	rules := fmt.Sprintf("table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {\n%[2]s%[3]s}\n",
		blockTable, chain("input", "ip saddr"), chain("output", "ip daddr"))
	_, err := n.ExecInput(ctx, rules, "nft", "-f", "-")
	return err
}

// RefuseMoves has a firewall of this host refuse what comes in at the ports of
// migrations, as if nobody listened there.
func (n *Node) RefuseMoves(ctx context.Context) error {
	rules := fmt.Sprintf("table inet %[1]s\ndelete table inet %[1]s\ntable inet %[1]s {\n\tchain input {\n\t\ttype filter hook input priority 0\n\t\ttcp dport 49152-49215 reject with tcp reset\n\t}\n}\n", blockTable)
	_, err := n.ExecInput(ctx, rules, "nft", "-f", "-")
	return err
}

// UnblockPeers lets TCP through again.
func (n *Node) UnblockPeers(ctx context.Context) error {
	_, err := n.ExecInput(ctx, fmt.Sprintf("table inet %[1]s\ndelete table inet %[1]s\n", blockTable), "nft", "-f", "-")
	return err
}
