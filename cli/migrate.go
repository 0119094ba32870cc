package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

// moveFlags are what plan and migrate share.
type moveFlags struct {
	to, mode, bandwidth string
	downtime            time.Duration
	noConverge          bool
}

func (f *moveFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.to, "to", "", "the node to move to")
	cmd.Flags().StringVar(&f.mode, "mode", "", "live, online, offline or block (default: the configuration's)")
	cmd.Flags().StringVar(&f.bandwidth, "bandwidth", "", "limit in MiB/s, 0 for none")
	cmd.Flags().DurationVar(&f.downtime, "max-downtime", 0, "longest pause to aim at, such as 300ms")
	cmd.Flags().BoolVar(&f.noConverge, "no-auto-converge", false, "never throttle the guest")
}

// request turns arguments into a request for a VM that exists.
func (f *moveFlags) request(a *app, c model.Cluster, vmArg string) (model.Request, model.VM, error) {
	cfg, err := a.load()
	if err != nil {
		return model.Request{}, model.VM{}, err
	}
	vm, err := findVM(c, vmArg)
	if err != nil {
		return model.Request{}, vm, err
	}
	to, err := findNode(c, f.to)
	if err != nil {
		return model.Request{}, vm, err
	}
	r := model.Request{VM: vm.UUID, From: vm.Node, To: to, Mode: model.Mode(cfg.Migration.Mode), Options: model.Options{
		Bandwidth: cfg.Migration.Bandwidth, MaxDowntime: cfg.Migration.MaxDowntime, AutoConverge: cfg.Migration.AutoConverge && !f.noConverge,
	}}
	if f.mode != "" {
		r.Mode = model.Mode(f.mode)
	}
	if f.downtime > 0 {
		r.Options.MaxDowntime = f.downtime
	}
	if f.bandwidth != "" {
		if r.Options.Bandwidth, err = strconv.ParseUint(f.bandwidth, 10, 40); err != nil {
			return r, vm, usage("--bandwidth %q: want a whole number of MiB/s", f.bandwidth)
		}
	}
	return r, vm, nil
}

// check refuses what is wrong before any node is asked.
func (f *moveFlags) check() error {
	switch {
	case f.to == "":
		return usage("say where to: --to NODE")
	case f.mode != "" && !model.Mode(f.mode).Valid():
		return usage("--mode %q: want live, online, offline or block", f.mode)
	case f.downtime < 0:
		return usage("--max-downtime %s: want a time above zero", f.downtime)
	}
	return nil
}

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
					p.ActiveXML, p.InactiveXML = "", ""
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
		Use: "migrate VM --to NODE", Short: "Move a VM", Args: exactly("a VM"),
		Long: "Move a VM to another node. The move goes on in a process of its own: ctrl-c ends\n" +
			"the watching, never the move. With --yes nothing is asked, and what is left on the\n" +
			"source is let go once all checks have passed.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if !yes && !a.terminal() {
				return usage("a move must be confirmed, and there is no terminal to ask on: add --yes")
			}
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				r, _, err := f.request(a, e.Snapshot(), args[0])
				if err != nil {
					return err
				}
				r.Options.AutoConfirm = yes && !noConfirm
				return a.migrate(cmd.Context(), e, r, yes, detach)
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
	if err != nil {
		return err
	}
	if ctx.Err() != nil && res == nil {
		return &ExitError{Code: ExitOther, Err: fmt.Errorf("stopped watching; job %s goes on: horcrux job %s shows it, horcrux abort %s stops it", id, id, id)}
	}
	return exitFor(res, id)
}
