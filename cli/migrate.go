package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

func newPlanCommand(a *app) *cobra.Command {
	var f moveFlags
	cmd := &cobra.Command{
		Use: "plan VM --to NODE", Short: "The pre-flight of a move; changes nothing", Args: exactly("a VM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				r, _, err := f.request(a, e.Snapshot(), args[0])
				if err != nil {
					return err
				}
				p, err := e.Plan(cmd.Context(), r)
				if err != nil {
					return err
				}
				if a.json() {
					p.ActiveXML, p.InactiveXML, p.TargetXML = "", "", ""
					if err := a.printJSON(p); err != nil {
						return err
					}
				} else {
					a.showPlan(p)
				}
				return refusal(p)
			})
		},
	}
	f.add(cmd)
	return a.addOutput(cmd)
}

func refusal(p model.Plan) error {
	b := p.Blocking()
	if b == nil {
		return nil
	}
	return &ExitError{Code: ExitRefused, Err: &engine.Refused{Plan: p, Finding: *b}}
}

func (a *app) showPlan(p model.Plan) {
	fmt.Fprintf(a.out, "%s: %s → %s, %s\n\n", p.VMName, p.From, p.To, p.Mode)
	a.findings(p.Findings)
	if len(p.Disks) > 0 {
		fmt.Fprintln(a.out)
		for _, d := range p.Disks {
			fmt.Fprintf(a.out, "  disk %-5s %-7s %s\n", d.Target, d.Decision, d.Reason)
		}
	}
	fmt.Fprintln(a.out)
	for i, s := range p.Steps {
		fmt.Fprintf(a.out, "  %d. %s\n", i+1, s.Text)
	}
}

func newMigrateCommand(a *app) *cobra.Command {
	var (
		f           moveFlags
		yes, detach bool
		noConfirm   bool
	)
	cmd := &cobra.Command{
		Use: "migrate VM [VM...] --to NODE", Short: "Move one VM or several", Args: someVMs,
		Long: "Move VMs to another node. Each move goes on in a process of its own: ctrl-c ends\n" +
			"the watching, never the move. Moves wait in a queue for their turn, as many at a\n" +
			"time as parallel_per_node allows; horcrux jobs shows it. With --yes nothing is asked,\n" +
			"and what is left on the source is let go once all checks have passed. Of several\n" +
			"moves each has its own result, and the exit code is the worst of them.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if !yes && !a.terminal() {
				return usage("a move must be confirmed, and there is no terminal to ask on: add --yes")
			}
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				var rs []model.Request
				for _, arg := range args {
					r, _, err := f.request(a, e.Snapshot(), arg)
					if err != nil {
						return err
					}
					if slices.ContainsFunc(rs, func(o model.Request) bool { return o.VM == r.VM }) {
						return usage("%s is named twice", arg)
					}
					r.Options.AutoConfirm = yes && !noConfirm
					rs = append(rs, r)
				}
				if len(rs) > 1 {
					return a.migrateAll(cmd.Context(), e, rs, yes, detach)
				}
				return a.migrate(cmd.Context(), e, rs[0], yes, detach)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing, and confirm once all checks have passed")
	cmd.Flags().BoolVar(&noConfirm, "no-confirm", false, "with --yes: keep what is left on the source until horcrux confirm")
	cmd.Flags().BoolVar(&detach, "detach", false, "print the job's name and return at once")
	return a.addOutput(cmd)
}

func (a *app) migrate(ctx context.Context, e *engine.Engine, r model.Request, yes, detach bool) error {
	p, err := e.Plan(ctx, r)
	if err != nil {
		return err
	}
	if err := refusal(p); err != nil {
		if a.json() {
			b := p.Blocking()
			if jerr := a.printLine(refusedLine(p, *b)); jerr != nil {
				return jerr
			}
		}
		return err
	}
	if !yes {
		a.showPlan(p)
		if err := a.ask(fmt.Sprintf("\nMove %s from %s to %s?", p.VMName, p.From, p.To), yes); err != nil {
			return err
		}
	}
	id, err := e.Start(ctx, p)
	if err != nil {
		var refused *engine.Refused
		if errors.As(err, &refused) {
			return &ExitError{Code: ExitRefused, Err: err}
		}
		return err
	}
	if detach {
		fmt.Fprintln(a.out, id)
		return nil
	}
	return a.watch(ctx, e, id, 0)
}

// watch shows a job until its process ends; ctrl-c ends the watching only.
func (a *app) watch(ctx context.Context, e *engine.Engine, id model.JobID, after uint64) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	ch, err := e.FollowFrom(ctx, id, after)
	if err != nil {
		return err
	}
	res, err := a.show(ch)
	if err == nil && ctx.Err() == nil {
		res, err = a.orInterrupted(e, id, "", &sync.Mutex{}, res)
	}
	if err != nil {
		return err
	}
	if ctx.Err() != nil && res == nil {
		return &ExitError{Code: ExitOther, Err: fmt.Errorf("stopped watching; job %s goes on: horcrux job %s shows it, horcrux abort %s stops it", id, id, id)}
	}
	return exitFor(res, id)
}
