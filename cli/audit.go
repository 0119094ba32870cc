package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/audit"
)

// newAuditCommand lists what was done, by whom, and proves that the list is whole.
func newAuditCommand(a *app) *cobra.Command {
	cmd := a.addOutput(&cobra.Command{
		Use: "audit", Short: "Who did what, on which node, and what came of it",
		Long: "Lists all acts of this account's consoles and commands on the cluster, oldest first.\n" +
			"The log is only ever added to; `horcrux audit verify` shows whether a line was changed.",
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			log, err := a.auditLog()
			if err != nil {
				return err
			}
			all := []audit.Entry{}
			if err := log.Entries(func(e audit.Entry) error { all = append(all, e); return nil }); err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(all)
			}
			var rows [][]string
			for _, e := range all {
				where := e.Node
				if e.To != "" {
					where += " to " + e.To
				}
				rows = append(rows, []string{
					e.Time.Local().Format("2006-01-02 15:04:05"), e.Actor.String(), e.Act, orDash(e.VM), orDash(where), orDash(e.Job), e.Outcome, e.Detail,
				})
			}
			a.table([]string{"TIME", "WHO", "ACT", "VM", "NODE", "JOB", "OUTCOME", "DETAIL"}, rows)
			return nil
		},
	})
	cmd.AddCommand(a.addOutput(&cobra.Command{
		Use: "verify", Short: "Check that no line of the log was changed, taken out or put in", Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			log, err := a.auditLog()
			if err != nil {
				return err
			}
			r, err := log.Verify()
			var broken *audit.Broken
			if errors.As(err, &broken) {
				return fmt.Errorf("%s: %w; the %d acts before it are as they were written", log.Path(), err, r.Entries)
			}
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(r)
			}
			fmt.Fprintf(a.out, "%d acts, all as they were written; the last line has the hash %s\n", r.Entries, orDash(r.Last))
			if len(r.Cut) > 0 {
				fmt.Fprintf(a.out, "left unfinished by a crash: line %v\n", r.Cut)
			}
			return nil
		},
	}))
	return cmd
}

func (a *app) auditLog() (*audit.Log, error) {
	dir, err := engine.StateDir(a.getenv)
	if err != nil {
		return nil, err
	}
	return audit.Open(dir), nil
}
