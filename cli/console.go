package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"horcrux/config"
	"horcrux/engine"
	"horcrux/engine/model"
	"horcrux/engine/worker"
	"horcrux/ui"
)

// console opens the terminal console.
func (a *app) console(ctx context.Context) error {
	cfg, err := a.load()
	var none *config.ErrNoConfig
	if errors.As(err, &none) && a.terminal() && !a.plain {
		if err := a.firstRun(ctx, none.Places[0]); err != nil {
			return err
		}
		cfg, err = a.load()
	}
	if err != nil {
		return err
	}
	begin := make(chan struct{})
	e, err := a.openForConsole(cfg, begin)
	if err != nil {
		return err
	}
	defer e.Close()
	if a.getenv("GOGC") == "" {
		debug.SetGCPercent(consoleGC)
	}
	if because := a.plainly(cfg); because != "" {
		close(begin)
		return ui.Plain(ctx, e, a.out, time.Now, because)
	}
	o := a.consoleOptions(cfg)
	o.Shown = func() { close(begin) }
	return ui.Run(ctx, e, o)
}

// consoleGC is the GOGC of the console, in percent: it stays open for days beside
// others on a jump host, and what it holds matters more there than the few
// milliseconds per second that a tighter heap costs.
const consoleGC = 30

// plainly says who wants lines instead of a screen: the flag, then the
// environment, then the configuration; empty if nobody does.
func (a *app) plainly(cfg config.Config) string {
	switch {
	case a.plain:
		return "--plain"
	case a.getenv("HORCRUX_PLAIN") != "":
		return "HORCRUX_PLAIN"
	case cfg.UI.Plain:
		return "plain = true in " + cfg.Path
	}
	return ""
}

func (a *app) consoleOptions(cfg config.Config) ui.Options {
	out, _ := a.out.(*os.File)
	o := ui.Options{Config: cfg, In: a.in, Out: out, Environ: a.env}
	dir, err := engine.StateDir(a.getenv)
	if err != nil {
		return o
	}
	path := filepath.Join(dir, "columns") // the columns of VMs that are not shown, a line each
	if b, err := os.ReadFile(path); err == nil {
		o.Hidden = strings.Fields(string(b))
	}
	o.KeepColumns = func(hidden []string) {
		_ = renameio.WriteFile(path, []byte(strings.Join(hidden, "\n")+"\n"), 0o600) // only a habit: its loss is no harm
	}
	return o
}

// firstRun leads to a configuration file.
func (a *app) firstRun(ctx context.Context, path string) error {
	out, _ := a.out.(*os.File)
	return ui.FirstRun(ctx, ui.FirstOptions{
		Options: ui.Options{In: a.in, Out: out, Environ: a.env},
		Hosts:   config.Discover(a.getenv("HOME")),
		Path:    path,
		Try:     a.tryHost,
	})
}

// tryHost connects to one host, asks nobody anything, and says what it is.
func (a *app) tryHost(ctx context.Context, h config.Candidate) (model.Node, error) {
	worker, err := workerCommand()
	if err != nil {
		return model.Node{}, err
	}
	e, err := engine.Open(config.NodesOf([]config.Candidate{h}), engine.Options{Worker: worker, Env: a.getenv})
	if err != nil {
		return model.Node{}, err
	}
	defer e.Close()
	if err := e.Wait(ctx); err != nil {
		return model.Node{}, fmt.Errorf("no answer in time: %w", err)
	}
	n := e.Snapshot().Nodes[0]
	if n.State != model.NodeUp && n.State != model.NodeBusy {
		return n, fmt.Errorf("%s: %s", n.State, n.Reason)
	}
	return n, nil
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
