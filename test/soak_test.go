//go:build lab && bench

package test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"horcrux/lab"
)

// TestSoak moves three guests to and fro, HORCRUX_SOAK times each (50), and looks
// after each move whether the guest still is in the boot in which it was. With
// HORCRUX_SOAK_BY=virsh it is virsh that moves them, which tells a fault of QEMU
// from one of ours.
func TestSoak(t *testing.T) {
	n := 50
	if v := os.Getenv("HORCRUX_SOAK"); v != "" {
		if _, err := fmt.Sscan(v, &n); err != nil {
			t.Fatal(err)
		}
	}
	c := newConsole(t)
	var pool sync.Mutex // libvirt refreshes one pool at a time
	var g sync.WaitGroup
	defer g.Wait()
	for i := range 3 {
		s := testify(t, lab.VMSpec{Name: fmt.Sprintf("soak%d", i), Agent: true, HTTP: true})
		g.Go(func() {
			boot := bootOf(t, s)
			for k := range n {
				from, to := ends(t, s)
				if os.Getenv("HORCRUX_SOAK_BY") == "virsh" {
					pool.Lock()
					precreate(t, s, from, to)
					pool.Unlock()
					byVirsh(t, s, from, to)
				} else {
					c.must(0, "migrate", s.Name, "--to", to, "--yes")
				}
				if now := bootOf(t, s); now != boot {
					t.Errorf("%s, move %d, from %s to %s: another boot%s", s.Name, k, from, to, lastWords(t.Context(), s.Name))
					boot = now
				}
			}
		})
	}
}

// bootOf asks the guest which boot it is in; one that panicked takes 10 s and
// a start until it answers.
func bootOf(t *testing.T, s *subject) (boot string) {
	t.Helper()
	client := &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	until(t, s.Name+" answers", time.Minute, func() bool {
		res, err := client.Get("http://" + s.IP + "/beat")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(res.Body, 200))
		b, _ := lab.ParseBeats(string(body))
		if len(b) == 1 {
			boot = b[0].Boot
		}
		return boot != ""
	})
	return boot
}
