package health

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"horcrux/engine/model"
)

// addressPatience is how long the guest's addresses are waited for; they are
// shown and decide nothing.
const addressPatience = 2 * time.Second

// checkNetwork looks at every interface: on the bridge or network that it was
// on, with its link up, and with packets that move if they moved before.
func checkNetwork(ctx context.Context, e *exam) finding {
	dom, err := e.domain(ctx)
	if err != nil {
		return failed("the interfaces are not known: %s", why(err))
	}
	if len(dom.nics) == 0 && e.o.baseline(model.CheckNetwork) == nil {
		return skipped("the VM has no network interface")
	}
	stats, errStats := e.sample(ctx, 0)
	n := newNotes()
	if errStats != nil {
		n.warn("libvirt gives no counters: %s", why(errStats))
	}
	for _, nic := range dom.nics {
		e.lookAtNIC(n, nic, stats.Nets, errStats == nil)
	}
	e.lookForLostNICs(n, dom)
	if e.stage == model.StageGate || errStats != nil {
		return n.finding()
	}
	e.watchNetwork(ctx, n)
	return n.finding()
}

func (e *exam) lookAtNIC(n *notes, nic nicDef, nets []model.NetStat, haveStats bool) {
	on := strings.TrimSpace(nic.kind + " " + nic.source)
	n.fact(nic.mac+".on", on)
	link := "up"
	if nic.down {
		link = "down"
	}
	n.fact(nic.mac+".link", link)
	n.say("%s on %s, link %s", nic.mac, on, link)
	if b := e.o.baseline(model.CheckNetwork); b != nil {
		was, ok := b.Facts[nic.mac+".on"]
		switch {
		case !ok:
			n.fail("%s was not there before the move", nic.mac)
		case was != on:
			n.fail("%s was on %s before the move and is on %s", nic.mac, clean(was), on)
		case b.Facts[nic.mac+".link"] == "up" && nic.down:
			n.fail("the link of %s was up before the move and is down", nic.mac)
		}
	} else if nic.down {
		n.warn("the link of %s is down by its definition", nic.mac)
	}
	if haveStats && nic.dev != "" && findNet(nets, nic.dev) == nil && counted(nic.kind) {
		n.fail("%s is not attached: the host has no %s", nic.mac, nic.dev)
	}
}

// counted tells that libvirt has counters for interfaces of a kind.
func counted(kind string) bool { return kind == "bridge" || kind == "network" || kind == "ethernet" }

func (e *exam) lookForLostNICs(n *notes, dom domain) {
	b := e.o.baseline(model.CheckNetwork)
	if b == nil {
		return
	}
	have := map[string]bool{}
	for _, nic := range dom.nics {
		have[nic.mac] = true
	}
	for _, key := range sortedKeys(b.Facts) {
		if mac, ok := strings.CutSuffix(key, ".on"); ok && !have[mac] {
			n.fail("%s was there before the move and is not", clean(mac))
		}
	}
}

func (e *exam) watchNetwork(ctx context.Context, n *notes) {
	if e.still(ctx) {
		n.say("paused, so nothing is sent")
		return
	}
	ips := make(chan []string, 1)
	go func() { ips <- e.addresses(ctx, addressPatience) }()
	b := e.o.baseline(model.CheckNetwork)
	wasBusy := b != nil && b.Facts["packets"] != "" && b.Facts["packets"] != "0"
	s, d, err := e.until(ctx, wasBusy, func(before, now model.DomainStats) bool {
		rx, tx, _ := netMoves(before, now)
		return rx+tx > 0
	})
	if err != nil {
		n.warn("packets could not be watched: %s", why(err))
		return
	}
	rx, tx, errs := netMoves(s.before, s.now)
	n.fact("packets", strconv.FormatUint(rx+tx, 10))
	n.say("%s packets in and %s out in %.1f s", count(rx), count(tx), d.Seconds())
	if errs > 0 {
		n.warn("%s new errors", count(errs))
	}
	if wasBusy && rx+tx == 0 && e.stage == model.StageAfter && !e.o.Booted {
		n.warn("no packet moves, and some did before the move")
	}
	if own := <-ips; len(own) > 0 {
		n.fact("addresses", strings.Join(own, " "))
		n.say("the guest has %s", strings.Join(own, ", "))
	}
}

func netMoves(before, now model.DomainStats) (rx, tx, errs uint64) {
	for _, d := range now.Nets {
		was := findNet(before.Nets, d.Target)
		if was == nil {
			continue
		}
		rx += grown(was.RxPackets, d.RxPackets)
		tx += grown(was.TxPackets, d.TxPackets)
		errs += grown(was.RxErrors, d.RxErrors) + grown(was.TxErrors, d.TxErrors)
	}
	return rx, tx, errs
}

func findNet(nets []model.NetStat, dev string) *model.NetStat {
	for i := range nets {
		if nets[i].Target == dev {
			return &nets[i]
		}
	}
	return nil
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
