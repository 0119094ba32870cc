package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"horcrux/lab"
)

// newLabFault makes the commands that hurt a host of the lab and heal it.
func newLabFault(s streams, f *labFlags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "fault",
		Short: "Break something in the lab, or mend it",
		Long:  "Break something in the lab, or mend it. A TARGET is sshd, libvirtd, virtlogd or vm:NAME.",
		Args:  labArgs(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	type act func(context.Context, *lab.Node) error
	onNode := func(use, short string, do act) {
		c := &cobra.Command{Use: use + " NODE", Short: short, Args: labArgs(cobra.ExactArgs(1))}
		c.RunE = labRun(func(ctx context.Context, args []string) error {
			return faultOn(ctx, s, f, args[0], use, do)
		})
		cmd.AddCommand(c)
	}
	onNode("off", "Take the host's power away", func(ctx context.Context, n *lab.Node) error { return n.PowerOff(ctx) })
	onNode("on", "Start a host that is off", func(ctx context.Context, n *lab.Node) error { return n.PowerOn(ctx) })
	onNode("cut", "Pull the host's cable", func(_ context.Context, n *lab.Node) error { return n.CutLink() })
	onNode("heal", "Put the host's cable back", func(_ context.Context, n *lab.Node) error { return n.HealLink() })
	onNode("unlimit", "Take the limit off the cable", func(_ context.Context, n *lab.Node) error { return n.UnlimitRate() })
	onNode("block", "Drop TCP to the other hosts but SSH", func(ctx context.Context, n *lab.Node) error { return n.BlockPeers(ctx) })
	onNode("unblock", "Let TCP to the other hosts through", func(ctx context.Context, n *lab.Node) error { return n.UnblockPeers(ctx) })
	onNode("unfill", "Give the disk's space back", func(_ context.Context, n *lab.Node) error { return n.UnfillImages() })

	withTarget := func(use, short string, do func(context.Context, *lab.Node, lab.Target) error) {
		c := &cobra.Command{Use: use + " NODE TARGET", Short: short, Args: labArgs(cobra.ExactArgs(2))}
		c.RunE = labRun(func(ctx context.Context, args []string) error {
			t, err := lab.ParseTarget(args[1])
			if err != nil {
				return usageError(err)
			}
			return faultOn(ctx, s, f, args[0], use+" "+args[1], func(ctx context.Context, n *lab.Node) error { return do(ctx, n, t) })
		})
		cmd.AddCommand(c)
	}
	withTarget("kill", "End it at once (SIGKILL)", func(ctx context.Context, n *lab.Node, t lab.Target) error { return n.Kill(ctx, t) })
	withTarget("stop", "Freeze it (SIGSTOP)", func(ctx context.Context, n *lab.Node, t lab.Target) error { return n.Freeze(ctx, t) })
	withTarget("continue", "Let a frozen one go on (SIGCONT)", func(_ context.Context, n *lab.Node, t lab.Target) error { return n.Thaw(t) })
	withTarget("restart", "Start a service again", func(ctx context.Context, n *lab.Node, t lab.Target) error {
		if t.Service == "" {
			return usageError(fmt.Errorf("cannot restart %s: only services; start the VM with virsh", t))
		}
		return n.Restart(ctx, t.Service)
	})

	withSize := func(use, arg, short string, do func(*lab.Node, int64) error) {
		c := &cobra.Command{Use: use + " NODE " + arg, Short: short, Args: labArgs(cobra.ExactArgs(2))}
		c.RunE = labRun(func(ctx context.Context, args []string) error {
			size, err := parseLabSize(args[1])
			if err != nil {
				return usageError(err)
			}
			return faultOn(ctx, s, f, args[0], use+" "+args[1], func(_ context.Context, n *lab.Node) error { return do(n, size) })
		})
		cmd.AddCommand(c)
	}
	withSize("limit", "BYTES", "Let only so many bytes a second pass (8M, 512K)", func(n *lab.Node, v int64) error { return n.LimitRate(uint64(v)) })
	withSize("fill", "BYTES", "Leave only so many bytes free on the disk (64M)", func(n *lab.Node, v int64) error { return n.FillImages(v) })
	return cmd
}

// faultOn does one act on one host and says that it is done.
func faultOn(ctx context.Context, s streams, f *labFlags, node, what string, do func(context.Context, *lab.Node) error) error {
	n, err := f.node(node)
	if err != nil {
		return err
	}
	if err := do(ctx, n); err != nil {
		return err
	}
	fmt.Fprintf(s.err, "%s: %s done\n", n.Name, what)
	return nil
}

// parseLabSize reads a number of bytes with K, M or G behind it.
func parseLabSize(text string) (int64, error) {
	digits, shift := text, 0
	for i, unit := range []string{"K", "M", "G"} {
		if d, ok := strings.CutSuffix(strings.ToUpper(text), unit); ok {
			digits, shift = d, 10*(i+1)
		}
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < 0 || v > 1<<62>>shift {
		return 0, fmt.Errorf("cannot read the size %q: write it as 8M, 512K or 1G", text)
	}
	return v << shift, nil
}
