package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"horcrux/engine"
	"horcrux/engine/model"
)

func newNodesCommand(a *app) *cobra.Command {
	return a.addOutput(&cobra.Command{
		Use: "nodes", Short: "List the nodes", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				c := e.Snapshot()
				if a.json() {
					return a.printJSON(c.Nodes)
				}
				var rows [][]string
				for _, n := range c.Nodes {
					rows = append(rows, nodeRow(n))
				}
				a.table([]string{"NODE", "STATE", "CPUS", "CPU", "MEMORY", "FREE", "VMS", "LIBVIRT", "QEMU", "SEEN", "REASON"}, rows)
				return nil
			})
		},
	})
}

func nodeRow(n model.Node) []string {
	return []string{
		string(n.Name), string(n.State), fmt.Sprint(n.CPUs), fmt.Sprintf("%.0f %%", n.CPUPercent), size(n.MemTotal), size(n.MemFree),
		fmt.Sprintf("%d/%d", n.Running, n.Defined), orDash(n.Libvirt), orDash(n.QEMU), age(n.Seen), firstLine(n.Reason),
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

func newVMsCommand(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use: "vms", Short: "List the VMs", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				c := e.Snapshot()
				vms := []*model.VM{}
				for _, v := range c.VMs {
					if all || !v.Tombstone {
						vms = append(vms, v)
					}
				}
				if a.json() {
					return a.printJSON(vms)
				}
				var rows [][]string
				for _, v := range vms {
					rows = append(rows, vmRow(*v))
				}
				a.table([]string{"VM", "NODE", "STATE", "VCPU", "MEMORY", "DISKS", "AGENT", "ADDRESS", "JOB", "UUID"}, rows)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also what finished moves left on their source until confirm")
	return a.addOutput(cmd)
}

func vmRow(v model.VM) []string {
	state := string(v.State)
	if v.Reason != "" {
		state += " (" + v.Reason + ")"
	}
	switch {
	case v.Tombstone:
		state = "moved away"
	case v.Arriving:
		state = "arriving"
	}
	addr := "-"
	if len(v.Addresses) > 0 {
		addr = v.Addresses[0]
	}
	disks := 0
	for _, d := range v.Disks {
		if d.Device == "disk" {
			disks++
		}
	}
	return []string{
		v.Name, string(v.Node), state, fmt.Sprint(v.VCPUs), size(v.Memory), fmt.Sprint(disks), string(v.Agent), addr,
		orDash(jobOf(v)), string(v.UUID),
	}
}

// jobOf names the move that has hold of a VM, and whose it is if not ours.
func jobOf(v model.VM) string {
	if m := v.Mark; m != nil && !m.Ours && m.By != "" && m.Job == v.Job {
		return string(v.Job) + " of " + m.By
	}
	return string(v.Job)
}

func newHealthCommand(a *app) *cobra.Command {
	return a.addOutput(&cobra.Command{
		Use: "health VM", Short: "Make the eight health checks of a VM now", Args: exactly("a VM"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				vm, err := findVM(e.Snapshot(), args[0])
				if err != nil {
					return err
				}
				results := []model.CheckResult{}
				worst := model.Pass
				err = e.Health(cmd.Context(), vm.UUID, vm.Node, func(r model.CheckResult) {
					results = append(results, r)
					worst = worst.Worse(r.Verdict)
					if !a.json() {
						fmt.Fprintln(a.out, checkLine(r))
					}
				})
				if err != nil {
					return err
				}
				if a.json() {
					if err := a.printJSON(results); err != nil {
						return err
					}
				}
				if worst == model.Fail {
					return &ExitError{Code: ExitOther, Err: fmt.Errorf("a health check of %s on %s failed", vm.Name, vm.Node)}
				}
				return nil
			})
		},
	})
}

func checkLine(r model.CheckResult) string {
	return fmt.Sprintf("%-4s  %-13s  %s  (%s)", r.Verdict, r.Title, r.Evidence, short(r.Duration))
}

func newDoctorCommand(a *app) *cobra.Command {
	return a.addOutput(&cobra.Command{
		Use: "doctor", Short: "Can every node be reached, is it fit, and what to do if not", Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withCluster(cmd.Context(), func(e *engine.Engine) error {
				reports := []engine.NodeReport{}
				worst := model.Pass
				err := e.Doctor(cmd.Context(), func(r engine.NodeReport) {
					reports = append(reports, r)
					for _, f := range r.Findings {
						worst = worst.Worse(f.Verdict)
					}
					if !a.json() {
						fmt.Fprintln(a.out, r.Node)
						a.findings(r.Findings)
					}
				})
				if err != nil {
					return err
				}
				if a.json() {
					if err := a.printJSON(reports); err != nil {
						return err
					}
				}
				if worst == model.Fail {
					return &ExitError{Code: ExitOther, Err: fmt.Errorf("not every node is fit; each failed point names its remedy")}
				}
				return nil
			})
		},
	})
}

func (a *app) findings(fs []model.Finding) {
	for _, f := range fs {
		fmt.Fprintf(a.out, "  %-4s  %-18s  %s\n", f.Verdict, f.Title, f.Detail)
		if f.Remedy != "" && f.Verdict != model.Pass {
			fmt.Fprintf(a.out, "        %-18s  → %s\n", "", f.Remedy)
		}
	}
}
