package health

import (
	"context"
	"strconv"
	"strings"
	"time"

	"horcrux/engine/model"
)

// blockQMP is one disk as query-block tells of it.
type blockQMP struct {
	Device   string `json:"device"`
	QDev     string `json:"qdev"`
	IOStatus string `json:"io-status"`
	Inserted *struct {
		Image struct {
			Size uint64 `json:"virtual-size"`
		} `json:"image"`
	} `json:"inserted"`
}

// checkDisk looks for every disk of the definition, compares its size with the
// baseline's, looks for I/O errors, and watches whether requests move.
func checkDisk(ctx context.Context, e *exam) finding {
	dom, err := e.domain(ctx)
	if err != nil {
		return failed("the disks are not known: %s", why(err))
	}
	if len(dom.disks) == 0 && e.o.baseline(model.CheckDisk) == nil {
		return skipped("the VM has no disk")
	}
	n := newNotes()
	var blocks []blockQMP
	errQMP := e.qmp(ctx, "query-block", &blocks)
	stats, errStats := e.sample(ctx, 0)
	if errQMP != nil && errStats != nil {
		return failed("neither QEMU nor libvirt tells of the disks: %s; %s", why(errQMP), why(errStats))
	}
	if errQMP != nil {
		n.warn("QEMU does not list its disks, so I/O errors are not seen: %s", why(errQMP))
	}
	if errStats != nil {
		n.warn("libvirt gives no counters: %s", why(errStats))
	}
	for _, d := range dom.disks {
		e.lookAtDisk(n, d, findBlock(blocks, d), findStat(stats.Blocks, d.target), errQMP == nil, errStats == nil)
	}
	e.lookForLostDisks(n, dom)
	if e.stage == model.StageGate || errStats != nil {
		return n.finding()
	}
	e.watchDisks(ctx, n)
	return n.finding()
}

func (e *exam) lookAtDisk(n *notes, d diskDef, q *blockQMP, s *model.BlockStat, haveQMP, haveStats bool) {
	if haveQMP && q == nil || haveStats && s == nil {
		n.fail("%s is not there", d.target)
		return
	}
	if q != nil && q.IOStatus != "" && q.IOStatus != "ok" {
		n.fail("%s has the I/O state %s", d.target, clean(q.IOStatus))
	}
	var capacity, seen uint64
	if s != nil {
		capacity = s.Capacity
	}
	if q != nil && q.Inserted != nil {
		seen = q.Inserted.Image.Size
	}
	if capacity > 0 && seen > 0 && capacity != seen {
		n.fail("%s is %s for libvirt and %s for QEMU", d.target, exact(capacity, seen), exact(seen, capacity))
	}
	capacity = max(capacity, seen)
	switch {
	case d.empty:
		n.say("%s empty", d.target)
	case capacity == 0:
		n.warn("the size of %s is not known", d.target)
	default:
		n.say("%s %s", d.target, size(capacity))
	}
	compareSize(e, n, model.CheckDisk, d.target+".size", d.target, capacity, true)
	if s != nil && s.Errors > 0 {
		n.fact(d.target+".errors", strconv.FormatUint(s.Errors, 10))
	}
}

// lookForLostDisks looks for what the baseline had and the definition has not.
func (e *exam) lookForLostDisks(n *notes, dom domain) {
	b := e.o.baseline(model.CheckDisk)
	if b == nil {
		return
	}
	have := map[string]bool{}
	for _, d := range dom.disks {
		have[d.target] = true
	}
	for _, key := range sortedKeys(b.Facts) {
		if target, ok := strings.CutSuffix(key, ".size"); ok && !have[target] {
			n.fail("%s was there before the move and is not", clean(target))
		}
	}
}

// watchDisks tells whether requests move. A guest may have nothing to write in
// the seconds that are watched, so stillness is a warning at most; errors are
// not.
func (e *exam) watchDisks(ctx context.Context, n *notes) {
	if e.still(ctx) {
		n.say("paused, so nothing is read or written")
		return
	}
	b := e.o.baseline(model.CheckDisk)
	wasBusy := b != nil && b.Facts["requests"] != "" && b.Facts["requests"] != "0"
	// Without movement in the baseline there is no more to wait for.
	s, d, err := e.until(ctx, wasBusy, func(before, now model.DomainStats) bool {
		r, w, _ := diskMoves(before, now)
		return r+w > 0
	})
	if err != nil {
		n.warn("reads and writes could not be watched: %s", why(err))
		return
	}
	reads, writes, errs := diskMoves(s.before, s.now)
	n.fact("requests", strconv.FormatUint(reads+writes, 10))
	if errs > 0 {
		n.fail("%s new I/O errors in %.1f s", count(errs), d.Seconds())
	}
	n.say("%s", traffic(reads, "read", writes, "write", d))
	if wasBusy && reads+writes == 0 && e.stage == model.StageAfter && !e.o.Booted {
		n.warn("nothing is read or written, and was before the move")
	}
}

func traffic(a uint64, one string, b uint64, other string, d time.Duration) string {
	return count(a) + " " + one + "s and " + count(b) + " " + other + "s in " + strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
}

func diskMoves(before, now model.DomainStats) (reads, writes, errs uint64) {
	for _, b := range now.Blocks {
		was := findStat(before.Blocks, b.Target)
		if was == nil {
			continue
		}
		reads += grown(was.ReadRequests, b.ReadRequests)
		writes += grown(was.WriteRequests, b.WriteRequests)
		errs += grown(was.Errors, b.Errors)
	}
	return reads, writes, errs
}

// grown is how much a counter moved; one that was reset has moved by what it
// shows.
func grown(before, now uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

// findBlock finds the device of a disk by its alias: QEMU does not know the
// names that libvirt gives to targets.
func findBlock(blocks []blockQMP, d diskDef) *blockQMP {
	if d.alias == "" {
		return nil
	}
	for i := range blocks {
		b := &blocks[i]
		if b.Device == "drive-"+d.alias || strings.Contains(b.QDev+"/", "/"+d.alias+"/") || b.QDev == d.alias {
			return b
		}
	}
	return nil
}

func findStat(blocks []model.BlockStat, target string) *model.BlockStat {
	for i := range blocks {
		if blocks[i].Target == target {
			return &blocks[i]
		}
	}
	return nil
}
