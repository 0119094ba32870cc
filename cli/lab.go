package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"horcrux/lab"
)

// labFlags are common to all lab commands: which lab is meant.
type labFlags struct{ dir, prefix string }

func (f *labFlags) open() (*lab.Lab, error) {
	l, err := lab.Open(f.dir, f.prefix)
	if err != nil && !errors.Is(err, lab.ErrNoLab) {
		return nil, usageError(err)
	}
	return l, err
}

// node opens the lab and finds one of its hosts.
func (f *labFlags) node(name string) (*lab.Node, error) {
	l, err := f.open()
	if err != nil {
		return nil, err
	}
	n := l.Node(name)
	if n == nil {
		return nil, usageError(fmt.Errorf("cannot find the node %q: this lab has node1 to node%d", name, len(l.Nodes)))
	}
	return n, nil
}

func usageError(err error) error { return &ExitError{Code: ExitUsage, Err: err} }

// exactArgs is cobra's check with our exit code.
func labArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError(fmt.Errorf("%w; usage: %s", err, cmd.UseLine()))
		}
		return nil
	}
}

// labRun gives a command a context that ends with ctrl-c or a hang-up, so that
// an unfinished lab is removed.
func labRun(run func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		return run(ctx, args)
	}
}

func newLabCommand(s streams) *cobra.Command {
	var f labFlags
	cmd := &cobra.Command{
		Use:   "lab",
		Short: "The demonstration cluster of real hosts on this machine",
		Long: `Makes a cluster of real libvirt hosts on this machine, out of namespaces, with
small VMs that boot in seconds. It needs root and Debian, and removes all of
itself with "horcrux lab down".`,
		Args: labArgs(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError(err) })
	cmd.PersistentFlags().StringVar(&f.dir, "dir", lab.DefaultDir, "where labs are kept")
	cmd.PersistentFlags().StringVar(&f.prefix, "prefix", lab.DefaultPrefix, "name of the lab, so that several can run")
	cmd.AddCommand(labUp(s, &f), labDown(s, &f), labStatus(s, &f), labExec(s, &f), newLabFault(s, &f))
	return cmd
}

func labUp(s streams, f *labFlags) *cobra.Command {
	var o lab.Options
	var vms string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start the lab, and install the Debian packages it needs",
		Args:  labArgs(cobra.NoArgs),
	}
	cmd.Flags().IntVar(&o.Nodes, "nodes", lab.DefaultNodes, "how many hosts")
	cmd.Flags().StringVar(&o.Subnet, "subnet", lab.DefaultSubnet, "an IPv4 network that is free here")
	cmd.Flags().StringVar(&o.Release, "release", "", "the Debian that hosts run: trixie, or node3=trixie for some; else this machine's")
	cmd.Flags().StringVar(&vms, "vms", "demo", "which VMs: demo, minimal or none")
	cmd.Flags().BoolVar(&o.NoInstall, "no-install", false, "fail where a package is missing")
	cmd.RunE = labRun(func(ctx context.Context, _ []string) error {
		o.Dir, o.Prefix, o.Log = f.dir, f.prefix, s.err
		specs, err := lab.Preset(vms, o.Nodes)
		if err != nil {
			return usageError(err)
		}
		o.VMs = specs
		if err := o.Validate(); err != nil {
			return usageError(err)
		}
		l, err := lab.Up(ctx, o)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.out, "\nSee it:      horcrux --config %s\nA host:      ssh -i %s -o UserKnownHostsFile=%s root@%s\nTake down:   horcrux lab down%s\n",
			l.ConfigPath(), l.KeyPath(), l.KnownHostsPath(), l.Nodes[0].Address, f.suffix())
		return nil
	})
	return cmd
}

// suffix repeats the flags that are not at their default.
func (f *labFlags) suffix() string {
	var b strings.Builder
	if f.prefix != lab.DefaultPrefix {
		b.WriteString(" --prefix " + f.prefix)
	}
	if f.dir != lab.DefaultDir {
		b.WriteString(" --dir " + f.dir)
	}
	return b.String()
}

func labDown(s streams, f *labFlags) *cobra.Command {
	cmd := &cobra.Command{Use: "down", Short: "Remove the lab, whatever is left of it", Args: labArgs(cobra.NoArgs)}
	cmd.RunE = labRun(func(ctx context.Context, _ []string) error {
		if err := lab.Down(ctx, lab.Options{Dir: f.dir, Prefix: f.prefix}); err != nil {
			return err
		}
		fmt.Fprintf(s.err, "the lab %q is gone\n", f.prefix)
		return nil
	})
	return cmd
}

func labStatus(s streams, f *labFlags) *cobra.Command {
	var output string
	cmd := &cobra.Command{Use: "status", Short: "What the lab looks like now", Args: labArgs(cobra.NoArgs)}
	cmd.Flags().StringVarP(&output, "output", "o", "table", "table or json")
	cmd.RunE = labRun(func(ctx context.Context, _ []string) error {
		if output != "table" && output != "json" {
			return usageError(fmt.Errorf("cannot print %q: table or json", output))
		}
		l, err := f.open()
		if err != nil {
			return err
		}
		st := l.Status(ctx)
		if output == "json" {
			e := json.NewEncoder(s.out)
			e.SetIndent("", "  ")
			return e.Encode(st)
		}
		return printLabStatus(s, st)
	})
	return cmd
}

func printLabStatus(s streams, st lab.Status) error {
	fmt.Fprintf(s.out, "lab %s, %s, horcrux --config %s\n", st.Prefix, st.Subnet, st.Config)
	w := tabwriter.NewWriter(s.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tADDRESS\tHOST\tLINK\tSSHD\tLIBVIRTD\tVIRTLOGD\tVMS")
	for _, n := range st.Nodes {
		host, link := "off", "cut"
		if n.PID != 0 {
			host = "on"
		}
		if n.LinkUp {
			link = "up"
		}
		vms := n.Problem
		for _, vm := range n.VMs {
			vms += vm.Name + " (" + vm.State + ") "
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.Address, host, link,
			n.Services[lab.SSHD], n.Services[lab.Libvirtd], n.Services[lab.Virtlogd], vms)
	}
	return w.Flush()
}

func labExec(s streams, f *labFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "exec NODE -- COMMAND...",
		Short: "Run a command inside a host",
		Args:  labArgs(cobra.MinimumNArgs(2)),
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		n, err := f.node(args[0])
		if err != nil {
			return err
		}
		c := exec.CommandContext(cmd.Context(), args[1], args[2:]...)
		c.Stdin, c.Stdout, c.Stderr = s.in, s.out, s.err
		if err := n.Start(c); err != nil {
			return err
		}
		err = c.Wait()
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			return fmt.Errorf("%s on %s ended with %s", args[1], n.Name, exit)
		}
		return err
	}
	return cmd
}
