package screen

import (
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// sideBySide is the width from which a page has room for two columns.
const sideBySide = 120

// overviewSides are the widths of the two columns of the first page.
func overviewSides(w int) (left, right int) {
	left = max(54, w*2/5)
	return left, w - left - 3
}

// overview is the first page: facts, charts, disks, interfaces.
func (s *VM) overview(w, h int) string {
	th := s.env.Theme
	if w < sideBySide {
		return strings.Join(widget.Scrolled(th, s.overviewLines(w), s.scroll, h), "\n")
	}
	left, right := overviewSides(w)
	side := widget.Scrolled(th, s.overviewSide(right), s.scroll, h)
	own, _ := widget.Window(vmFacts(s.env, s.vm, left), 0, h)
	return text.Beside(strings.Join(own, "\n"), left, 3, strings.Join(side, "\n"))
}

func (s *VM) overviewLines(w int) []string {
	all := append(append(vmFacts(s.env, s.vm, w), ""), s.charts(w, 2)...)
	return append(append(all, ""), s.devices(w)...)
}

// overviewSide is the column beside the facts.
func (s *VM) overviewSide(w int) []string {
	tall := 3
	if s.env.H >= 46 {
		tall = 5
	}
	return append(append(s.charts(w, tall), ""), s.devices(w)...)
}

func (s *VM) devices(w int) []string {
	return append(append(diskLines(s.env, s.vm, w), ""), nicLines(s.env, s.vm, w)...)
}

// charts draws the readings kept so far, each with its number now.
func (s *VM) charts(w, tall int) []string { return vmCharts(s.env, &s.vm, w, tall) }

// vmCharts draws the readings of a VM, two charts beside each other.
func vmCharts(e *Env, v *model.VM, w, tall int) []string {
	th := e.Theme
	series := e.History[Target{v.UUID, v.Node}]
	fresh := e.Fresh(v.Seen)
	now := func(s string) string {
		switch {
		case fresh == Lost:
			return text.Unknown
		case !isLive(v):
			return "-"
		}
		return s
	}
	span := "the readings begin now"
	if n := len(series.CPU); n > 1 {
		span = "the last " + text.Clock(e.Now.Sub(series.Since))
	}
	type chart struct {
		title, value, short string
		values              []float64
		top                 float64
		look                theme.Style
	}
	all := []chart{
		{"CPU", now(fmt.Sprintf("%s %% of %d", cpuNumber(v.CPUPercent), 100*v.VCPUs)), "", series.CPU, float64(100 * max(1, v.VCPUs)), th.Accent},
		{"memory on the host", now(text.Bytes(v.HostMemory)), "host memory  " + now(text.Bytes(v.HostMemory)), series.Memory, 1.25 * float64(max(v.Memory, v.HostMemory)), th.Accent},
		{"disk", now("read " + text.Rate(v.DiskRead) + ", write " + text.Rate(v.DiskWrite)), "disk  " + now(rates(v.DiskRead, v.DiskWrite)), both(series.Read, series.Write), 0, th.OK},
		{"network", now("in " + text.Rate(v.NetRx) + ", out " + text.Rate(v.NetTx)), "network  " + now(rates(v.NetRx, v.NetTx)), both(series.Rx, series.Tx), 0, th.OK},
	}
	lines := []string{" " + th.Strong.Render("LOAD") + "  " + th.Muted.Render(span)}
	cell := (w - 3) / 2
	for i := 0; i+1 < len(all); i += 2 {
		a, b := all[i], all[i+1]
		head := func(c chart) string {
			if c.short != "" && text.Width(c.title+c.value)+2 > cell {
				c.title, c.value, _ = strings.Cut(c.short, "  ")
			}
			return text.Fit(th.Muted.Render(c.title)+"  "+th.Text.Render(c.value), cell)
		}
		lines = append(lines, " "+head(a)+"  "+head(b))
		ca, cb := widget.Chart(a.values, cell-1, tall, a.top), widget.Chart(b.values, cell-1, tall, b.top)
		for k := range ca {
			lines = append(lines, " "+a.look.Render(ca[k])+"   "+b.look.Render(cb[k]))
		}
		lines = append(lines, " "+th.Line.Render(strings.Repeat(theme.Rule, max(0, cell-1)))+"   "+th.Line.Render(strings.Repeat(theme.Rule, max(0, cell-1))))
	}
	return lines
}

// both adds two lists of readings of the same moments.
func both(a, b []float64) []float64 {
	out := make([]float64, min(len(a), len(b)))
	for i := range out {
		out[i] = a[len(a)-len(out)+i] + b[len(b)-len(out)+i]
	}
	return out
}

// waiting is what stands in the place of details that are not there.
func (s *VM) waiting() []string {
	th := s.env.Theme
	switch {
	case s.err != nil:
		lines := []string{" " + th.Bad.Render(theme.SignFail+" "+name(s.vm.Node)+" did not say") + th.Muted.Render("  r asks again")}
		for _, l := range text.Wrap(name(s.err.Error()), max(10, s.env.W-6)) {
			lines = append(lines, "   "+th.Text.Render(l))
		}
		return lines
	case s.details == nil:
		return []string{" " + th.Muted.Render(theme.SignHalf+" asking "+name(s.vm.Node)+" …")}
	}
	return nil
}

// disksPage shows every disk with the files under it.
func (s *VM) disksPage(w int) []string {
	th := s.env.Theme
	var lines []string
	for _, d := range s.vm.Disks {
		what := name(d.Device)
		for _, x := range []string{name(d.Format), name(d.Type), text.Or(name(d.Cache), "default") + " cache"} {
			what += ", " + text.Or(x, "-")
		}
		if d.ReadOnly {
			what += ", read only"
		}
		if d.Shareable {
			what += ", shareable"
		}
		lines = append(lines, " "+th.Strong.Render(text.Fit(name(d.Target), 6))+th.Muted.Render(what))
		if d.Source == "" {
			lines = append(lines, "        "+th.Muted.Render("(empty)"), "")
			continue
		}
		if d.Capacity > 0 {
			lines = append(lines, "        "+widget.Gauge(th, min(40, max(8, w/4)), float64(d.Allocation)/float64(d.Capacity), th.Accent, theme.Style{})+
				th.Text.Render("  "+text.Bytes(d.Allocation))+th.Muted.Render(" taken of ")+th.Text.Render(text.Bytes(d.Capacity)))
		}
		lines = append(lines, s.chainLines(d, w)...)
		lines = append(lines, "")
	}
	if len(s.vm.Disks) == 0 {
		lines = append(lines, " "+th.Muted.Render("it has no disk"))
	}
	if s.details == nil || s.err != nil {
		lines = append(lines, s.waiting()...)
	} else {
		for _, e := range s.details.Errs {
			for _, l := range text.Wrap(theme.SignWarn+" "+name(e), w-3) {
				lines = append(lines, " "+th.Warn.Render(l))
			}
		}
	}
	return lines
}

func (s *VM) chainLines(d model.Disk, w int) []string {
	th := s.env.Theme
	files := []model.ChainFile{{Path: d.Source, Format: d.Format}}
	if s.details != nil && len(s.details.Chains[d.Target]) > 0 {
		files = s.details.Chains[d.Target]
	}
	var lines []string
	for i, f := range files {
		lead := "        "
		if i > 0 {
			lead += text.Spaces(2*min(i-1, 6)) + "╰╴"
		}
		size := ""
		if f.Taken > 0 || f.Size > 0 {
			size = "  " + text.Bytes(f.Taken) + " on disk"
		}
		kind := text.Or(name(f.Format), "?") + size
		room := max(8, w-text.Width(lead)-text.Width(kind)-3)
		lines = append(lines, th.Faint.Render(lead)+th.Text.Render(text.CutLeft(name(f.Path), room))+"  "+th.Muted.Render(kind))
	}
	return lines
}

func (s *VM) noSnapshot() string {
	switch {
	case s.page != vmSnapshots:
		return "that is for the page snapshots"
	case s.details == nil || len(s.details.Snapshots) == 0:
		return "there is no snapshot"
	}
	return cannotTouch(s.env, []model.VM{s.vm})
}

// onSnapshot asks before a snapshot is gone back to, or deleted.
func (s *VM) onSnapshot(id string) []Intent {
	snap := s.details.Snapshots[s.snaps.Clamp(len(s.details.Snapshots), s.body()).Cursor]
	q := widget.Confirm{Type: name(s.vm.Name), Grave: true, Facts: append(factsOf(s.env, []model.VM{s.vm}), widget.Fact{
		Label: "snapshot", Value: name(snap.Name) + ", taken " + stamp(snap.Created), Style: s.env.Theme.Strong,
	})}
	act := model.SnapshotAct{Kind: model.SnapshotRevert, Name: snap.Name}
	if id == "revert" {
		q.Title = "revert " + name(s.vm.Name) + "?"
		q.Lines = []string{"Everything written since " + text.Ago(snap.Created, s.env.Now) + " is lost: disks go back to the snapshot, and the VM is then " + domainLook(plainTheme, snap.State).word + "."}
	} else {
		act.Kind = model.SnapshotDelete
		q.Title = "delete snapshot " + name(snap.Name) + "?"
		q.Lines = []string{"The VM stays as it is; it cannot be put back to this snapshot any more."}
	}
	vm := s.vm
	return []Intent{Ask{Question: q, Then: Snap{VM: vm, Act: act}, Gone: func(e *Env) string { return cannotTouch(e, []model.VM{vm}) }}}
}

// longestSnapshot is how many cells the names of snapshots want, within bounds.
func (s *VM) longestSnapshot(least, most int) int {
	for _, n := range s.details.Snapshots {
		least = max(least, text.Width(name(n.Name)))
	}
	return min(least, most)
}

func (s *VM) snapshotsPage(w, h int) string {
	th := s.env.Theme
	if l := s.waiting(); l != nil {
		return strings.Join(l, "\n")
	}
	t := widget.Table{Heading: true, Focus: true, Empty: "no snapshot; a n takes one", Columns: []widget.Column{
		{Title: "SNAPSHOTS", Width: 24, Min: s.longestSnapshot(16, 28), Grow: 1},
		{Title: "taken", Width: 23, Min: 16},
		{Title: "VM was", Width: 9},
		{Title: "kept in", Width: 14, Rank: 3},
		{Title: "parent", Width: 16, Min: 8, Rank: 2},
		{Title: "description", Width: 20, Min: 11, Grow: 2, Rank: 1},
	}}
	list := s.details.Snapshots
	return t.View(th, w, h, s.snaps, len(list), func(i int) widget.Row {
		n := list[i]
		kept := "the disks"
		if n.External {
			kept = "files beside"
		}
		r := widget.Row{Cells: []widget.Cell{
			{Text: name(n.Name), Style: th.Strong},
			{Text: stamp(n.Created), Short: n.Created.Format("2006-01-02 15:04"), Style: th.Text},
			{Text: domainLook(th, n.State).word, Style: th.Text},
			{Text: kept, Style: th.Muted},
			{Text: text.Or(name(n.Parent), "-"), Style: th.Muted},
			{Text: name(n.Description), Style: th.Muted},
		}}
		if n.Current {
			r.Mark, r.MarkStyle = theme.SignOn, th.OK
			r.Cells[5].Text = strings.TrimSpace("(now) " + r.Cells[5].Text)
		}
		return r
	})
}

func (s *VM) xmlPage(w, h int) string {
	if l := s.waiting(); l != nil {
		return strings.Join(l, "\n")
	}
	return s.xml.view(s.env.Theme, w, h)
}

// historyPage lists the moves of this VM that this machine knows of.
func (s *VM) historyPage(w, h int) string {
	t := jobTable("MOVES OF " + strings.ToUpper(name(s.vm.Name)))
	t.Columns[0].Title = "MOVES"
	t.Columns = append([]widget.Column{{Title: "MOVES", Width: 16}}, t.Columns[1:]...)
	t.Focus, t.Empty = true, "no move of it is known on this machine; m begins one"
	return t.View(s.env.Theme, w, h, s.job, len(s.moves), func(i int) widget.Row {
		r := jobRow(s.env, s.moves[i])
		r.Cells[0] = widget.Cell{Text: s.moves[i].Started.Format("2006-01-02 15:04"), Style: s.env.Theme.Strong}
		return r
	})
}

// diskLines are the disks of a VM, a line for each.
func diskLines(e *Env, v model.VM, w int) []string {
	t := widget.Table{Heading: true, Plain: true, Empty: "no disk", Columns: []widget.Column{
		{Title: "DISKS", Width: 10},
		{Title: "size", Width: 9, Right: true},
		{Title: "taken", Width: 9, Right: true, Rank: 2},
		{Title: "format", Width: 7},
		{Title: "cache", Width: 9, Rank: 3},
		{Title: "source", Width: 24, Min: 16, Grow: 1},
	}}
	th := e.Theme
	n := len(v.Disks)
	return strings.Split(t.View(th, w, max(2, n+1), widget.List{}, n, func(i int) widget.Row {
		d := v.Disks[i]
		source := name(d.Source)
		switch {
		case source == "":
			source = "(empty)"
		case d.ReadOnly:
			source += " (read only)"
		}
		size, taken := "-", "-"
		if d.Capacity > 0 {
			size, taken = text.Bytes(d.Capacity), text.Bytes(d.Allocation)
		}
		what := name(d.Target)
		if d.Device != "" && d.Device != "disk" {
			what += " " + name(d.Device)
		}
		return widget.Row{Cells: []widget.Cell{
			{Text: what, Style: th.Strong},
			{Text: size, Style: th.Text},
			{Text: taken, Style: th.Muted},
			{Text: text.Or(name(d.Format), "-"), Style: th.Text},
			{Text: text.Or(name(d.Cache), "-"), Style: th.Muted},
			{Text: source, Tail: true, Style: th.Text},
		}}
	}), "\n")
}

// nicLines are the interfaces of a VM, a line for each.
func nicLines(e *Env, v model.VM, w int) []string {
	t := widget.Table{Heading: true, Plain: true, Empty: "no interface", Columns: []widget.Column{
		{Title: "NETWORK", Width: 8},
		{Title: "MAC", Width: 17},
		{Title: "model", Width: 8, Rank: 3},
		{Title: "on", Width: 18, Min: 12},
		{Title: "addresses", Width: 18, Min: 12, Grow: 1, Rank: 2},
	}}
	th := e.Theme
	live := isLive(&v)
	n := len(v.NICs)
	return strings.Split(t.View(th, w, max(2, n+1), widget.List{}, n, func(i int) widget.Row {
		d := v.NICs[i]
		if !live {
			d.Addresses = nil
		}
		return widget.Row{Cells: []widget.Cell{
			{Text: text.Or(name(d.Target), "-"), Style: th.Strong},
			{Text: name(d.MAC), Style: th.Text},
			{Text: name(d.Model), Style: th.Muted},
			{Text: fmt.Sprintf("%s %s", name(d.Type), name(d.Source)), Style: th.Text},
			{Text: text.Or(strings.Join(text.CleanAll(d.Addresses), ", "), "-"), Style: th.Text},
		}}
	}), "\n")
}
