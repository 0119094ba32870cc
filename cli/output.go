package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"horcrux/engine/model"
)

// addOutput gives a command the flag -o.
func (a *app) addOutput(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().StringVarP(&a.output, "output", "o", "table", "table or json")
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if a.output != "table" && a.output != "json" {
			return usage("-o %s: want table or json", a.output)
		}
		return run(cmd, args)
	}
	return cmd
}

func (a *app) json() bool { return a.output == "json" }

// printJSON writes one value as an indented document.
func (a *app) printJSON(v any) error {
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// printLine writes one value as one line of JSON.
func (a *app) printLine(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s\n", b)
	return err
}

// table writes rows in columns; the last column is not padded.
func (a *app) table(head []string, rows [][]string) {
	widths := make([]int, len(head))
	for _, r := range append([][]string{head}, rows...) {
		for i, c := range r {
			widths[i] = max(widths[i], ansi.StringWidth(c))
		}
	}
	for _, r := range append([][]string{head}, rows...) {
		var b strings.Builder
		for i, c := range r {
			b.WriteString(c)
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-ansi.StringWidth(c)+2))
			}
		}
		fmt.Fprintln(a.out, strings.TrimRight(b.String(), " "))
	}
}

func size(b uint64) string { return humanize.IBytes(b) }

func age(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return short(time.Since(t)) + " ago"
}

// short is a duration in the two units that matter.
func short(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %02d min", int(d.Hours()), int(d.Minutes())%60)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// exitFor turns the outcome of a job into an error with the right code; nil is 0.
func exitFor(r *model.Result, job model.JobID) error {
	if r == nil {
		return &ExitError{Code: ExitPerson, Err: fmt.Errorf("the process of job %s ended before the job did: run horcrux recover", job)}
	}
	code := ExitOther
	switch r.Outcome {
	case model.OutcomeDone:
		return nil
	case model.OutcomeRefused:
		code = ExitRefused
	case model.OutcomeUndone:
		code = ExitUndone
	case model.OutcomePerson:
		code = ExitPerson
	case model.OutcomeDegraded:
		code = ExitDegraded
	}
	return &ExitError{Code: code, Err: fmt.Errorf("%s: %s", r.Outcome, sentence(r))}
}

// sentence says cause, place and next step of a result.
func sentence(r *model.Result) string {
	var parts []string
	if r.Reason != "" {
		parts = append(parts, r.Reason)
	}
	if r.Owner != "" {
		parts = append(parts, "the VM is on "+string(r.Owner))
	} else {
		parts = append(parts, "where the VM is cannot be said")
	}
	if r.Next != "" {
		parts = append(parts, r.Next)
	}
	if r.Decide != nil {
		parts = append(parts, "what is known:"+decisionText(r.Decide))
	}
	return strings.Join(parts, "\n  ")
}
