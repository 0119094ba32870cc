package virt

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"libvirt.org/go/libvirtxml"

	"horcrux/engine/model"
)

// Abilities are the facts of the host's capabilities that decide what may run
// on it and what may come to it.
func (c *Conn) Abilities(ctx context.Context) ([]model.Capability, error) {
	text, err := c.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	a, err := readAbilities(text)
	if err != nil {
		return nil, c.failed("read the host's capabilities", &answerError{err})
	}
	return a, nil
}

func readAbilities(text string) ([]model.Capability, error) {
	var x libvirtxml.Caps
	if err := parseXML(text, &x); err != nil {
		return nil, err
	}
	var out []model.Capability
	add := func(name, value string) {
		if value = Clean(value); value != "" {
			out = append(out, model.Capability{Name: name, Value: value})
		}
	}
	if cpu := x.Host.CPU; cpu != nil {
		add("architecture", cpu.Arch)
		add("CPU model", strings.TrimSpace(cpu.Vendor+" "+cpu.Model))
		if t := cpu.Topology; t != nil {
			add("topology", fmt.Sprintf("%s, %s, %s", count(t.Sockets, "socket"), count(t.Cores, "core"), count(t.Threads, "thread")))
		}
	}
	if n := x.Host.NUMA; n != nil && n.Cells != nil {
		add("NUMA nodes", fmt.Sprint(len(n.Cells.Cells)))
	}
	if m := x.Host.MigrationFeatures; m != nil {
		ways := []string{}
		if m.Live != nil {
			ways = append(ways, "live")
		}
		if m.URITransports != nil {
			ways = append(ways, m.URITransports.URI...)
		}
		add("migration", strings.Join(ways, ", "))
	}
	models := make([]string, 0, len(x.Host.SecModel))
	for _, s := range x.Host.SecModel {
		models = append(models, s.Name)
	}
	add("security models", strings.Join(models, ", "))
	if i := x.Host.IOMMU; i != nil {
		add("IOMMU", i.Support)
	}
	if c := x.Host.CPU; c != nil {
		names := make([]string, 0, len(c.FeatureFlags))
		for _, f := range c.FeatureFlags {
			names = append(names, f.Name)
		}
		slices.Sort(names)
		add("CPU features", strings.Join(names, " "))
	}
	for _, g := range x.Guests {
		types := []string{}
		for _, d := range g.Arch.Domains {
			types = append(types, d.Type)
		}
		machines := []string{}
		for _, m := range g.Arch.Machines {
			if m.Canonical != "" {
				machines = append(machines, m.Name+" ("+m.Canonical+")")
			}
		}
		add("guests "+Clean(g.Arch.Name), strings.Join(types, ", ")+", machines "+strings.Join(machines, ", "))
	}
	return out, nil
}

func count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
