// Preview runs the console over a cluster that does not exist, with moves that
// follow a script. It is a tool for whoever draws the screens; it moves nothing
// and is no part of horcrux.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"horcrux/config"
	"horcrux/engine/event"
	"horcrux/engine/model"
	"horcrux/ui"
	"horcrux/ui/uitest"
)

func main() {
	many := flag.Int("vms", 0, "show that many VMs instead of the usual ones")
	moving := flag.Bool("moving", true, "begin with a move under way")
	light := flag.String("theme", "auto", "auto, dark or light")
	speed := flag.Float64("speed", 1, "how fast moves go")
	fail := flag.Bool("fail", false, "let the application check fail after the switch")
	diverge := flag.Bool("diverge", false, "let memory not converge")
	flag.Parse()

	c := uitest.World(time.Now())
	if *many > 0 {
		c = uitest.Many(time.Now(), *many)
	}
	w := &world{cluster: c, speed: *speed, fail: *fail, diverge: *diverge, stop: map[model.JobID]chan model.Command{}}
	w.fake = uitest.NewFake(c, nil)
	w.fake.PlanFunc = w.plan
	w.fake.StartFunc = w.start
	w.fake.DoFunc = w.do
	go w.live()
	if *moving && *many == 0 {
		p, _ := uitest.Plan(c, time.Now(), model.Request{VM: uitest.UUID(3), From: "node2", To: "node1", Mode: model.ModeLive})
		_, _ = w.start(p)
	}
	cfg := config.Default()
	cfg.UI.Theme = *light
	err := ui.Run(context.Background(), w.fake, ui.Options{
		Config: cfg, In: os.Stdin, Out: os.Stdout, Environ: os.Environ(), Version: "preview",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "preview:", err)
		os.Exit(1)
	}
}

// world moves the numbers and plays the scripts.
type world struct {
	mu            sync.Mutex
	fake          *uitest.Fake
	cluster       model.Cluster
	jobs          []model.Job
	stop          map[model.JobID]chan model.Command
	speed         float64
	fail, diverge bool
}

func (w *world) live() {
	for range time.Tick(500 * time.Millisecond) {
		w.mu.Lock()
		now := time.Now()
		c := w.cluster
		c.At = now
		c.Nodes = append([]model.Node(nil), c.Nodes...)
		c.VMs = append([]*model.VM(nil), c.VMs...)
		for i := range c.Nodes {
			if n := &c.Nodes[i]; n.State == model.NodeUp {
				n.Seen = now
				n.CPUPercent = min(100, max(0, n.CPUPercent+rand.Float64()*6-3))
			}
		}
		for i := range c.VMs {
			if v := *c.VMs[i]; v.Node != "node4" {
				v.Seen = now
				if v.State == model.StateRunning {
					v.CPUPercent = max(0, v.CPUPercent*(0.95+rand.Float64()*0.1))
				}
				c.VMs[i] = &v
			}
		}
		w.cluster = c
		jobs := append([]model.Job{}, w.jobs...)
		w.mu.Unlock()
		w.fake.Push(&c, jobs)
	}
}

func (w *world) plan(r model.Request) (model.Plan, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return uitest.Plan(w.cluster, time.Now(), r)
}

func (w *world) start(p model.Plan) (model.JobID, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	id := model.JobID(fmt.Sprintf("%s-%s-%04x", p.VMName, p.To, rand.IntN(0xffff)))
	w.jobs = append([]model.Job{{
		ID: id, VM: p.VM, VMName: p.VMName, From: p.From, To: p.To, Mode: p.Mode, State: model.JobStarting,
		Started: time.Now(), By: "root from 10.0.0.7", Plan: &p,
	}}, w.jobs...)
	for i := range w.cluster.VMs {
		if w.cluster.VMs[i].UUID == p.VM {
			w.cluster.VMs[i].Job = id
		}
	}
	w.stop[id] = make(chan model.Command, 4)
	go w.play(id, p)
	return id, nil
}

func (w *world) do(id model.JobID, c model.Command) error {
	w.stop[id] <- c
	return nil
}

func (w *world) play(id model.JobID, p model.Plan) {
	from, to := string(p.From), string(p.To)
	s := uitest.NewScript(time.Now()).Copy(from, to, 1, 1)
	if w.diverge {
		s = uitest.NewScript(time.Now()).Copy(from, to, 1, 0.7)
		for range 120 {
			s.Wait(500 * time.Millisecond).Progress(model.Progress{
				Phase: model.PhaseMemory, DiskTotal: 18 << 30, DiskProcessed: 18 << 30, MemTotal: 4 << 30, MemProcessed: 9 << 30, MemRemaining: 1300 << 20,
				MemRate: 118 << 20, DirtyRate: 140 << 20, Iteration: 7, Throttle: 40, Diverging: "the guest dirties 140 MiB/s, the line carries 118 MiB/s",
			})
		}
	}
	fail := model.CheckID("")
	if w.fail {
		fail = model.CheckApp
	}
	if !w.tell(id, s.Events) {
		w.tell(id, uitest.NewScript(time.Now()).Undo(from, model.AbortedByUser, 6).Events)
		w.release(id, p.From)
		return
	}
	w.tell(id, uitest.NewScript(time.Now()).Switch(from, to, fail).Events)
	w.release(id, p.To)
	for c := range w.stop[id] {
		if c.Kind == model.CommandConfirm {
			w.tell(id, uitest.NewScript(time.Now()).Confirm(from, to).Events)
			return
		}
	}
}

func (w *world) release(id model.JobID, node model.NodeName) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.cluster.VMs {
		if v := *w.cluster.VMs[i]; v.Job == id {
			v.Node, v.Job = node, ""
			w.cluster.VMs[i] = &v
		}
	}
}

// tell plays events at their pace; false if it was aborted.
func (w *world) tell(id model.JobID, events []event.Event) bool {
	var last time.Time
	for _, e := range events {
		if !last.IsZero() {
			select {
			case c := <-w.stop[id]:
				if c.Kind == model.CommandAbort || c.Kind == model.CommandRollback {
					return false
				}
			case <-time.After(time.Duration(float64(e.Time.Sub(last)) / w.speed)):
			}
		}
		last = e.Time
		e.Time = time.Now()
		if e.Phase != nil {
			e.Phase.At = e.Time
		}
		if e.Progress != nil {
			e.Progress.At = e.Time
		}
		w.fake.Say(id, e)
		w.mu.Lock()
		for i := range w.jobs {
			if w.jobs[i].ID == id {
				w.jobs[i] = event.Fold(w.jobs[i], e)
			}
		}
		w.mu.Unlock()
	}
	return true
}
