package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"horcrux/engine/worker"
	"horcrux/ui"
)

// console opens the terminal console.
func (a *app) console(ctx context.Context) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	e, err := a.open()
	if err != nil {
		return err
	}
	defer e.Close()
	out, _ := a.out.(*os.File)
	return ui.Run(ctx, e, ui.Options{Config: cfg, In: a.in, Out: out, Environ: a.env})
}

// newWorkerCommand is the process of one job; the engine starts it.
func newWorkerCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "worker", Hidden: true, Args: exactly(), Short: "The process of one job",
		RunE: func(cmd *cobra.Command, _ []string) error {
			ready := os.NewFile(3, "ready")
			if ready == nil {
				return usage("worker is started by horcrux itself")
			}
			if code := worker.Main(cmd.Context(), a.in, ready); code != 0 {
				return &ExitError{Code: code, Err: os.ErrProcessDone}
			}
			return nil
		},
	}
}
