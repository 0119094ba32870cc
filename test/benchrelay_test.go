//go:build lab && bench

package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"horcrux/lab"
)

// TestBenchRelay: the mirror of a disk through this machine against a byte pipe of
// ssh through it, of the same image.
func TestBenchRelay(t *testing.T) {
	s := testify(t, lab.VMSpec{Name: "brelay", Disks: []lab.DiskSpec{{SizeMiB: 640, FillMiB: 512}}})
	stopAfter(t, s.Name)
	c := newConsole(t)
	mib := func(d time.Duration) float64 { return 512 / d.Seconds() }
	measure := func(what string) {
		var ours, pipe []time.Duration
		for range pairs() {
			from, to := ends(t, s)
			pipe = append(pipe, byPipe(t, s, from, to))
			id, o := c.move(s, to, "--path", "relay")
			if o.code != 0 {
				t.Fatalf("exit code %d: %s%s", o.code, o.out, o.errOut)
			}
			ours = append(ours, c.phaseTook(id, "disks"))
		}
		figure(t, what, "%s (%.0f MiB/s), a pipe of ssh through it %s (%.0f MiB/s), rate against it %.2f",
			median(ours).Round(10*time.Millisecond), mib(median(ours)), median(pipe).Round(10*time.Millisecond), mib(median(pipe)), ratio(median(pipe), median(ours)))
	}
	measure("mirror of 512 MiB through this machine")
	for _, n := range the.Nodes {
		forwarding(t, n, "no")
	}
	measure("the same, where sshd forwards no sockets")
}

// byPipe carries the image as an admin would between hosts that do not reach
// each other.
func byPipe(t *testing.T, s *subject, from, to string) time.Duration {
	t.Helper()
	ssh := func(node string) string {
		return fmt.Sprintf("ssh -i %s -o UserKnownHostsFile=%s root@%s", the.KeyPath(), the.KnownHostsPath(), the.Node(node).Address)
	}
	image := s.Disks[0].Path()
	cmd := exec.Command("bash", "-o", "pipefail", "-c", ssh(from)+" cat "+image+" | "+ssh(to)+" 'cat >"+image+".pipe'")
	began := time.Now()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ssh: %v: %s", err, out)
	}
	took := time.Since(began)
	if _, err := the.Node(to).Exec(t.Context(), "rm", "-f", image+".pipe"); err != nil {
		t.Fatal(err)
	}
	return took
}

// phaseTook is how long a job was in a phase.
func (c *console) phaseTook(id, phase string) time.Duration {
	c.t.Helper()
	b, err := os.ReadFile(filepath.Join(c.state, "horcrux", "jobs", id, "events.jsonl"))
	if err != nil {
		c.t.Fatal(err)
	}
	var began time.Time
	for line := range strings.Lines(string(b)) {
		var e struct {
			Time                time.Time
			Type, Phase, Status string
		}
		if json.Unmarshal([]byte(line), &e) != nil || e.Type != "phase" || e.Phase != phase {
			continue
		}
		if e.Status == "active" {
			began = e.Time
		} else if !began.IsZero() {
			return e.Time.Sub(began)
		}
	}
	c.t.Fatalf("job %s was never through %s", id, phase)
	return 0
}
