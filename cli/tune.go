package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

// longestDowntime is what libvirt takes at most: 2000 s.
const longestDowntime = 2000 * time.Second

func newTuneCommand(a *app) *cobra.Command {
	var (
		bandwidth string
		downtime  time.Duration
	)
	cmd := &cobra.Command{
		Use: "tune ID", Short: "Change the limits of a move while it runs", Args: exactly("a job"),
		Long: "Change the bandwidth or the longest pause of a move while it copies. What is not\n" +
			"given stays as it is.",
		RunE: func(cmd *cobra.Command, args []string) error {
			c := model.Command{Kind: model.CommandTune}
			var done []string
			if cmd.Flags().Changed("bandwidth") {
				b, err := strconv.ParseUint(bandwidth, 10, 40)
				if err != nil {
					return usage("--bandwidth %q: want a whole number of MiB/s, 0 for none", bandwidth)
				}
				c.Bandwidth = &b
				done = append(done, "bandwidth "+bandwidth+" MiB/s")
			}
			if cmd.Flags().Changed("max-downtime") {
				if downtime < time.Millisecond || downtime > longestDowntime {
					return usage("--max-downtime %s: want 1ms to %s", downtime, longestDowntime)
				}
				c.MaxDowntime = &downtime
				done = append(done, "longest pause "+downtime.String())
			}
			if len(done) == 0 {
				return usage("say what to change: --bandwidth MiB/s, --max-downtime TIME or both")
			}
			return a.withJournals(func(e *engine.Engine) error {
				j, err := a.findJob(e, args[0])
				if err != nil {
					return err
				}
				if err := e.Do(cmd.Context(), j.ID, c); err != nil {
					return err
				}
				for _, d := range done {
					fmt.Fprintf(a.out, "job %s (%s): asked for %s; horcrux job %s shows what %s made of it\n", j.ID, j.VMName, d, j.ID, j.From)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&bandwidth, "bandwidth", "", "limit in MiB/s, 0 for none")
	cmd.Flags().DurationVar(&downtime, "max-downtime", 0, "longest pause to aim at, such as 300ms")
	return cmd
}
