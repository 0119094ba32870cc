package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/event"
	"horcrux/engine/model"
)

// withEngine runs do without waiting for any node.
func (a *app) withEngine(do func(*engine.Engine) error) error {
	e, err := a.open()
	if err != nil {
		return err
	}
	defer e.Close()
	return do(e)
}

func newJobsCommand(a *app) *cobra.Command {
	return a.addOutput(&cobra.Command{
		Use: "jobs", Short: "What runs and what ran", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withEngine(func(e *engine.Engine) error {
				js, err := e.Jobs(cmd.Context())
				if err != nil {
					return err
				}
				if a.json() {
					if js == nil {
						js = []model.Job{}
					}
					return a.printJSON(js)
				}
				var rows [][]string
				for _, j := range js {
					rows = append(rows, jobRow(j))
				}
				a.table([]string{"JOB", "VM", "FROM", "TO", "MODE", "STATE", "PHASE", "STARTED", "BY"}, rows)
				return nil
			})
		},
	})
}

func jobRow(j model.Job) []string {
	phase := "-"
	if !j.State.Ended() {
		if p := j.Current(); p.ID != "" {
			phase = model.PhaseTitles[p.ID]
		}
	}
	return []string{
		string(j.ID), j.VMName, string(j.From), string(j.To), string(j.Mode), string(j.State), phase,
		j.Started.Local().Format("2006-01-02 15:04:05"), orDash(j.By),
	}
}

func newJobCommand(a *app) *cobra.Command {
	var noFollow bool
	cmd := &cobra.Command{
		Use: "job ID", Short: "Show one job, and follow it while it runs", Args: exactly("a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEngine(func(e *engine.Engine) error {
				j, err := a.findJob(e, args[0])
				if err != nil {
					return err
				}
				if a.json() && noFollow {
					return a.printJSON(j)
				}
				if !a.json() {
					fmt.Fprintf(a.out, "job %s: %s, %s → %s, %s, %s, started %s by %s\n", j.ID, j.VMName, j.From, j.To, j.Mode, j.State,
						j.Started.Local().Format("2006-01-02 15:04:05"), orDash(j.By))
				}
				ch, err := e.Follow(cmd.Context(), j.ID)
				if err != nil {
					return err
				}
				_, err = a.show(ch)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&noFollow, "summary", false, "with -o json: one object instead of the stream")
	return a.addOutput(cmd)
}

func (a *app) findJob(e *engine.Engine, prefix string) (model.Job, error) {
	j, err := e.Job(prefix)
	if err != nil {
		return j, usage("%v: see horcrux jobs", err)
	}
	return j, nil
}

func newAbortCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "abort ID", Short: "Stop a move before its switch and undo it", Args: exactly("a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEngine(func(e *engine.Engine) error {
				j, err := a.findJob(e, args[0])
				if err != nil {
					return err
				}
				if err := a.ask(fmt.Sprintf("Stop the move of %s and leave it on %s?", j.VMName, j.From), yes); err != nil {
					return err
				}
				after := e.Last(j.ID)
				if err := e.Do(cmd.Context(), j.ID, model.Command{Kind: model.CommandAbort}); err != nil {
					return err
				}
				err = a.watch(cmd.Context(), e, j.ID, after)
				if exit, ok := err.(*ExitError); ok && exit.Code == ExitUndone {
					return nil // that is what was asked for
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	return a.addOutput(cmd)
}

func newConfirmCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "confirm ID", Short: "Let go of what a finished move left on its source", Args: exactly("a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withEngine(func(e *engine.Engine) error {
				j, err := a.findJob(e, args[0])
				if err != nil {
					return err
				}
				if err := a.ask(fmt.Sprintf("Delete what is left of %s on %s? %s has the VM.", j.VMName, j.From, j.To), yes); err != nil {
					return err
				}
				after := e.Last(j.ID)
				if err := e.Confirm(cmd.Context(), j.ID); err != nil {
					return err
				}
				return a.watch(cmd.Context(), e, j.ID, after)
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	return a.addOutput(cmd)
}

func newRollbackCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "rollback ID", Short: "Take a move back: undo it, or send the VM home while it runs", Args: exactly("a job"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				j, err := a.findJob(e, args[0])
				if err != nil {
					return err
				}
				question := fmt.Sprintf("Undo the move of %s and leave it on %s?", j.VMName, j.From)
				if j.Switched {
					question = fmt.Sprintf("Send %s back from %s to %s while it runs?", j.VMName, j.To, j.From)
				}
				if err := a.ask(question, yes); err != nil {
					return err
				}
				after := e.Last(j.ID)
				id, err := e.Rollback(cmd.Context(), j.ID)
				if r, ok := isRefused(err); ok {
					return &ExitError{Code: ExitRefused, Err: r}
				}
				if err != nil {
					return err
				}
				if id != j.ID {
					return a.watch(cmd.Context(), e, id, 0)
				}
				err = a.watch(cmd.Context(), e, id, after)
				if exit, ok := err.(*ExitError); ok && exit.Code == ExitUndone {
					return nil // that is what was asked for
				}
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	return a.addOutput(cmd)
}

func newRecoverCommand(a *app) *cobra.Command {
	return a.addOutput(&cobra.Command{
		Use: "recover", Short: "Settle what a crash left behind", Args: exactly(),
		Long: "Look at every job whose process is gone before its end, ask both of its nodes, and\n" +
			"settle what is unambiguous. What only a person can decide is listed; then the exit\n" +
			"code is 5. Jobs that wait for a confirm are left alone.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				var open []string
				n := 0
				err := e.Recover(cmd.Context(), func(ev event.Event) { a.showOne(ev) }, func(s engine.Settled) {
					n++
					switch {
					case s.Err != nil:
						open = append(open, fmt.Sprintf("job %s (%s): %v", s.Job.ID, s.Job.VMName, s.Err))
					case s.Result.Outcome == model.OutcomePerson:
						open = append(open, fmt.Sprintf("job %s (%s): %s", s.Job.ID, s.Job.VMName, sentence(s.Result)))
					}
				})
				if err != nil {
					return err
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
			})
		},
	})
}

func (a *app) showOne(e event.Event) {
	ch := make(chan event.Event, 1)
	ch <- e
	close(ch)
	_, _ = a.show(ch)
}
