package fleet

import (
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
