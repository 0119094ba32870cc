package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

func newSnapshotCommand(a *app) *cobra.Command {
	var description string
	cmd := &cobra.Command{
		Use: "snapshot VM list|create NAME|revert NAME|delete NAME", Short: "List, take, go back to or delete the snapshots of a VM", Args: snapshotArgs,
		Long: "List the snapshots of a VM, take one, put the VM back to one, or delete one.\n" +
			"The disks must be able to hold it (qcow2); of a VM that runs the memory goes in too,\n" +
			"and the guest stands still meanwhile. revert loses what was written since, delete\n" +
			"the way back, so both want the VM's name typed. A VM that a move has hold of is refused.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] == "list" {
				return a.onVM(cmd.Context(), args[0], func(e *engine.Engine, vm model.VM) error { return a.snapshots(cmd.Context(), e, vm) })
			}
			act := model.SnapshotAct{Kind: model.SnapshotKind(args[1]), Name: args[2]}
			if a.json() {
				return usage("-o json is for list")
			}
			if description != "" && act.Kind != model.SnapshotCreate {
				return usage("--description is for create")
			}
			act.Description = description
			if act.Kind != model.SnapshotCreate && !a.terminal() {
				return usage("%s wants the VM's name typed, and there is no terminal to type it on", act.Kind)
			}
			return a.onVM(cmd.Context(), args[0], func(e *engine.Engine, vm model.VM) error {
				return a.snapshot(cmd.Context(), e, vm, act)
			})
		},
	}
	cmd.Flags().StringVar(&description, "description", "", "with create: words that describe it")
	return a.addOutput(cmd)
}

// snapshotArgs wants a VM, what to do, and a name for all but list.
func snapshotArgs(cmd *cobra.Command, args []string) error {
	if len(args) < 2 {
		return exactly("a VM", "list, create, revert or delete")(cmd, args)
	}
	switch args[1] {
	case "list":
		return exactly("a VM", "list")(cmd, args)
	case string(model.SnapshotCreate), string(model.SnapshotRevert), string(model.SnapshotDelete):
		if err := exactly("a VM", args[1], "the name of a snapshot")(cmd, args); err != nil {
			return err
		}
		return snapshotName(args[1], args[2])
	}
	return usage("cannot do %q to snapshots: want list, create, revert or delete", args[1])
}

// snapshotName refuses names that libvirt cannot keep; it makes files of them.
// One that exists already may have any other form.
func snapshotName(act, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return usage("%s needs the name of a snapshot", act)
	case act == string(model.SnapshotCreate) && (strings.ContainsAny(name, `/\`) || strings.HasPrefix(name, ".")):
		return usage("a snapshot cannot be named %q: want a name without a slash that begins with no dot", name)
	case act == string(model.SnapshotCreate) && strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return usage("a snapshot cannot be named %q: it has control characters", name)
	}
	return nil
}

func (a *app) snapshots(ctx context.Context, e *engine.Engine, vm model.VM) error {
	all, err := readSnapshots(ctx, e, vm)
	if err != nil {
		return err
	}
	if a.json() {
		return a.printJSON(all)
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, snapshotRow(s))
	}
	a.table([]string{"SNAPSHOT", "TAKEN", "STATE", "PARENT", "DISKS", "CURRENT", "DESCRIPTION"}, rows)
	return nil
}

// readSnapshots asks the node; an answer without them is an error, not an empty
// list.
func readSnapshots(ctx context.Context, e *engine.Engine, vm model.VM) ([]model.Snapshot, error) {
	d, err := e.VMDetails(ctx, vm.UUID, vm.Node)
	if err == nil && d.Snapshots == nil {
		err = fmt.Errorf("cannot list the snapshots of %s on %s: %s", vm.Name, vm.Node, strings.Join(d.Errs, "; "))
	}
	return d.Snapshots, err
}

func snapshotRow(s model.Snapshot) []string {
	taken, disks, current := "-", "inside", "-"
	if !s.Created.IsZero() {
		taken = s.Created.Local().Format("2006-01-02 15:04:05")
	}
	if s.External {
		disks = "files of their own"
	}
	if s.Current {
		current = "yes"
	}
	return []string{s.Name, taken, orDash(string(s.State)), orDash(s.Parent), disks, current, s.Description}
}

func (a *app) snapshot(ctx context.Context, e *engine.Engine, vm model.VM, act model.SnapshotAct) error {
	if act.Kind != model.SnapshotCreate {
		all, err := readSnapshots(ctx, e, vm)
		if err != nil {
			return err
		}
		s, err := findSnapshot(all, vm, act.Name)
		if err != nil {
			return err
		}
		fmt.Fprintln(a.out, snapshotLoss(vm, s, act.Kind))
		if err := a.typed(vm.Name); err != nil {
			return err
		}
	}
	if err := acted(ctx, e, func() error { return e.SnapshotAct(ctx, vm.UUID, vm.Node, act) }); err != nil {
		return err
	}
	done := map[model.SnapshotKind]string{
		model.SnapshotCreate: "snapshot %s was taken", model.SnapshotRevert: "put back to snapshot %s", model.SnapshotDelete: "snapshot %s was deleted",
	}[act.Kind]
	fmt.Fprintf(a.out, "%s on %s: "+done+"\n", vm.Name, vm.Node, act.Name)
	return nil
}

func findSnapshot(all []model.Snapshot, vm model.VM, name string) (model.Snapshot, error) {
	for _, s := range all {
		if s.Name == name {
			return s, nil
		}
	}
	return model.Snapshot{}, usage("%s on %s has no snapshot %q: see horcrux snapshot %s list", vm.Name, vm.Node, name, vm.Name)
}

// snapshotLoss says what is done and what is lost by it.
func snapshotLoss(vm model.VM, s model.Snapshot, kind model.SnapshotKind) string {
	if kind == model.SnapshotDelete {
		return fmt.Sprintf("Snapshot %s of %s is deleted. The VM stays as it is; it cannot be put back to this snapshot any more.", s.Name, vm.Name)
	}
	since := "it was taken"
	if !s.Created.IsZero() {
		since = fmt.Sprintf("%s (%s ago)", s.Created.Local().Format("2006-01-02 15:04:05"), short(time.Since(s.Created)))
	}
	return fmt.Sprintf("%s on %s is put back to snapshot %s. Everything written since %s is lost, and the VM is then %s.", vm.Name, vm.Node, s.Name, since, s.State)
}
