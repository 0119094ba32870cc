package migrate

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"horcrux/engine/model"
)

// Figures of the convergence, most of them what vdsm and nova came to use.
const (
	// stepPause is the least time between two steps of the allowed pause: QEMU
	// needs a pass or two to act on one.
	stepPause = 10 * time.Second
	// gain is what a pass must leave less of than the one before to count as
	// progress: 4 %.
	gain = 0.96
	// stallWindow: readings older than this are what a stall is measured by.
	stallWindow = 40 * time.Second
	// throttlePatience: as long as QEMU went on slowing the guest down within
	// this time, it is not given up.
	throttlePatience = 20 * time.Second
	// switchPatience is how soon the switch must follow once it is due.
	switchPatience = 60 * time.Second
	// silentProbe and silentAbort: no new byte for so long has both hosts looked
	// at, then the copy stopped.
	silentProbe = 60 * time.Second
	silentAbort = 150 * time.Second
)

// downtimeSteps are the pauses that QEMU may aim at, one after another as the
// memory refuses to converge; the last is always the user's limit.
var downtimeSteps = []time.Duration{150 * time.Millisecond, 300 * time.Millisecond, 500 * time.Millisecond, 900 * time.Millisecond}

// reading is what the convergence looks at, taken from libvirt's statistics.
type reading struct {
	at     time.Time
	memory bool   // the disks are done
	bytes  uint64 // copied so far, of disk and memory
	// remaining and the rates are those of the memory, in bytes.
	remaining, rate, dirty uint64
	iteration              uint64
	throttle               int // percent
	// diskLeft and diskRate are those of the disks, in bytes.
	diskLeft, diskRate uint64
}

func (r reading) pause() time.Duration {
	if r.rate == 0 {
		return 0
	}
	return time.Duration(float64(r.remaining) / float64(r.rate) * float64(time.Second))
}

// limits are what a person may change while the copy runs.
type limits struct {
	downtime  time.Duration
	bandwidth uint64 // MiB/s, 0 for none
}

type adviceKind int

const (
	adviseDowntime adviceKind = iota // let QEMU aim at this pause
	adviseProbe                      // look at both hosts, tell what they say
	adviseSuspend                    // pause the guest for what remains
	advisePostCopy                   // switch to post-copy
	adviseAbort                      // stop and undo
)

type advice struct {
	kind     adviceKind
	downtime time.Duration
	why      string
}

// pass is one pass over the memory: the most that was seen to remain in it.
type pass struct {
	at        time.Time
	iteration uint64
	most      uint64
}

// converge decides from readings alone what is done about a copy that does not
// come to its end. It asks nobody and reads no clock.
type converge struct {
	policy model.Policy
	// bytes is what is to be copied, disks and memory; began when that began.
	bytes uint64
	began time.Time

	lastBytes uint64
	moved     time.Time // when the last new byte was seen
	probed    bool

	allowed   time.Duration // the pause that QEMU aims at now
	stepped   time.Time
	passes    []pass
	throttle  int
	throttled time.Time // when QEMU last slowed the guest down further
	ripe      time.Time // since when what remains fits the allowed pause
	forced    time.Time // when the whole limit was granted because of a stall
	due       time.Time // the switch must have come by then; zero if open
	applied   bool      // the policy was carried out
	stalled   bool
	mirrors   mirrors
}

// step takes one reading and says what to do now.
func (c *converge) step(r reading, l limits) []advice {
	if c.moved.IsZero() || r.bytes != c.lastBytes || r.memory && len(c.passes) == 0 {
		c.moved, c.lastBytes, c.probed = r.at, r.bytes, false
	}
	var out []advice
	if r.memory {
		out = c.memory(r, l)
	} else {
		out = c.disks(r, l)
	}
	if a, ok := c.late(r, l); ok {
		out = append(out, a)
	}
	return out
}

// late watches the clocks that end a copy whatever it says.
func (c *converge) late(r reading, l limits) (advice, bool) {
	silent := r.at.Sub(c.moved)
	switch most := c.most(l); {
	case silent >= silentAbort:
		return advice{kind: adviseAbort, why: fmt.Sprintf("no new byte came through for %s", silentAbort)}, true
	case !c.due.IsZero() && r.at.After(c.due):
		return advice{kind: adviseAbort, why: "the guest was ready to switch and the switch did not follow in time"}, true
	case r.at.Sub(c.began) > most && c.policy != model.PolicyAbort && c.policy != "" && !c.applied && r.memory:
		return c.apply(r, l, fmt.Sprintf("the copy did not end within %s", most))
	case r.at.Sub(c.began) > most:
		return advice{kind: adviseAbort, why: fmt.Sprintf("the copy did not end within %s", most)}, true
	case silent >= silentProbe && !c.probed:
		c.probed = true
		return advice{kind: adviseProbe, why: fmt.Sprintf("no new byte came through for %s", silentProbe)}, true
	}
	return advice{}, false
}

// most is the hard deadline of the whole copy. It is doubled once the switch
// was forced, since only little remains then.
func (c *converge) most(l limits) time.Duration {
	d := hardDeadline(c.bytes, l.bandwidth)
	if c.applied {
		d *= 2
	}
	return d
}

// hardDeadline bounds a copy that libvirt would let run for ever: 150 s for
// each GiB of memory and disk, 300 s at least, and with a bandwidth limit what
// that needs four times over.
func hardDeadline(bytes, mibps uint64) time.Duration {
	d := max(300*time.Second, time.Duration(bytes>>20)*150*time.Second/1024)
	if mibps > 0 {
		d = max(d, 4*time.Duration(bytes>>20)*time.Second/time.Duration(mibps))
	}
	return d
}

func (c *converge) memory(r reading, l limits) []advice {
	fresh := c.note(r)
	if c.applied {
		return nil
	}
	if c.allowed == 0 || c.allowed > l.downtime {
		return c.allow(r, nextStep(0, l.downtime), "")
	}
	c.watchSwitch(r)
	if c.stalled = c.isStalled(r); c.stalled {
		return c.stall(r, l)
	}
	// A pass that left hardly less than the one before will not be followed by
	// a better one: a longer pause has to make up for it.
	if n := len(c.passes); fresh && r.iteration >= 3 && n >= 2 && float64(c.passes[n-1].most) >= gain*float64(c.passes[n-2].most) &&
		c.allowed < l.downtime && r.at.Sub(c.stepped) >= stepPause {
		return c.allow(r, nextStep(c.allowed, l.downtime), "the last pass left no less than the one before")
	}
	return nil
}

// note keeps what each pass had to send, and tells whether a new one began.
func (c *converge) note(r reading) bool {
	if r.throttle > c.throttle {
		c.throttled = r.at
	}
	c.throttle = r.throttle
	if n := len(c.passes); n > 0 && c.passes[n-1].iteration == r.iteration {
		c.passes[n-1].most = max(c.passes[n-1].most, r.remaining)
		return false
	}
	c.passes = append(c.passes, pass{r.at, r.iteration, r.remaining})
	return true
}

// watchSwitch sets the time by which the switch must come, once what remains
// fits the pause. It is taken back when the guest has dirtied more again.
func (c *converge) watchSwitch(r reading) {
	switch {
	case r.pause() > c.allowed || r.rate == 0 && r.remaining > 0:
		c.ripe, c.due = time.Time{}, time.Time{}
	case c.ripe.IsZero():
		c.ripe = r.at
		c.due = r.at.Add(switchPatience)
	}
}

// isStalled compares the pass under way with the best of those that began more
// than stallWindow ago.
func (c *converge) isStalled(r reading) bool {
	best := uint64(0)
	for _, p := range c.passes[:len(c.passes)-1] {
		if r.at.Sub(p.at) >= stallWindow && p.iteration >= 2 && (best == 0 || p.most < best) {
			best = p.most
		}
	}
	slowing := c.throttle > 0 && c.throttle < 99 && r.at.Sub(c.throttled) < throttlePatience
	return best > 0 && !slowing && float64(c.passes[len(c.passes)-1].most) >= gain*float64(best)
}

// stall grants the whole pause that the user allows, and if the switch does
// not follow, does what the policy says.
func (c *converge) stall(r reading, l limits) []advice {
	if c.allowed < l.downtime {
		c.forced = r.at
		return c.allow(r, l.downtime, "the memory does not get less")
	}
	if c.forced.IsZero() {
		c.forced = r.at
	}
	patience := switchPatience
	if c.need(r) > l.downtime*3/2 {
		patience = stepPause // hopeless: wait only until QEMU has had a chance
	}
	if r.at.Sub(c.forced) < patience {
		return nil
	}
	if a, ok := c.apply(r, l, c.why(r, l)); ok {
		return []advice{a}
	}
	return nil
}

// need is the pause that the pass under way would take as a whole.
func (c *converge) need(r reading) time.Duration {
	if n := len(c.passes); n > 0 {
		r.remaining = c.passes[n-1].most
	}
	return r.pause()
}

func (c *converge) allow(r reading, d time.Duration, why string) []advice {
	c.allowed, c.stepped = d, r.at
	return []advice{{kind: adviseDowntime, downtime: d, why: why}}
}

// nextStep is the pause after now, never more than the limit.
func nextStep(now, limit time.Duration) time.Duration {
	for _, s := range downtimeSteps {
		if s > now && s < limit {
			return s
		}
	}
	return limit
}

// apply carries out the policy, once.
func (c *converge) apply(r reading, l limits, why string) (advice, bool) {
	switch c.policy {
	case model.PolicySuspend:
		c.applied = true
		c.due = r.at.Add(max(switchPatience, 4*c.need(r)))
		return advice{kind: adviseSuspend, why: why}, true
	case model.PolicyPostCopy:
		if r.iteration < 2 {
			return advice{}, false // the first pass sends most of what the guest will miss
		}
		c.applied = true
		return advice{kind: advisePostCopy, why: why}, true
	}
	return advice{kind: adviseAbort, why: "the memory does not converge: " + why}, true
}

// refused takes back a policy that the host would not carry out.
func (c *converge) refused() { c.applied, c.policy = false, model.PolicyAbort }

// diverging tells a person why the copy will not end by itself, and what is
// going to be done about it; empty while there is hope.
func (c *converge) diverging(r reading, l limits) string {
	if !r.memory && !c.applied && c.mirrors.idle(r) >= stallWindow/2 {
		return next(c.diskPolicy(), diskWhy(r, l))
	}
	if c.applied || !r.memory || r.iteration < 2 || !c.stalled && r.dirty < r.rate {
		return ""
	}
	return next(c.policy, c.why(r, l))
}

// next adds what will be done.
func next(p model.Policy, s string) string {
	switch p {
	case model.PolicySuspend:
		return s + "; if it stays so the guest is paused for the rest"
	case model.PolicyPostCopy:
		return s + "; if it stays so the move switches to post-copy"
	}
	return s + "; if it stays so the move is stopped and undone"
}

func (c *converge) why(r reading, l limits) string {
	parts := []string{fmt.Sprintf("the guest dirties %s/s, the link carries %s/s", humanize.IBytes(r.dirty), humanize.IBytes(r.rate)) + limited(l)}
	if need := c.need(r); need > l.downtime {
		parts = append(parts, fmt.Sprintf("the switch would need a pause of %s, and %s is allowed", round(need), round(l.downtime)))
	}
	if r.throttle > 0 {
		parts = append(parts, fmt.Sprintf("QEMU slows the guest down by %d %%", r.throttle))
	}
	return strings.Join(parts, "; ")
}

func limited(l limits) string {
	if l.bandwidth == 0 {
		return ""
	}
	return fmt.Sprintf(" (limit %d MiB/s)", l.bandwidth)
}

func round(d time.Duration) time.Duration {
	if d >= 10*time.Second {
		return d.Round(time.Second)
	}
	return d.Round(10 * time.Millisecond)
}
