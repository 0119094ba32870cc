package cli

import (
	"context"
	"fmt"
	"os/signal"
	"slices"
	"sync"
	"syscall"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

// planAtOnce bounds the pre-flights that are made at the same time.
const planAtOnce = 4

func someVMs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage("%s needs a VM: see %s --help", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

// severity orders the exit codes from the one that matters most.
var severity = []int{ExitPerson, ExitOther, ExitDegraded, ExitUndone, ExitRefused, ExitUsage}

// worst is the error with the code that matters most, with all of them said.
func worst(errs []error) error {
	var (
		code = -1
		msg  string
		n    int
	)
	for _, err := range errs {
		if err == nil {
			continue
		}
		c := ExitOther
		if exit, ok := err.(*ExitError); ok {
			c = exit.Code
		}
		if code < 0 || slices.Index(severity, c) < slices.Index(severity, code) {
			code = c
		}
		n++
		msg += "\n  " + err.Error()
	}
	if n == 0 {
		return nil
	}
	return &ExitError{Code: code, Err: fmt.Errorf("%d of %d moves did not end well:%s", n, len(errs), msg)}
}

// migrateAll moves several VMs, each by a job of its own. One that is refused
// keeps none of the others.
func (a *app) migrateAll(ctx context.Context, e *engine.Engine, rs []model.Request, yes, detach bool) error {
	plans, errs := planAll(ctx, e, rs)
	good := 0
	for i, p := range plans {
		if errs[i] == nil {
			errs[i] = refusal(p)
		}
		if errs[i] != nil {
			if b := p.Blocking(); b != nil && a.json() {
				if err := a.printLine(refusedLine(p, *b)); err != nil {
					return err
				}
			}
			continue
		}
		good++
		if !yes {
			a.showPlan(p)
			fmt.Fprintln(a.out)
		}
	}
	if good == 0 {
		return worst(errs)
	}
	if !yes {
		for _, err := range errs {
			if err != nil {
				fmt.Fprintln(a.err, err)
			}
		}
	}
	if err := a.ask(fmt.Sprintf("Move %d of %d VMs to %s?", good, len(rs), rs[0].To), yes); err != nil {
		return err
	}
	ids := make([]model.JobID, len(plans))
	for i, p := range plans {
		if errs[i] != nil {
			continue
		}
		if ids[i], errs[i] = e.Start(ctx, p); errs[i] == nil && detach {
			fmt.Fprintln(a.out, ids[i])
		}
	}
	if !detach {
		a.watchAll(ctx, e, plans, ids, errs)
	}
	return worst(errs)
}

func planAll(ctx context.Context, e *engine.Engine, rs []model.Request) ([]model.Plan, []error) {
	plans, errs := make([]model.Plan, len(rs)), make([]error, len(rs))
	slots := make(chan struct{}, planAtOnce)
	var wg sync.WaitGroup
	for i, r := range rs {
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			plans[i], errs[i] = e.Plan(ctx, r)
		}()
	}
	wg.Wait()
	return plans, errs
}

// watchAll shows several jobs until their processes end, and notes how each did.
func (a *app) watchAll(ctx context.Context, e *engine.Engine, plans []model.Plan, ids []model.JobID, errs []error) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	var (
		wg sync.WaitGroup
		mu sync.Mutex
	)
	for i, id := range ids {
		if errs[i] != nil {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			ch, err := e.Follow(ctx, id)
			if err != nil {
				errs[i] = err
				return
			}
			name := plans[i].VMName + ": "
			res, err := a.showAs(name, &mu, ch)
			if err == nil && ctx.Err() == nil {
				res, err = a.orInterrupted(e, id, name, &mu, res)
			}
			switch {
			case err != nil:
				errs[i] = err
			case ctx.Err() != nil && res == nil:
				errs[i] = &ExitError{Code: ExitOther, Err: fmt.Errorf("stopped watching; job %s goes on: horcrux job %s shows it", id, id)}
			default:
				if err := exitFor(res, id); err != nil {
					errs[i] = prefixed(plans[i].VMName, err)
				}
			}
		}()
	}
	wg.Wait()
}

func prefixed(name string, err error) error {
	if exit, ok := err.(*ExitError); ok {
		return &ExitError{Code: exit.Code, Err: fmt.Errorf("%s: %w", name, exit.Err)}
	}
	return fmt.Errorf("%s: %w", name, err)
}
