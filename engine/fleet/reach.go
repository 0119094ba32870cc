package fleet

import (
	"context"
	"sync"
	"time"

	"horcrux/engine/transport"
)

// reachedFor is how long the answer of another host's sshd is good for.
const reachedFor = 10 * time.Second

// reached remembers which sshd a host got through to.
type reached struct {
	mu   sync.Mutex
	seen map[string]sight
}

type sight struct {
	at    time.Time
	reach transport.Reach
	words string
}

// ReachesSSH is Reaches for the port of an sshd, which is not knocked at for each
// of many plans: a connection that logs in nowhere counts as an attack there, and
// from OpenSSH 9.8 on a dozen of them at once have it refuse this host for a while.
func (n *Node) ReachesSSH(ctx context.Context, address string) (transport.Reach, string) {
	return n.reached.ask(address, func() (transport.Reach, string) { return n.Reaches(ctx, address) })
}

func (r *reached) ask(address string, knock func() (transport.Reach, string)) (transport.Reach, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s, ok := r.seen[address]; ok && time.Since(s.at) < reachedFor {
		return s.reach, s.words
	}
	reach, words := knock()
	if reach != transport.ReachUnknown {
		if r.seen == nil {
			r.seen = map[string]sight{}
		}
		r.seen[address] = sight{time.Now(), reach, words}
	}
	return reach, words
}
