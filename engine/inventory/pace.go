package inventory

import "time"

const (
	// idle is the interval for nodes on which nothing is looked at, and of the
	// figures of nodes that are on screen, in a small cluster.
	idle = 2 * time.Second
	// rows is the interval of VMs on screen, in a small cluster; they may lie on as
	// many nodes.
	rows = time.Second
	// resting is the longest interval of figures on screen, and the least of anything
	// while nobody looks; restingGap is between pictures then. Together they are less
	// than the age at which a figure counts as stale: else ageing alone would have the
	// picture drawn again and again, and who looks up would see stale figures.
	resting    = 3 * time.Second
	restingGap = 2500 * time.Millisecond
	// slowest is the longest that no node is left alone.
	slowest = time.Minute
	// fewVMs are read at the intervals given here; with more they grow. Where
	// libvirt tells of changes and nothing else is wanted, fewUnseen are.
	fewVMs    = 5000
	fewUnseen = 800
	// perSecond is how many definitions, and how many guests' addresses, of VMs
	// that nobody looks at are read again in a second, in the whole cluster.
	perSecond = 3
)

// situation is all that the pace of reading depends on.
type situation struct {
	interval time.Duration // of the configuration
	unsaid   bool          // nobody has said what is looked at: all counts as looked at
	all      bool          // the figures of all VMs are wanted
	away     bool          // nobody seems to look
	deaf     bool          // libvirt does not tell of changes
	size     int           // VMs in all
}

// pace is how often what is read.
type pace struct {
	close time.Duration // VMs looked at one by one, and their nodes
	shown time.Duration // VMs on screen
	load  time.Duration // the figures of nodes on screen
	sweep time.Duration // everything else
}

func paceFor(s situation) pace {
	if s.unsaid {
		return pace{s.interval, s.interval, s.interval, s.interval}
	}
	p := pace{
		close: s.interval, shown: max(s.interval, min(stretched(rows, s.size, 2*fewVMs), 2*rows)), load: max(s.interval, min(stretched(idle, s.size, 2*fewVMs), resting)),
		sweep: max(s.interval, stretched(idle, s.size, fewUnseen)),
	}
	if s.all || s.deaf {
		p.sweep = max(s.interval, stretched(idle, s.size, fewVMs))
	}
	if s.away {
		p.close, p.shown, p.load = max(p.close, resting), max(p.shown, resting), max(p.load, resting)
		p.sweep = max(2*p.sweep, resting)
	}
	p.sweep = max(min(p.sweep, slowest), s.interval)
	return p
}

// stretched is an interval in a cluster of this size: the work per second grows
// no further than what some thousand VMs make.
func stretched(d time.Duration, size, few int) time.Duration {
	return d + d*time.Duration(size)/time.Duration(few)
}

// seldom is how old what hardly ever changes may grow of VMs that nobody looks at.
func seldom(d time.Duration, size int) time.Duration {
	return max(d, time.Duration(size)*time.Second/perSecond)
}

// News says how much a change matters to who looks.
type News int

// Unseen news is about nothing on screen; Seen news are figures on screen;
// Urgent news are states, and rows that come and go.
const (
	None   News = 0
	Unseen News = 1
	Seen   News = 2
	Urgent News = 3
)

// Gap is how long after the last picture the next one is due for news of a kind,
// in a cluster of this size: figures are gathered for a second where there are
// many, and what is not on screen for longer. Urgent news do not wait.
func Gap(n News, size int, away bool) time.Duration {
	gap := min(200*time.Millisecond+time.Duration(size)*100*time.Microsecond, time.Second)
	if away {
		gap = restingGap
	}
	switch n {
	case Urgent:
		return 0
	case Seen:
		return gap
	}
	return 5 * gap
}
