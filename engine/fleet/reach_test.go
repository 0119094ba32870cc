package fleet

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"horcrux/engine/transport"
)

// The plans of many VMs knock at a target's sshd once.
func TestReachesSSHOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reached
		knocks, answer := 0, transport.ReachUnknown
		knock := func() (transport.Reach, string) { knocks++; return answer, "" }
		for range 3 {
			r.ask("b:22", knock)
		}
		if knocks != 3 {
			t.Errorf("what was not found out was asked for %d times", knocks)
		}
		knocks, answer = 0, transport.ReachYes
		var all sync.WaitGroup
		for range 40 {
			all.Go(func() {
				if got, _ := r.ask("b:22", knock); got != transport.ReachYes {
					t.Errorf("reach %v", got)
				}
			})
		}
		all.Wait()
		r.ask("c:22", knock)
		if knocks != 2 {
			t.Errorf("%d knocks at two doors", knocks)
		}
		time.Sleep(reachedFor)
		answer = transport.ReachNo
		if got, _ := r.ask("b:22", knock); got != transport.ReachNo || knocks != 3 {
			t.Errorf("after a while: %v, %d knocks", got, knocks)
		}
	})
}

func TestJudgeKnock(t *testing.T) {
	const line = "bash: connect: %\nbash: line 1: /dev/tcp/192.0.2.1/22: %\n"
	for _, c := range []struct {
		code int
		said string
		want transport.Reach
	}{
		{0, "", transport.ReachYes},
		{124, "", transport.ReachNo},
		{1, "Connection refused", transport.ReachRefused},
		{1, "No route to host", transport.ReachNo},
		{1, "Network is unreachable", transport.ReachNo},
		{127, "", transport.ReachUnknown},
		{1, "\x1b[2J", transport.ReachUnknown},
	} {
		if got, words := judgeKnock(c.code, strings.ReplaceAll(line, "%", c.said)); got != c.want || words == "" || strings.Contains(words, "\x1b") {
			t.Errorf("%d %q: %v, %q", c.code, c.said, got, words)
		}
	}
}
