package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

func newMaintenanceCommand(a *app) *cobra.Command {
	var why string
	cmd := &cobra.Command{
		Use: "maintenance [NODE on|off]", Short: "List the nodes that no VM is sent to, or mark one", Args: maintenanceArgs,
		Long: "Without arguments list the nodes in maintenance. on marks a node: no move to it is\n" +
			"begun any more, and one that waits for its turn is refused; what runs there stays, and\n" +
			"can be moved away. off takes the mark away. No node has to answer for that.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				if why != "" {
					return usage("--why is for on")
				}
				return a.withJournals(func(e *engine.Engine) error { return a.maintained(e.Snapshot()) })
			}
			on := args[1] == "on"
			if !on && why != "" {
				return usage("--why is for on")
			}
			if a.json() {
				return usage("-o json is for the list")
			}
			return a.withJournals(func(e *engine.Engine) error { return a.maintain(cmd.Context(), e, args[0], on, why) })
		},
	}
	cmd.Flags().StringVar(&why, "why", "", "with on: the reason, for those who see the mark")
	return a.addOutput(cmd)
}

// maintenanceArgs wants nothing, or a node and on or off.
func maintenanceArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if err := exactly("a node", "on or off")(cmd, args); err != nil {
		return err
	}
	if args[1] != "on" && args[1] != "off" {
		return usage("cannot set maintenance to %q: want on or off", args[1])
	}
	return nil
}

func (a *app) maintain(ctx context.Context, e *engine.Engine, name string, on bool, why string) error {
	node, err := findNode(e.Snapshot(), name)
	if err != nil {
		return err
	}
	if err := e.Maintain(ctx, node, on, why); err != nil {
		return err
	}
	if on {
		fmt.Fprintf(a.out, "%s is in maintenance: no VM is sent to it; what runs there stays\n", node)
	} else {
		fmt.Fprintf(a.out, "%s is not in maintenance: VMs may be sent to it\n", node)
	}
	return nil
}

// nodeMark is one line of the list.
type nodeMark struct {
	Node model.NodeName `json:"node"`
	model.Maintenance
}

func (a *app) maintained(c model.Cluster) error {
	marks := []nodeMark{}
	var rows [][]string
	for _, n := range c.Nodes {
		m := n.Maintenance
		if m == nil {
			continue
		}
		marks = append(marks, nodeMark{n.Name, *m})
		rows = append(rows, []string{string(n.Name), m.Since.Local().Format("2006-01-02 15:04:05"), orDash(m.By), m.Why})
	}
	if a.json() {
		return a.printJSON(marks)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.out, "no node is in maintenance")
		return nil
	}
	a.table([]string{"NODE", "SINCE", "BY", "WHY"}, rows)
	return nil
}
