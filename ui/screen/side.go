package screen

import (
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// The column at the side of the cluster page shows of the thing under the cursor
// what else would need its own page, as far as the height allows.

// vmSide is all of a VM, in w cells.
func vmSide(e *Env, v *model.VM, w, h int) []string {
	lines := vmFacts(e, *v, w)
	lines = addPart(lines, vmCharts(e, v, w, 3), h)
	var disks, nics []widget.Fact
	for _, d := range v.Disks {
		parts := []string{"empty"}
		if d.Source != "" {
			parts = []string{name(d.Format), name(d.Source)}
			if d.Capacity > 0 {
				parts = append([]string{text.Bytes(d.Allocation) + " of " + text.Bytes(d.Capacity)}, parts...)
			}
		}
		disks = append(disks, widget.Fact{Label: name(d.Target), Value: strings.Join(parts, ", "), Style: e.Theme.Text})
	}
	for _, n := range v.NICs {
		nics = append(nics, widget.Fact{Label: text.Or(name(n.Target), "-"), Value: name(n.MAC) + " on " + name(n.Type) + " " + name(n.Source), Style: e.Theme.Text})
	}
	lines = addPart(lines, part(e, "DISKS", disks, w), h)
	return addPart(lines, part(e, "NETWORK", nics, w), h)
}

// nodeSide is all of a node, in w cells.
func nodeSide(e *Env, n model.Node, w, h int) []string {
	lines := nodeFacts(e, n, w)
	lines = addPart(lines, nodeCharts(e, n, w), h)
	var pools []widget.Fact
	for _, p := range n.Pools {
		words := "not active"
		if p.Active {
			words = text.Bytes(p.Available) + " free of " + text.Bytes(p.Capacity)
		}
		pools = append(pools, widget.Fact{Label: name(p.Name), Value: words + ", " + name(p.Path), Style: e.Theme.Text})
	}
	return addPart(lines, part(e, "POOLS", pools, w), h)
}

func part(e *Env, title string, facts []widget.Fact, w int) []string {
	if len(facts) == 0 {
		return nil
	}
	return append([]string{" " + e.Theme.Strong.Render(title)}, widget.Facts(e.Theme, w, facts)...)
}

// addPart adds a part with a line of air over it, if there is room for all of it.
func addPart(lines, part []string, h int) []string {
	if len(part) == 0 || len(lines)+1+len(part) > h {
		return lines
	}
	return append(append(lines, ""), part...)
}

// nodeCharts draws the readings of a node kept so far.
func nodeCharts(e *Env, n model.Node, w int) []string {
	th := e.Theme
	series := e.History[Target{Node: n.Name}]
	span := "the readings begin now"
	if len(series.CPU) > 1 {
		span = "the last " + text.Clock(e.Now.Sub(series.Since))
	}
	lines := []string{" " + th.Strong.Render("LOAD") + "  " + th.Muted.Render(span)}
	for _, c := range []struct {
		title  string
		values []float64
	}{{"CPU", series.CPU}, {"memory", series.Memory}} {
		lines = append(lines, " "+th.Muted.Render(c.title))
		for _, l := range widget.Chart(c.values, max(0, w-3), 3, 100) {
			lines = append(lines, " "+th.Accent.Render(l))
		}
		lines = append(lines, " "+th.Line.Render(strings.Repeat(theme.Rule, max(0, w-3))))
	}
	return lines
}
