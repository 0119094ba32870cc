package migrate

import (
	"fmt"
	"time"

	"github.com/dustin/go-humanize"

	"horcrux/engine/model"
)

// mirrors is how little of the disks was ever left to copy. The guest's writes
// do not wait for the target, so a guest that writes as fast as the mirrors copy
// keeps them from their end.
type mirrors struct {
	least uint64
	at    time.Time // when that was; zero before anything counts
}

// note takes a reading. What comes in the first moments does not count: the
// mirrors of several disks begin one after another.
func (m *mirrors) note(r reading, began time.Time) {
	if r.at.Sub(began) >= stallWindow && (m.at.IsZero() || r.diskLeft < m.least) {
		m.least, m.at = r.diskLeft, r.at
	}
}

// idle is for how long the mirrors have copied and nothing was gained. That
// nothing is copied at all is another matter.
func (m *mirrors) idle(r reading) time.Duration {
	if m.at.IsZero() || r.diskRate == 0 || r.diskLeft == 0 {
		return 0
	}
	return r.at.Sub(m.at)
}

// diskPolicy: post-copy is for memory, and begins when the disks are whole.
func (c *converge) diskPolicy() model.Policy {
	if c.policy == model.PolicyPostCopy {
		return model.PolicyAbort
	}
	return c.policy
}

// disks does what the policy says once the mirrors gain nothing.
func (c *converge) disks(r reading, l limits) []advice {
	c.mirrors.note(r, c.began)
	patience := stallWindow
	if float64(r.diskLeft) <= l.downtime.Seconds()*float64(r.diskRate) {
		patience *= 4 // so little that a lull between two writes is enough
	}
	if c.applied || c.mirrors.idle(r) < patience {
		return nil
	}
	if c.diskPolicy() == model.PolicySuspend {
		c.applied = true
		return []advice{{kind: adviseSuspend, why: diskWhy(r, l)}}
	}
	return []advice{{kind: adviseAbort, why: "the disks do not converge: " + diskWhy(r, l) + "; with the policy suspend the guest is paused for the rest"}}
}

func diskWhy(r reading, l limits) string {
	return fmt.Sprintf("the guest writes to them as fast as they are copied, %s/s%s, and %s are left", humanize.IBytes(r.diskRate), limited(l), humanize.IBytes(r.diskLeft))
}
