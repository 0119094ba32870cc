package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/event"
	"horcrux/engine/model"
)

func newRecoverCommand(a *app) *cobra.Command {
	var (
		keep    string
		orphans bool
	)
	cmd := &cobra.Command{
		Use: "recover [ID --keep NODE]", Short: "Settle what a crash left behind", Args: cobra.MaximumNArgs(1),
		Long: "Look at every job whose process is gone before its end, ask both of its nodes, and\n" +
			"settle what is unambiguous; then look at the nodes for moves whose journal is lost.\n" +
			"What only a person can decide is listed with what both nodes say and what each choice\n" +
			"would lose; then the exit code is 5. Jobs that wait for a confirm are left alone.\n\n" +
			"With ID and --keep the choice is carried out: the other side is fenced and seen to be\n" +
			"so first. The VM's name must be typed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if (len(args) == 1) != (keep != "") {
				return usage("a choice needs both: horcrux recover ID --keep NODE")
			}
			if keep != "" && !a.terminal() {
				return usage("--keep wants the VM's name typed, and there is no terminal to type it on")
			}
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				if keep != "" {
					return a.keep(cmd.Context(), e, args[0], model.NodeName(keep), orphans)
				}
				return a.recover(cmd.Context(), e, orphans)
			})
		},
	}
	cmd.Flags().StringVar(&keep, "keep", "", "the node that is to have the VM of job ID")
	cmd.Flags().BoolVar(&orphans, "orphans", false, "the other consoles whose moves are found on the nodes are gone for good")
	return a.addOutput(cmd)
}

func (a *app) recover(ctx context.Context, e *engine.Engine, orphans bool) error {
	var open []string
	n := 0
	err := e.Recover(ctx, orphans, func(ev event.Event) { a.showOne(ev) }, func(s engine.Settled) {
		n++
		switch {
		case s.Err != nil:
			open = append(open, fmt.Sprintf("job %s (%s): %v", s.Job.ID, s.Job.VMName, s.Err))
		case s.Result.Outcome == model.OutcomePerson:
			open = append(open, fmt.Sprintf("job %s (%s): %s", orDash(string(s.Job.ID)), s.Job.VMName, sentence(s.Result)))
		}
		// What was settled by a process has said its result already.
		res := s.Result
		if s.Err != nil {
			res = &model.Result{Outcome: model.OutcomePerson, Reason: s.Err.Error(), Next: "mend the cause, then run: horcrux recover"}
		} else if e.Knows(s.Job.ID) {
			return
		}
		if a.json() && res != nil {
			_ = a.printLine(event.Event{Time: time.Now().UTC(), Job: s.Job.ID, Type: event.TypeResult, Result: res})
		}
	})
	if err != nil {
		return err
	}
	for _, n := range e.Snapshot().Nodes {
		if n.State != model.NodeUp && n.State != model.NodeBusy {
			fmt.Fprintf(a.err, "%s is %s: moves that show only there could not be looked for\n", n.Name, n.State)
		}
	}
	if n == 0 && !a.json() {
		fmt.Fprintln(a.out, "nothing to settle")
	}
	if len(open) == 0 {
		return nil
	}
	msg := "a person must decide:"
	for _, o := range open {
		msg += "\n  " + o
	}
	return &ExitError{Code: ExitPerson, Err: fmt.Errorf("%s", msg)}
}

// keep carries out a person's choice.
func (a *app) keep(ctx context.Context, e *engine.Engine, id string, node model.NodeName, orphans bool) error {
	j, err := e.Job(id)
	lost := err != nil
	if lost {
		for _, o := range e.Orphans(orphans) {
			if string(o.Mark.Job) == id {
				j, err = model.Job{ID: o.Mark.Job, VM: o.VM, VMName: o.Name, From: o.Mark.From, To: o.Mark.To}, nil
			}
		}
	}
	if err != nil {
		return usage("%v: see horcrux jobs and horcrux recover", err)
	}
	if node != j.From && node != j.To {
		return usage("--keep %s: job %s is between %s and %s", node, j.ID, j.From, j.To)
	}
	other := j.From
	if node == j.From {
		other = j.To
	}
	if j.Result != nil && j.Result.Decide != nil {
		fmt.Fprintf(a.err, "What was known when job %s was looked at last:%s\n", j.ID, decisionText(j.Result.Decide))
	}
	fmt.Fprintf(a.err, "%s is kept on %s. Its copy on %s is ended and cannot start any more.\n", j.VMName, node, other)
	if err := a.typed(j.VMName); err != nil {
		return err
	}
	after := e.Last(j.ID)
	if lost {
		after, err = 0, e.KeepOrphan(ctx, j.ID, node, orphans)
	} else {
		err = e.Keep(ctx, j.ID, node)
	}
	if err != nil {
		return err
	}
	return asWished(a.watch(ctx, e, j.ID, after))
}

func (a *app) showOne(e event.Event) {
	ch := make(chan event.Event, 1)
	ch <- e
	close(ch)
	_, _ = a.show(ch)
}
