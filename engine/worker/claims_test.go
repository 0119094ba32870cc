package worker

import (
	"strings"
	"testing"
	"time"

	"horcrux/engine/jobs"
	"horcrux/engine/model"
	"horcrux/engine/queue"
	"horcrux/engine/survey"
)

func TestClaimsOfOtherConsoles(t *testing.T) {
	s, err := jobs.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := &claims{p: &process{store: s}}
	now := time.Now()
	claim := func(job, node string, role model.MarkRole, beat uint64, console string) survey.Claim {
		return survey.Claim{Node: model.NodeName(node), VM: model.UUID("vm-" + job), Name: job, Mark: model.Mark{
			Job: model.JobID(job), Role: role, From: "node1", To: "node2", By: "ada@jump", Console: console, Since: now, Beat: beat, Memory: 7,
		}}
	}
	counted := func() string {
		var out []string
		for _, e := range c.others {
			state := "waits"
			if !e.Admitted.IsZero() {
				state = "runs"
			}
			out = append(out, string(e.Job)+" "+state+" "+string(e.From)+">"+string(e.To))
		}
		return strings.Join(out, "; ")
	}
	found := func(beat uint64) []survey.Claim {
		return []survey.Claim{
			claim("own", "node1", model.RoleMoving, 0, s.Console()),
			claim("a", "node1", model.RoleMoving, 0, "them"),
			claim("a", "node2", model.RoleMoving, 0, "them"),
			claim("b", "node1", model.RoleWaiting, beat, "them"),
			claim("c", "n1", model.RoleWaiting, 5, "them"),
		}
	}
	c.take(found(1), now)
	all := "a runs node1>node2; b waits node1>node2; c waits n1>node2"
	if got := counted(); got != all {
		t.Error(got)
	}
	if e := c.others[0]; e.By != "ada@jump" || e.Memory != 7 {
		t.Errorf("%+v", e)
	}
	c.take(found(2), now.Add(claimLasts/2))
	if got := counted(); got != all {
		t.Error(got)
	}
	// One that is not counted up for too long has lost its console; one that runs
	// is there until somebody settles it.
	c.take(found(3), now.Add(claimLasts+time.Second))
	if got := counted(); got != "a runs node1>node2; b waits node1>node2" {
		t.Error(got)
	}
	own := []queue.Entry{{Job: "b"}, {Job: "x"}}
	if n := len(c.all(own)); n != 3 {
		t.Errorf("%d moves, want b once, x and a", n)
	}
}

func TestWhenTheNodesAreAsked(t *testing.T) {
	now := time.Now()
	yes, no := queue.Verdict{Begin: true}, queue.Verdict{}
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, tt := range map[string]struct {
		looked, written time.Time
		alone, with     queue.Verdict
		want            bool
	}{
		"before the first place is taken":          {alone: yes, with: yes, want: true},
		"just looked":                              {looked: ago(time.Second), alone: yes, with: yes},
		"looked too long ago to take a place":      {looked: ago(lookFor + time.Second), alone: yes, with: yes, want: true},
		"another console keeps it waiting":         {looked: ago(lookFor + time.Second), alone: yes, with: no},
		"another console keeps it waiting, again":  {looked: ago(lookEvery + time.Second), alone: yes, with: no, want: true},
		"it begins to wait":                        {alone: no, with: no, want: true},
		"it waits, and its mark is new":            {looked: ago(time.Minute), written: ago(time.Second), alone: no, with: no},
		"it waits, and its mark has to be renewed": {looked: ago(time.Minute), written: ago(claimEvery), alone: no, with: no, want: true},
		"its mark could not be written just now":   {looked: ago(time.Second), alone: no, with: no},
	} {
		c := claims{looked: tt.looked, written: tt.written}
		if got := c.due(tt.alone, tt.with, now); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
