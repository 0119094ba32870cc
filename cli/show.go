package cli

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"horcrux/engine"
	"horcrux/engine/event"
	"horcrux/engine/model"
)

// progressEvery is how often a line of progress is printed.
const progressEvery = 2 * time.Second

// show prints what a job says, as lines for people or as JSON, and returns its
// last result.
func (a *app) show(ch <-chan event.Event) (*model.Result, error) {
	return a.showAs("", &sync.Mutex{}, ch)
}

// showAs is show for one job of several: each line begins with name, and mu
// keeps the lines of different jobs whole.
func (a *app) showAs(name string, mu *sync.Mutex, ch <-chan event.Event) (*model.Result, error) {
	var (
		res  *model.Result
		last time.Time
	)
	for e := range ch {
		if e.Type == event.TypeResult {
			res = e.Result
		}
		if a.json() {
			mu.Lock()
			err := a.printLine(e)
			mu.Unlock()
			if err != nil {
				return res, err
			}
			continue
		}
		if e.Type == event.TypeProgress {
			if e.Time.Sub(last) < progressEvery {
				continue
			}
			last = e.Time
		}
		if line := describe(e); line != "" {
			mu.Lock()
			fmt.Fprintf(a.out, "%s  %s%s\n", e.Time.Local().Format("15:04:05"), name, line)
			mu.Unlock()
		}
	}
	return res, nil
}

// orInterrupted is the result of a job, or, shown as one, what is known of it if
// its process has ended before it did.
func (a *app) orInterrupted(e *engine.Engine, id model.JobID, name string, mu *sync.Mutex, res *model.Result) (*model.Result, error) {
	j, err := e.Job(string(id))
	if err != nil || j.State != model.JobInterrupted || j.Interrupted == nil {
		return res, nil //nolint:nilerr // what it said is shown, whatever its journal is like
	}
	ch := make(chan event.Event, 1)
	ch <- event.Event{Time: time.Now().UTC(), Job: id, Type: event.TypeResult, Result: j.Interrupted}
	close(ch)
	return a.showAs(name, mu, ch)
}

// describe is one event as one line without colour or drawing.
func describe(e event.Event) string {
	switch e.Type {
	case event.TypePhase:
		return describePhase(*e.Phase)
	case event.TypeProgress:
		return describeProgress(*e.Progress)
	case event.TypeCheck:
		return fmt.Sprintf("%-10s %-4s %s: %s", e.Check.Stage, e.Check.Verdict, e.Check.Title, e.Check.Evidence)
	case event.TypeStep:
		return describeStep(*e.Step)
	case event.TypeLog:
		at := ""
		if e.Log.Node != "" {
			at = string(e.Log.Node) + ": "
		}
		return fmt.Sprintf("%-10s %s%s", e.Log.Level, at, e.Log.Text)
	case event.TypeResult:
		return describeResult(*e.Result)
	}
	return ""
}

func describePhase(p model.Phase) string {
	if p.Status == model.PhaseWaiting {
		return ""
	}
	s := fmt.Sprintf("%-10s %s", model.PhaseTitles[p.ID], p.Status)
	if p.ID == model.PhaseQueue && p.Status == model.PhaseActive {
		s = fmt.Sprintf("%-10s place %d", model.PhaseTitles[p.ID], p.Place)
	}
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	return s
}

func describeStep(s model.StepResult) string {
	if s.Status == model.PhaseActive {
		return ""
	}
	line := fmt.Sprintf("%-10s %s: %s", s.Kind, s.Title, s.Status)
	if s.Detail != "" {
		line += ": " + s.Detail
	}
	return line
}

func describeProgress(p model.Progress) string {
	var parts []string
	if p.DiskTotal > 0 {
		parts = append(parts, fmt.Sprintf("disks %s of %s at %s/s", size(p.DiskProcessed), size(p.DiskTotal), size(p.DiskRate)))
	}
	if p.MemTotal > 0 {
		parts = append(parts, fmt.Sprintf("memory %s left of %s at %s/s, dirties %s/s, pass %d",
			size(p.MemRemaining), size(p.MemTotal), size(p.MemRate), size(p.DirtyRate), p.Iteration))
	}
	switch {
	case p.Diverging != "":
		parts = append(parts, "will not converge: "+p.Diverging)
	case p.ETA > 0:
		parts = append(parts, "about "+short(p.ETA)+" to go")
	}
	return fmt.Sprintf("%-10s %s", p.Phase, strings.Join(parts, "; "))
}

func describeResult(r model.Result) string {
	s := fmt.Sprintf("%-10s %s", "result", r.Outcome)
	if r.Owner != "" {
		s += ": the VM is on " + string(r.Owner)
	} else if r.Outcome == model.OutcomePerson || r.Outcome == model.OutcomeFailed {
		s += ": where the VM is cannot be said"
	}
	if r.Downtime > 0 {
		still := fmt.Sprintf("%d ms", r.Downtime.Milliseconds())
		if r.Downtime >= 10*time.Second { // it was shut down
			still = short(r.Downtime)
		}
		s += "; it stood still for " + still
	}
	if r.Proof != "" {
		s += "; " + r.Proof
	}
	if r.Reason != "" {
		s += "\n           cause: " + r.Reason
	}
	if r.Next != "" {
		s += "\n           next: " + r.Next
	}
	return s
}

// refusedLine is the result of a move that its pre-flight forbids.
func refusedLine(p model.Plan, b model.Finding) event.Event {
	next := "nothing was changed"
	if b.Remedy != "" {
		next += "; " + b.Remedy
	}
	return event.Event{Time: time.Now().UTC(), Type: event.TypeResult, Result: &model.Result{
		Outcome: model.OutcomeRefused, Owner: p.From, Reason: b.Title + ": " + b.Detail, Next: next,
	}}
}
