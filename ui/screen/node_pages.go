package screen

import (
	"strings"

	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// waiting is what stands in the place of details that are not there.
func (s *Node) waiting(w int) []string {
	th := s.env.Theme
	switch {
	case s.err != nil:
		lines := []string{" " + th.Bad.Render(theme.SignFail+" "+name(s.node.Name)+" did not say") + th.Muted.Render("  r asks again, t tries to reach it")}
		for _, l := range text.Wrap(name(s.err.Error()), max(10, w-6)) {
			lines = append(lines, "   "+th.Text.Render(l))
		}
		return lines
	case s.details == nil:
		return []string{" " + th.Muted.Render(theme.SignHalf+" asking "+name(s.node.Name)+" …")}
	}
	return nil
}

// errors are the parts that could not be read.
func (s *Node) errors(w int) []string {
	var lines []string
	for _, e := range s.details.Errs {
		for _, l := range text.Wrap(theme.SignWarn+" "+name(e), w-3) {
			lines = append(lines, " "+s.env.Theme.Warn.Render(l))
		}
	}
	return lines
}

func (s *Node) volumeLines(h int) int { return max(2, h-len(s.node.Pools)-4) }

// storage shows the pools with their space, and the volumes in them.
func (s *Node) storage(w, h int) string {
	th := s.env.Theme
	lines := append(s.poolLines(w), "")
	if l := s.waiting(w); l != nil {
		return strings.Join(append(lines, l...), "\n")
	}
	lines = append(lines, s.errors(w)...)
	t := widget.Table{Heading: true, Focus: true, Empty: "no volume", Columns: []widget.Column{
		{Title: "VOLUMES", Width: 26, Min: 16, Grow: 2},
		{Title: "pool", Width: 10, Min: 7},
		{Title: "format", Width: 7},
		{Title: "size", Width: 9, Right: true},
		{Title: "taken", Width: 9, Right: true},
		{Title: "used by", Width: 14, Min: 10, Grow: 1, Rank: 1},
		{Title: "path", Width: 30, Min: 20, Grow: 2, Rank: 2},
	}}
	users := map[string]string{}
	for i := range s.vms {
		for _, d := range s.vms[i].Disks {
			if d.Source != "" {
				users[d.Source] = name(s.vms[i].Name)
			}
			if d.Backing != "" && users[d.Backing] == "" {
				users[d.Backing] = name(s.vms[i].Name)
			}
		}
	}
	list := s.details.Volumes
	note := " as libvirt last read its pools; `virsh pool-refresh` has it read them again"
	table := t.View(th, w, max(2, h-len(lines)-1), s.volumes, len(list), func(i int) widget.Row {
		v := list[i]
		return widget.Row{Cells: []widget.Cell{
			{Text: name(v.Name), Style: th.Strong},
			{Text: name(v.Pool), Style: th.Text},
			{Text: text.Or(name(v.Format), "-"), Style: th.Text},
			{Text: text.Bytes(v.Capacity), Style: th.Text},
			{Text: text.Bytes(v.Allocation), Style: th.Muted},
			{Text: text.Or(users[v.Path], "-"), Style: th.Text},
			{Text: name(v.Path), Tail: true, Style: th.Muted},
		}}
	})
	return strings.Join(append(lines, table, text.Fit(th.Faint.Render(note), w)), "\n")
}

// scrolled are all lines of a page that scrolls as one.
func (s *Node) scrolled(w int) []string {
	if l := s.waiting(w); l != nil {
		return l
	}
	if s.page == nodeNetworks {
		return s.networks(w)
	}
	return s.capabilities(w)
}

func (s *Node) networks(w int) []string {
	th := s.env.Theme
	t := widget.Table{Heading: true, Plain: true, Empty: "no libvirt network; VMs may still use bridges of the host", Columns: []widget.Column{
		{Title: "NETWORKS", Width: 20, Min: 12, Grow: 1},
		{Title: "state", Width: 12},
		{Title: "kind", Width: 10},
		{Title: "bridge", Width: 14, Min: 8},
		{Title: "address", Width: 20, Min: 14},
		{Title: "starts with the node", Width: 20, Rank: 1},
		{Title: "VMs", Width: 5, Right: true, Rank: 2},
	}}
	users := map[string]int{}
	for i := range s.vms {
		for _, n := range s.vms[i].NICs {
			if n.Type == "network" {
				users[n.Source]++
			}
		}
	}
	list := s.details.Networks
	table := t.View(th, w, max(2, len(list)+1), widget.List{}, len(list), func(i int) widget.Row {
		n := list[i]
		state := look{sign: theme.SignOff, word: "not active", style: th.Muted}
		if n.Active {
			state = look{sign: theme.SignOn, word: "active", style: th.OK}
		}
		return widget.Row{Cells: []widget.Cell{
			{Text: name(n.Name), Style: th.Strong},
			{Text: state.String(), Style: state.style},
			{Text: name(n.Forward), Style: th.Text},
			{Text: text.Or(name(n.Bridge), "-"), Style: th.Text},
			{Text: text.Or(name(n.Address), "-"), Style: th.Text},
			{Text: map[bool]string{true: "yes", false: "no"}[n.Autostart], Style: th.Muted},
			numberCell(s.env, Fresh, text.Number(users[n.Name])),
		}}
	})
	return append(s.errors(w), strings.Split(table, "\n")...)
}

// capabilities shows what the host can do, and with it what it may receive: a
// guest comes only to a host with its machine type, its CPU and its networks.
func (s *Node) capabilities(w int) []string {
	th := s.env.Theme
	facts := make([]widget.Fact, 0, len(s.details.Capabilities)+2)
	receive := "what fits it: the pre-flight of a move compares CPU, machine type, networks, space"
	if s.node.Maintenance != nil {
		receive = "nothing: it is in maintenance"
	}
	facts = append(facts, widget.Fact{Label: "may receive", Value: receive, Style: th.Strong})
	for _, c := range s.details.Capabilities {
		facts = append(facts, widget.Fact{Label: name(c.Name), Value: name(c.Value), Style: th.Text})
	}
	return append(s.errors(w), widget.Facts(th, w, facts)...)
}
