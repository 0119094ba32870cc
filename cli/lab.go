package cli

import "github.com/spf13/cobra"

func newLabCommand(s streams) *cobra.Command {
	return &cobra.Command{Use: "lab", Short: "The demonstration cluster of real hosts on this machine"}
}
