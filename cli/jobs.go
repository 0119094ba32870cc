package cli

import (
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

// withEngine runs do without waiting for any node.
func (a *app) withEngine(do func(*engine.Engine) error) error {
	return a.withOpen(nil, do)
}

// withJournals runs do with an engine that connects to no node. A login that is
// dropped half way, as it would be by a command that is done at once, counts as an
// attack for sshd, which from OpenSSH 9.8 on refuses for minutes who makes many.
func (a *app) withJournals(do func(*engine.Engine) error) error {
	return a.withOpen(make(chan struct{}), do)
}

func (a *app) withOpen(begin <-chan struct{}, do func(*engine.Engine) error) error {
	e, err := a.open(begin)
	if err != nil {
		return err
	}
	defer e.Close()
	return do(e)
}

func newJobsCommand(a *app) *cobra.Command {
	var everywhere bool
	cmd := &cobra.Command{
		Use: "jobs", Short: "What runs and what ran", Args: exactly(),
		Long: "What runs, waits and ran of this console's moves. With --everywhere also the moves of other\nconsoles that the nodes tell of: those that wait or are under way, by the marks on their VMs.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			with := a.withJournals
			if everywhere {
				with = func(do func(*engine.Engine) error) error { return a.withCluster(cmd.Context(), do) }
			}
			return with(func(e *engine.Engine) error {
				js, err := e.Jobs(cmd.Context())
				if err != nil {
					return err
				}
				if everywhere {
					js = append(e.Snapshot().Elsewhere(), js...)
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
	}
	cmd.Flags().BoolVar(&everywhere, "everywhere", false, "also what other consoles move, by their marks on the VMs")
	return a.addOutput(cmd)
}

func jobRow(j model.Job) []string {
	phase := "-"
	if j.Elsewhere {
		phase = "of another console"
	} else if j.State == model.JobQueued {
		phase = fmt.Sprintf("place %d: %s", j.Place, j.Waits)
	} else if !j.State.Ended() {
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
			return a.withJournals(func(e *engine.Engine) error {
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
				res, err := a.show(ch)
				if err == nil && cmd.Context().Err() == nil {
					_, err = a.orInterrupted(e, j.ID, "", &sync.Mutex{}, res)
				}
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
			return a.withJournals(func(e *engine.Engine) error {
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
				// Undone, or refused out of the queue, is what was asked for.
				if exit, ok := err.(*ExitError); ok && (exit.Code == ExitUndone || exit.Code == ExitRefused) {
					return nil
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
				left, has := j.From, j.To
				if j.Result != nil && j.Result.Owner == j.From {
					left, has = j.To, j.From // the source was restored
				}
				if err := a.ask(fmt.Sprintf("Delete what is left of %s on %s? %s has the VM.", j.VMName, left, has), yes); err != nil {
					return err
				}
				after := e.Last(j.ID)
				if err := e.Confirm(cmd.Context(), j.ID); err != nil {
					return err
				}
				return asWished(a.watch(cmd.Context(), e, j.ID, after))
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	return a.addOutput(cmd)
}

// rollbackQuestion says what a rollback would be, and what the VM is meanwhile.
func rollbackQuestion(j model.Job, vms []*model.VM) string {
	if !j.Switched {
		return fmt.Sprintf("Undo the move of %s and leave it on %s?", j.VMName, j.From)
	}
	how := "as it is"
	for _, v := range vms {
		if v.UUID != j.VM || v.Node != j.To {
			continue
		}
		switch v.State {
		case model.StateRunning, model.StateBlocked:
			how = "while it runs"
		case model.StatePaused:
			how = "paused, as it is"
		case model.StateShutoff:
			how = "off, as it is"
		}
	}
	return fmt.Sprintf("Send %s back from %s to %s %s?", j.VMName, j.To, j.From, how)
}

func newRollbackCommand(a *app) *cobra.Command {
	var yes, restore bool
	cmd := &cobra.Command{
		Use: "rollback ID", Short: "Take a move back: undo it, or send the VM home", Args: exactly("a job"),
		Long: "Take a move back. Before its switch it is undone; after it the VM is sent home, running\n" +
			"if it runs. Neither loses anything. If the guest has died on the target,\n" +
			"--restore-source boots the source's frozen disks: what was written since the switch\n" +
			"is lost, the target is fenced first, and the VM's name must be typed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if restore && !a.terminal() {
				return usage("--restore-source wants the VM's name typed, and there is no terminal to type it on")
			}
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				j, err := a.findJob(e, args[0])
				if err != nil {
					return err
				}
				if restore {
					return a.restore(cmd.Context(), e, j)
				}
				if err := a.ask(rollbackQuestion(j, e.Snapshot().VMs), yes); err != nil {
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
				return asWished(a.watch(cmd.Context(), e, id, after))
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing")
	cmd.Flags().BoolVar(&restore, "restore-source", false, "the guest is dead on the target: boot the source's frozen disks, and lose what was written since")
	return a.addOutput(cmd)
}
