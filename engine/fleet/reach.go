package fleet

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"horcrux/engine/transport"
)

// reachedFor is how long the answer of another host's sshd is good for.
const reachedFor = 10 * time.Second

// ReachWithin lets a first packet be lost: the second is sent after 1 s.
const ReachWithin = 3 * time.Second

// Reaches tells whether the host gets through to host:port over TCP: by its sshd
// or, where that opens no connections, by a command there.
func (n *Node) Reaches(ctx context.Context, address string) (transport.Reach, string) {
	client, err := n.loggedIn(ctx)
	if err != nil {
		return transport.ReachUnknown, err.Error()
	}
	soon, cancel := context.WithTimeout(ctx, ReachWithin)
	defer cancel()
	if r, words := client.Reaches(soon, address); r != transport.ReachUnknown || client.Err() != nil {
		return r, words
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return transport.ReachUnknown, err.Error()
	}
	res, err := n.Exec(ctx, []string{"sh", "-c", knockScript, "horcrux", host, port, strconv.Itoa(int(ReachWithin.Seconds()))}, nil)
	if err != nil {
		return transport.ReachUnknown, err.Error()
	}
	return judgeKnock(res.Code, string(res.Stdout))
}

// knockScript opens a TCP connection and does nothing with it.
const knockScript = `LC_ALL=C exec timeout "$3" bash -c 'exec 2>&1 3<>"/dev/tcp/$0/$1"' "$1" "$2"`

// TimedOut is what timeout(1) exits with when it ended the program.
const TimedOut = 124

// judgeKnock reads how the script ended and what bash said, "bash: connect:
// Connection refused" and a line more.
func judgeKnock(code int, said string) (transport.Reach, string) {
	said = strings.ToLower(said)
	switch {
	case code == 0:
		return transport.ReachYes, "it answers"
	case code == TimedOut:
		return transport.ReachNo, "no answer"
	case strings.Contains(said, "connection refused"):
		return transport.ReachRefused, "connections are refused"
	}
	for _, why := range []string{"no route to host", "network is unreachable", "connection timed out"} {
		if strings.Contains(said, why) {
			return transport.ReachNo, why
		}
	}
	return transport.ReachUnknown, "neither sshd nor bash there opens TCP connections"
}

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
