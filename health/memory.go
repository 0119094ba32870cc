package health

import (
	"context"
	"strconv"

	"horcrux/engine/model"
)

// checkMemory compares the guest's memory, as QEMU has it and as libvirt's
// balloon says, with what it was before the move.
func checkMemory(ctx context.Context, e *exam) finding {
	var ram struct {
		Base    uint64 `json:"base-memory"`
		Plugged uint64 `json:"plugged-memory"`
	}
	n := newNotes()
	errRAM := e.qmp(ctx, "query-memory-size-summary", &ram)
	stats, errStats := e.sample(ctx, 0)
	if errRAM != nil && errStats != nil {
		return failed("neither QEMU nor libvirt says how much there is: %s; %s", why(errRAM), why(errStats))
	}
	if errRAM != nil {
		n.warn("QEMU does not say how much there is: %s", why(errRAM))
	} else {
		total := ram.Base + ram.Plugged
		n.say("%s of RAM", size(total))
		compareSize(e, n, model.CheckMemory, "ram", "RAM", total, true)
	}
	if errStats != nil {
		n.warn("libvirt gives no counters: %s", why(errStats))
		return n.finding()
	}
	if stats.BalloonMaximum > 0 {
		n.say("balloon %s of %s", size(stats.BalloonCurrent), size(stats.BalloonMaximum))
		compareSize(e, n, model.CheckMemory, "maximum", "the most the guest may have", stats.BalloonMaximum, true)
		// A balloon may be on its way in or out; its size is no sign of harm.
		compareSize(e, n, model.CheckMemory, "current", "what the balloon leaves the guest", stats.BalloonCurrent, false)
	}
	if e.stage == model.StageGate {
		return n.finding()
	}
	n.fact("rss", strconv.FormatUint(stats.RSS, 10))
	b := e.o.baseline(model.CheckMemory)
	switch {
	case stats.RSS > 0:
		n.say("QEMU holds %s of the host's", size(stats.RSS))
	case e.stage == model.StageAfter && b != nil && b.Facts["rss"] != "0" && b.Facts["rss"] != "":
		n.fail("QEMU holds nothing of the host's")
	default:
		n.warn("libvirt does not say how much QEMU holds of the host's")
	}
	return n.finding()
}

// compareSize records a number of bytes and holds it against the baseline's.
func compareSize(e *exam, n *notes, id model.CheckID, key, what string, now uint64, strict bool) {
	n.fact(key, strconv.FormatUint(now, 10))
	b := e.o.baseline(id)
	if b == nil {
		return
	}
	was, err := strconv.ParseUint(b.Facts[key], 10, 64)
	if err != nil || was == now {
		return
	}
	tell := n.warn
	if strict {
		tell = n.fail
	} else if size(was) == size(now) {
		return // QEMU rounds what the balloon leaves by a page or two
	}
	tell("%s was %s before the move and is %s", what, exact(was, now), exact(now, was))
}

// exact is a size in words, or in bytes where the words would hide that it
// differs from another.
func exact(n, other uint64) string {
	if size(n) == size(other) {
		return count(n) + " bytes"
	}
	return size(n)
}
