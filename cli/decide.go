package cli

import (
	"bufio"
	"context"
	"fmt"
	"strings"
	"time"

	"horcrux/engine"
	"horcrux/engine/model"
)

// asWished makes a success of an undone move, for those who asked for that.
func asWished(err error) error {
	if exit, ok := err.(*ExitError); ok && exit.Code == ExitUndone {
		return nil
	}
	return err
}

// typed wants the VM's name typed on a terminal. There is no other way to say
// yes to what it is asked for.
func (a *app) typed(vm string) error {
	if !a.terminal() {
		return usage("this wants the VM's name typed, and there is no terminal to type it on")
	}
	fmt.Fprintf(a.err, "Type the VM's name to go on: ")
	line, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && line == "" {
		return usage("no answer, nothing was changed")
	}
	if strings.TrimSpace(line) != vm {
		return usage("that is not %q: nothing was changed", vm)
	}
	return nil
}

// restore boots the frozen disks of a job's source, once its cost was shown and
// the name typed.
func (a *app) restore(ctx context.Context, e *engine.Engine, j model.Job) error {
	loss, err := e.Loss(ctx, j.ID)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.err, "%s boots again on %s from the disks that were frozen at the switch.\n", j.VMName, j.From)
	fmt.Fprintf(a.err, "On %s it is %s; what is there is moved aside and cannot start any more.\n", j.To, loss.Target)
	fmt.Fprintf(a.err, "Lost: %s\n", lossWords(loss))
	if err := a.typed(j.VMName); err != nil {
		return err
	}
	after := e.Last(j.ID)
	if err := e.Restore(ctx, j.ID); err != nil {
		return err
	}
	return asWished(a.watch(ctx, e, j.ID, after))
}

func lossWords(l model.Loss) string {
	s := "what the guest wrote since it moved, and its memory"
	if !l.Since.IsZero() {
		s = fmt.Sprintf("what the guest wrote in the %s since %s, and its memory", short(time.Since(l.Since)), l.Since.Local().Format("2006-01-02 15:04:05"))
	}
	if l.Known {
		return fmt.Sprintf("%s; QEMU counts %s written to its disks", s, size(l.Written))
	}
	return s + "; how much that is cannot be told, since its process is gone"
}

// decisionText puts a choice to a person.
func decisionText(d *model.Decision) string {
	var b strings.Builder
	for _, s := range d.Sides {
		fmt.Fprintf(&b, "\n    %s says: %s", s.Node, s.Status)
		if s.Status.Err != "" {
			fmt.Fprintf(&b, " (%s)", firstLine(s.Status.Err))
		}
		if s.Mark != nil {
			fmt.Fprintf(&b, ", marked by %s", s.Mark.Whose())
		}
		for _, f := range s.Disks {
			if f.Err != "" {
				fmt.Fprintf(&b, "\n      %s: %s", f.Path, firstLine(f.Err))
				continue
			}
			fmt.Fprintf(&b, "\n      %s: %s, last written %s", f.Path, size(f.Size), f.Written.Local().Format("2006-01-02 15:04:05"))
		}
	}
	for _, c := range d.Choices {
		fmt.Fprintf(&b, "\n    keep it on %s: loses %s", c.Keep, c.Loses)
		if c.Refused != "" {
			fmt.Fprintf(&b, "\n      not possible now: %s", c.Refused)
		} else {
			fmt.Fprintf(&b, "\n      %s", c.Command)
		}
	}
	return b.String()
}
