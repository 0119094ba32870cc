package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

// powerWord is one word of horcrux power.
type powerWord struct {
	word string
	act  model.PowerAct
	// question is put before it is done; empty for what needs none. VM and node
	// are filled in.
	question string
	done     string // what can be said once the host has answered
}

// forcedOff is the one act that wants the VM's name typed.
const forcedOff = "off"

var powerWords = []powerWord{
	{"start", model.PowerStart, "", "started"},
	{"shutdown", model.PowerShutdown, "Ask the guest of %s on %s to shut down?", "the guest was asked to shut down; whether and when it does is up to the guest"},
	{"reboot", model.PowerReboot, "Ask the guest of %s on %s to reboot?", "the guest was asked to reboot; whether and when it does is up to the guest"},
	{forcedOff, model.PowerForceOff, "", "forced off"},
	{"pause", model.PowerPause, "Pause %s on %s? Connections to it may time out.", "paused"},
	{"resume", model.PowerResume, "", "resumed"},
	{"autostart-on", model.PowerAutostartOn, "", "starts when its node boots"},
	{"autostart-off", model.PowerAutostartOff, "", "stays off when its node boots"},
}

// findPower reads one word of horcrux power.
func findPower(word string) (powerWord, error) {
	i := slices.IndexFunc(powerWords, func(p powerWord) bool { return p.word == word })
	if i >= 0 {
		return powerWords[i], nil
	}
	var all []string
	for _, p := range powerWords {
		all = append(all, p.word)
	}
	return powerWord{}, usage("cannot do %q to a VM: want %s", word, strings.Join(all, ", "))
}

func newPowerCommand(a *app) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use: "power VM ACT", Short: "Start, shut down, reboot, pause, resume or force off a VM", Args: exactly("a VM", "what to do to it"),
		Long: "Do one act on the life cycle of a VM, where it is:\n\n" +
			"  start                         boot it\n" +
			"  shutdown, reboot              ask the guest to; it may take its time, or not do it\n" +
			"  pause, resume                 stop the vCPUs and keep the memory; go on\n" +
			"  autostart-on, autostart-off   start it when its node boots, or do not\n" +
			"  off                           pull the plug: what the guest has not written is lost\n\n" +
			"shutdown, reboot and pause ask first, and --yes answers. off wants the VM's name typed\n" +
			"on a terminal, and --yes does not answer that. A VM that a move has hold of is refused.",
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := findPower(args[1])
			if err != nil {
				return err
			}
			if err := a.canAnswer(p, yes); err != nil {
				return err
			}
			return a.onVM(cmd.Context(), args[0], func(e *engine.Engine, vm model.VM) error {
				return a.power(cmd.Context(), e, vm, p, yes)
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "ask nothing, but for the name that off wants typed")
	return cmd
}

// canAnswer refuses what will have to be asked where nobody can be asked, before
// any node is.
func (a *app) canAnswer(p powerWord, yes bool) error {
	switch {
	case a.terminal():
	case p.word == forcedOff:
		return usage("off wants the VM's name typed, and there is no terminal to type it on")
	case p.question != "" && !yes:
		return usage("%s must be confirmed, and there is no terminal to ask on: add --yes", p.word)
	}
	return nil
}

func (a *app) power(ctx context.Context, e *engine.Engine, vm model.VM, p powerWord, yes bool) error {
	switch {
	case p.word == forcedOff:
		fmt.Fprintf(a.err, "The process of %s on %s is ended at once, as pulling the plug does: what the guest has not written to its disks is lost.\n", vm.Name, vm.Node)
		if err := a.typed(vm.Name); err != nil {
			return err
		}
	case p.question != "":
		if err := a.ask(fmt.Sprintf(p.question, vm.Name, vm.Node), yes); err != nil {
			return err
		}
	}
	if err := acted(ctx, e, func() error { return e.Power(ctx, vm.UUID, vm.Node, p.act) }); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s on %s: %s\n", vm.Name, vm.Node, p.done)
	return nil
}

// onVM runs do with a VM as the nodes show it now.
func (a *app) onVM(ctx context.Context, what string, do func(*engine.Engine, model.VM) error) error {
	return a.withCluster(ctx, func(e *engine.Engine) error {
		vm, err := findVM(e.Snapshot(), what)
		if err != nil {
			return err
		}
		return do(e, vm)
	})
}

// acted does an act on a VM with the jobs as they are now: while a question was
// answered, a move may have taken hold of it. An act that would get in the way
// of one has the exit code of what was refused.
func acted(ctx context.Context, e *engine.Engine, act func() error) error {
	if _, err := e.Jobs(ctx); err != nil {
		return err
	}
	err := act()
	var held *engine.HeldError
	if errors.As(err, &held) {
		return &ExitError{Code: ExitRefused, Err: err}
	}
	return err
}
