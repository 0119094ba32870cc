// Package cli is the command line: it parses arguments, calls the engine, the
// console or the lab, prints tables or JSON, and turns every outcome into one
// of the exit codes of the contract.
//
// It takes its arguments, environment and streams as parameters, so a test can
// run any command in process.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// Exit codes. Anything not listed here is never returned.
const (
	ExitOK       = 0  // done
	ExitOther    = 1  // anything without a code of its own
	ExitRefused  = 3  // refused in pre-flight, nothing changed
	ExitUndone   = 4  // failed and undone, the VM is where it was
	ExitPerson   = 5  // a person must decide, the message says what
	ExitDegraded = 6  // moved, but a health check failed
	ExitUsage    = 64 // wrong usage or configuration, nothing changed
)

// ExitError is an error that ends the program with Code.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string { return e.Err.Error() }
func (e *ExitError) Unwrap() error { return e.Err }

// usage marks an error as wrong usage: nothing was changed.
func usage(format string, args ...any) error {
	return &ExitError{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// streams are what a command may read and write.
type streams struct {
	in       *os.File
	out, err io.Writer
}

// app is one run of the program.
type app struct {
	streams
	env    []string
	config string // --config
	output string // -o
	plain  bool   // --plain
	asker  *asker // nil where nobody can be asked
}

// getenv reads the environment that Main was given.
func (a *app) getenv(key string) string {
	for i := len(a.env) - 1; i >= 0; i-- {
		if v, ok := strings.CutPrefix(a.env[i], key+"="); ok {
			return v
		}
	}
	return ""
}

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, args, env []string, stdin *os.File, stdout, stderr io.Writer) int {
	a := &app{streams: streams{in: stdin, out: stdout, err: stderr}, env: env}
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintln(stderr, "horcrux: "+msg)
	}
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return ExitOther
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "horcrux",
		Short: "A console for a cluster of KVM/libvirt hosts",
		Long: "horcrux lists the nodes and VMs of a cluster of KVM/libvirt hosts and moves VMs\n" +
			"between nodes, with health checks before and after and a rollback that is safe.\n" +
			"Without a command it opens the console.",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return a.console(cmd.Context()) },
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &ExitError{Code: ExitUsage, Err: err} })
	root.PersistentFlags().StringVar(&a.config, "config", "", "configuration file")
	root.Flags().BoolVar(&a.plain, "plain", false, "print lines instead of drawing a screen: for screen readers and logs")
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(
		newNodesCommand(a), newVMsCommand(a), newPlanCommand(a), newMigrateCommand(a), newHealthCommand(a),
		newJobsCommand(a), newJobCommand(a), newTuneCommand(a), newAbortCommand(a), newConfirmCommand(a), newRollbackCommand(a),
		newPowerCommand(a), newSnapshotCommand(a), newMaintenanceCommand(a),
		newRecoverCommand(a), newDoctorCommand(a), newAuditCommand(a), newLabCommand(a.streams), newWorkerCommand(a),
	)
	return root
}

// noArgs refuses arguments, and names the command that was meant if it can.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
		return usage("unknown command %q: did you mean %s?", args[0], strings.Join(s, " or "))
	}
	return usage("unexpected argument %q for %s: see %s --help", args[0], cmd.CommandPath(), cmd.CommandPath())
}

// exactly wants n arguments, by these words.
func exactly(words ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(words):
			return usage("%s needs %s: see %s --help", cmd.CommandPath(), strings.Join(words[len(args):], " and "), cmd.CommandPath())
		case len(args) > len(words):
			return usage("unexpected argument %q for %s", args[len(words)], cmd.CommandPath())
		}
		return nil
	}
}
