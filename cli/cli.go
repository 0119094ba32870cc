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

// streams are what a command may read and write.
type streams struct {
	in       *os.File
	out, err io.Writer
}

// Main runs the command line and returns the exit code.
func Main(ctx context.Context, args, env []string, stdin *os.File, stdout, stderr io.Writer) int {
	root := newRoot(streams{in: stdin, out: stdout, err: stderr})
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintln(stderr, "horcrux: "+err.Error())
	var exit *ExitError
	if errors.As(err, &exit) {
		return exit.Code
	}
	return ExitOther
}

func newRoot(s streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "horcrux",
		Short:         "A console for a cluster of KVM/libvirt hosts",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.AddCommand(newLabCommand(s))
	return root
}
