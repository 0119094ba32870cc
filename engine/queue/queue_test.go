package queue

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

var t0 = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// parse reads "a 1>2 run", one entry a field list: job, way, and what else: run
// (admitted), here (arrived), mN (memory), fN (free), vX (the VM).
func parse(t *testing.T, text string) []Entry {
	t.Helper()
	var all []Entry
	for i, line := range strings.Split(strings.TrimSpace(text), ";") {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		e := Entry{Job: model.JobID(f[0]), VM: model.UUID("vm-" + f[0]), Name: f[0], Enqueued: t0.Add(time.Duration(i) * time.Second)}
		from, to, _ := strings.Cut(f[1], ">")
		e.From, e.To = model.NodeName("node"+from), model.NodeName("node"+to)
		for _, w := range f[2:] {
			var n uint64
			_, _ = fmt.Sscanf(w[1:], "%d", &n)
			switch {
			case w == "run":
				e.Admitted = e.Enqueued
			case w == "theirs":
				e.By = "ada@jump"
			case w == "here":
				e.Arrived = true
			case w[0] == 'm':
				e.Memory = n << 20
			case w[0] == 'f':
				e.Free = n << 20
			case w[0] == 'v':
				e.VM = model.UUID(w)
			}
		}
		all = append(all, e)
	}
	return all
}

func TestVerdicts(t *testing.T) {
	tests := []struct {
		name, list, begin string
		why               map[string]string
	}{
		{"nobody else", "a 1>2", "a", nil},
		{"two out at once", "a 1>2; b 1>3; c 1>2", "a b", map[string]string{"c": "2 moves out of node1 already (parallel_per_node = 2)"}},
		{"two in at once", "a 1>3; b 2>3; c 4>3", "a b", map[string]string{"c": "2 moves into node3 already (parallel_per_node = 2)"}},
		{"one of another console", "a 1>2 run theirs; b 1>3 run; c 1>2", "", map[string]string{"c": "2 moves out of node1 already (parallel_per_node = 2), by another console: job a of ada@jump"}},
		{"many of other consoles", "a 1>2 run; b 1>3 run; d 1>2 theirs; e 1>2 theirs; f 1>2 theirs; g 4>2", "", map[string]string{"g": "3 moves are waiting before it to go into node2 (parallel_per_node = 2), by other consoles: job d of ada@jump, job e of ada@jump and 1 more"}},
		{"one VM, two consoles", "a 1>2 theirs vx; b 1>3 vx", "a", map[string]string{"b": "job a of ada@jump moves a already"}},
		{"out and in are counted apart", "a 1>2 run; b 1>3 run; c 2>1; d 3>1", "c d", nil},
		{"skips ahead to other nodes", "a 1>2 run; b 1>3 run; c 1>2; d 3>4", "d", map[string]string{"c": "out of node1"}},
		{"leaves a place for who waits before it", "a 1>4 run; b 1>5 run; x 3>2 run; c 1>2; d 3>2", "", map[string]string{"d": "1 move is waiting before it to go into node2"}},
		{"takes a place that nobody needs", "a 1>4 run; b 1>5 run; c 1>2; d 3>2", "d", nil},
		{"does not take the last place of two", "a 1>4 run; b 1>5 run; c 1>2; e 1>2; d 3>2", "", map[string]string{"d": "2 moves are waiting before it"}},
		{"one that ended frees its place", "b 1>3 run; c 1>2", "c", nil},
		{"one job per VM, running", "a 1>2 run vx; b 1>3 vx", "", map[string]string{"b": "job a moves a already"}},
		{"one job per VM, waiting", "y 1>2 run; z 1>3 run; a 1>2 vx; b 3>4 vx", "", map[string]string{"b": "job a moves a already"}},
		{"memory fits", "a 1>2 run m100; b 3>2 m100 f200", "b", nil},
		{"memory kept for one that runs", "a 1>2 run m100; b 3>2 m100 f199", "", map[string]string{"b": "node2 had 199 MiB for VMs, and 100 MiB of that are kept"}},
		{"memory of one that is there counts no more", "a 1>2 run here m100; b 3>2 m100 f199", "b", nil},
		{"memory kept for one that waits", "a 1>4 run; b 1>5 run; c 1>2 m100 f150; d 3>2 m100 f150", "", map[string]string{"d": "kept for moves before it"}},
		{"too big by itself is for the pre-flight to say", "b 3>2 m300 f200", "b", nil},
		{"all begin that can", "a 1>2; b 2>3; c 3>1; d 1>3; e 2>1; f 3>2; g 1>2", "a b c d e f", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			all := parse(t, tt.list)
			vs := Verdicts(all, 2)
			var got []string
			for _, e := range all {
				if v, ok := vs[e.Job]; ok && v.Begin {
					got = append(got, string(e.Job))
				}
			}
			if strings.Join(got, " ") != tt.begin {
				t.Errorf("begin %v, want %s: %+v", got, tt.begin, vs)
			}
			for job, why := range tt.why {
				if v := vs[model.JobID(job)]; !strings.Contains(v.Why, why) || v.Place == 0 || v.Of < v.Place {
					t.Errorf("%s: %+v, want %q", job, v, why)
				}
			}
		})
	}
}

// Whatever comes later, the head of the queue begins once those before it end.
func TestNobodyStarves(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		var all []Entry
		n := 0
		add := func() Entry {
			from := r.IntN(4)
			e := Entry{Job: model.JobID(fmt.Sprintf("%05d", n)), VM: model.UUID(fmt.Sprint(n)), From: model.NodeName(fmt.Sprint(from)), To: model.NodeName(fmt.Sprint((from + 1 + r.IntN(3)) % 4)), Enqueued: t0.Add(time.Duration(n))}
			n++
			all = append(all, e)
			return e
		}
		for range 12 {
			add()
		}
		victim := add()
		limit := 1 + r.IntN(3)
		began := false
		for tick := range 400 {
			for job, v := range Verdicts(all, limit) {
				if !v.Begin {
					continue
				}
				for i := range all {
					if all[i].Job == job {
						all[i].Admitted = t0.Add(time.Duration(tick) * time.Hour)
						began = began || job == victim.Job
					}
				}
			}
			check(t, all, limit)
			if began {
				break
			}
			// One of those under way ends; two more come, later than all.
			for i, e := range all {
				if !e.waits() && r.IntN(3) == 0 {
					all = append(all[:i], all[i+1:]...)
					break
				}
			}
			add()
			add()
		}
		if !began {
			t.Fatalf("round %d: a move never began", round)
		}
	}
}

func check(t *testing.T, all []Entry, limit int) {
	t.Helper()
	used := map[door]int{}
	for _, e := range all {
		if e.waits() {
			continue
		}
		for _, d := range doors(e) {
			if used[d]++; used[d] > limit {
				t.Fatalf("%d moves %s, the limit is %d", used[d], d, limit)
			}
		}
	}
}

func TestPromised(t *testing.T) {
	all := parse(t, "a 1>2 run here m1; b 1>2 run m2; c 1>2 m4; d 3>2 m8; e 3>1 m16; f 3>2 m32")
	for own, want := range map[model.JobID]uint64{"": 2 + 4 + 8 + 32, "c": 2, "d": 2 + 4, "b": 0, "f": 2 + 4 + 8} {
		if got, _ := Promised(all, "node2", own); got != want<<20 {
			t.Errorf("for %q: %d MiB, want %d", own, got>>20, want)
		}
	}
}
