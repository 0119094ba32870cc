package screen

import (
	"fmt"
	"strings"
	"time"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// longestNode is how many cells the names of nodes want, within bounds.
func longestNode(e *Env, least, most int) int {
	for i := range e.Cluster.Nodes {
		least = max(least, text.Width(name(e.Cluster.Nodes[i].Name)))
	}
	return min(least, most)
}

func nodeTable(e *Env) widget.Table {
	return widget.Table{
		Heading: true,
		Empty:   "no node is configured; config.example.toml shows how",
		Columns: []widget.Column{
			{Title: "NODES", Width: 12, Min: longestNode(e, 8, 16), Grow: 1},
			{Title: "state", Width: 13},
			{Title: "CPU", Width: 18, Min: 12, Grow: 1},
			{Title: "load", Width: 16, Min: 10, Rank: 4},
			{Title: "memory", Width: 34, Min: 14, Grow: 2},
			{Title: "VMs", Width: 9, Min: 5, Right: true},
			{Title: "libvirt", Width: 8, Rank: 2},
			{Title: "QEMU", Width: 8, Rank: 3},
			{Title: "seen", Width: 8, Min: 6, Right: true, Rank: 1},
		},
	}
}

func nodeRow(e *Env, n model.Node, w int) widget.Row {
	th := e.Theme
	l, fresh := nodeLook(th, n.State), e.Fresh(n.Seen)
	first := widget.Cell{Text: name(n.Name), Style: th.Strong}
	state := widget.Cell{Text: l.String(), Style: l.style}
	if fresh == Lost && n.State != model.NodeUp && n.State != model.NodeBusy {
		why := text.Or(name(n.Reason), "no answer yet")
		if !n.Since.IsZero() && n.State != model.NodeConnecting {
			why += " (for " + text.Clock(e.Now.Sub(n.Since)) + ")"
		}
		return widget.Row{Cells: []widget.Cell{first, state, {Text: why, Style: th.Muted, Rest: true}}}
	}
	seen := widget.Cell{Text: "now", Style: th.Faint}
	if fresh != Fresh {
		seen = widget.Cell{Text: text.Clock(e.Now.Sub(n.Seen)), Style: th.Warn}
	}
	used, share := uint64(0), 0.0
	if n.MemTotal > 0 {
		used = n.MemTotal - min(n.MemFree, n.MemTotal)
		share = float64(used) / float64(n.MemTotal)
	}
	if n.Maintenance != nil {
		state = widget.Cell{Text: theme.SignWarn + " maintenance", Style: th.Warn}
	}
	note := ""
	if w >= 110 {
		note = text.FitRight(text.Bytes(used)+" of "+text.Bytes(n.MemTotal), 19)
	}
	row := widget.Row{Cells: []widget.Cell{
		first, state,
		loadCell(e, fresh, n.CPUPercent/100, ""),
		sparkCell(e, fresh, e.History[Target{Node: n.Name}].CPU, 100),
		loadCell(e, fresh, share, note),
		numberCell(e, fresh, fmt.Sprintf("%d/%d", n.Running, n.Defined)),
		{Text: name(n.Libvirt), Style: th.Muted},
		{Text: name(n.QEMU), Style: th.Muted},
		seen,
	}}
	if n.Reason != "" && n.State != model.NodeUp {
		row.Cells[2] = widget.Cell{Text: name(n.Reason), Style: th.Muted, Rest: true}
	}
	return row
}

// vmColumns are the columns of VMs that a person may leave out.
var vmColumns = []widget.Item{
	{ID: "node", Title: "node", Note: "where it is"},
	{ID: "state", Title: "state", Note: "with libvirt's reason"},
	{ID: "vcpu", Title: "vCPU", Note: "how many"},
	{ID: "mem", Title: "memory", Note: "what the guest has"},
	{ID: "cpu", Title: "CPU %", Note: "100 is one vCPU"},
	{ID: "disk", Title: "disk r/w", Note: "bytes per second"},
	{ID: "net", Title: "net rx/tx", Note: "bytes per second"},
	{ID: "up", Title: "uptime", Note: "of its process on this node"},
	{ID: "agent", Title: "agent", Note: "whether the guest agent answers"},
	{ID: "address", Title: "address", Note: "the first that is known"},
	{ID: "tags", Title: "tags", Note: "#words of its title and description"},
}

// vmTable is the table of VMs; the column of moves is there only while some
// VM is on the move, that of tags where there is plenty of room.
func vmTable(e *Env, moving bool) widget.Table {
	off := func(id string) bool { return e.Hidden[id] }
	return widget.Table{Columns: []widget.Column{
		{ID: "name", Title: "name", Width: 16, Min: 12, Grow: 2},
		{ID: "node", Title: "node", Width: 8, Min: longestNode(e, 6, 14), Grow: 1, Hidden: off("node")},
		{ID: "state", Title: "state", Width: 18, Min: 13, Grow: 1, Hidden: off("state")},
		{Title: "move", Width: 14, Rank: 2, Hidden: !moving},
		{ID: "vcpu", Title: "vCPU", Width: 6, Min: 4, Right: true, Rank: 6, Hidden: off("vcpu")},
		{ID: "mem", Title: "memory", Width: 8, Right: true, Rank: 3, Hidden: off("mem")},
		{ID: "cpu", Title: "CPU %", Width: 7, Min: 5, Right: true, Rank: 1, Hidden: off("cpu")},
		{ID: "disk", Title: "disk r/w", Width: 11, Right: true, Rank: 8, Hidden: off("disk")},
		{ID: "net", Title: "net rx/tx", Width: 11, Right: true, Rank: 9, Hidden: off("net")},
		{ID: "up", Title: "uptime", Width: 7, Right: true, Rank: 10, Hidden: off("up")},
		{ID: "agent", Title: "agent", Width: 6, Rank: 7, Hidden: off("agent")},
		{ID: "address", Title: "address", Width: 15, Min: 13, Rank: 5, Hidden: off("address")},
		{ID: "tags", Title: "tags", Width: 16, Min: 10, Rank: 11, Hidden: off("tags")},
	}}
}

func vmRow(e *Env, v model.VM, marked bool) widget.Row {
	th := e.Theme
	l, fresh := vmLook(e, v), e.Fresh(v.Seen)
	first := th.Strong
	if v.Tombstone || v.State == model.StateShutoff {
		first = th.Muted
	}
	address := "-"
	if has := addresses(&v); len(has) > 0 {
		address = has[0]
		if more := len(has) - 1; more > 0 {
			address += fmt.Sprintf(" +%d", more)
		}
	}
	live := model.DomainStatus{State: v.State}.Live()
	num := func(s string) widget.Cell {
		if !live {
			s = "-"
		}
		return numberCell(e, fresh, s)
	}
	move := moveMark(e, v)
	r := widget.Row{Cells: []widget.Cell{
		{Text: name(v.Name), Style: first},
		{Text: name(v.Node), Style: th.Text},
		{Text: l.String(), Short: l.brief(), Style: l.style},
		{Text: move, Style: th.Accent},
		numberCell(e, fresh, fmt.Sprint(v.VCPUs)),
		numberCell(e, fresh, text.Bytes(v.Memory)),
		num(cpuNumber(v.CPUPercent)),
		num(rates(v.DiskRead, v.DiskWrite)),
		num(rates(v.NetRx, v.NetTx)),
		numberCell(e, fresh, uptime(e, &v)),
		{Text: agentWord(v), Style: th.Muted},
		{Text: address, Style: th.Muted},
		{Text: strings.Join(text.CleanAll(v.Tags), " "), Style: th.Muted},
	}}
	if marked {
		r.Mark, r.MarkStyle = theme.SignMark, th.Accent
	}
	return r
}

// rates are two rates in few cells.
func rates(a, b float64) string {
	if a < 1 && b < 1 {
		return "-"
	}
	return text.ShortRate(a) + "/" + text.ShortRate(b)
}

// uptime is how long its process has been on this node, in one unit or two.
func uptime(e *Env, v *model.VM) string {
	if v.Started.IsZero() || !isLive(v) {
		return "-"
	}
	d := e.Now.Sub(v.Started)
	switch {
	case d < time.Minute:
		return "< 1m"
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh %02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd %02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// anyMove tells whether a move has hold of one of the VMs.
func anyMove(vms []*model.VM) bool {
	for i := range vms {
		if vms[i].Job != "" {
			return true
		}
	}
	return false
}

// moveMark says in a few cells what move has hold of a VM.
func moveMark(e *Env, v model.VM) string {
	if v.Job == "" {
		return ""
	}
	j, ok := e.Job(v.Job)
	if !ok && v.Mark != nil && v.Mark.Role == model.RoleWaiting {
		return theme.SignJob + " queued elsewhere"
	}
	if !ok {
		return theme.SignJob + " elsewhere" // by another console
	}
	to := j.To
	if v.Node == j.To {
		to = j.From
	}
	sign := theme.SignMove
	if v.Node == j.To {
		sign = theme.SignBack
	}
	s := sign + " " + name(to)
	if f, known := overall(j); known && ticking(j) && !j.Switched {
		return s + " " + text.Percent(f)
	}
	if j.State == model.JobQueued {
		return fmt.Sprintf("%s place %d", s, j.Place)
	}
	if j.State == model.JobPerson || j.State == model.JobInterrupted || j.State == model.JobAwaiting {
		return s + " " + theme.SignWarn
	}
	return s
}

func jobTable(heading string) widget.Table {
	return widget.Table{
		Heading: true,
		Empty:   "no move has been made here yet; m on a VM begins one",
		Columns: []widget.Column{
			{Title: heading, Width: 16, Min: 11, Grow: 1},
			{Title: "from, to", Width: 20, Min: 15, Grow: 1},
			{Title: "state", Width: 18, Min: 17},
			{Title: "across", Width: 18, Min: 12, Grow: 1, Rank: 1},
			{Title: "", Width: 30, Min: 14, Grow: 2, Rank: 2},
			{Title: "for", Width: 8, Right: true, Rank: 3},
		},
	}
}

func jobRow(e *Env, j model.Job) widget.Row {
	th := e.Theme
	l := jobLook(th, j.State)
	cur := j.Current()
	if j.State == model.JobRunning && cur.ID != "" {
		l.word = model.PhaseTitles[cur.ID]
	}
	across := widget.Cell{Text: "", Style: th.Faint}
	if f, known := overall(j); known && j.State != model.JobRefused && (ticking(j) || f == 1) && j.State != model.JobUndone {
		fresh := Fresh
		if ticking(j) && j.Progress != nil && !j.Switched && cur.ID != model.PhaseGate && cur.ID != model.PhaseSwitch {
			fresh = e.FreshReading(j.Progress.At)
		}
		look := th.Accent
		if j.Switched {
			look = th.OK
		}
		across = gaugeCell(e, fresh, f, look, "")
	}
	note := widget.Cell{Text: jobNote(e, j), Style: th.Muted}
	switch j.State {
	case model.JobAwaiting:
		note.Short = "enter, then c"
	case model.JobInterrupted:
		note.Short = "enter, then s"
	}
	if j.State == model.JobPerson || j.Progress != nil && j.Progress.Diverging != "" && j.State == model.JobRunning {
		note.Style = th.Warn
	}
	return widget.Row{Cells: []widget.Cell{
		{Text: name(j.VMName), Style: th.Strong},
		{Text: name(j.From) + " " + theme.SignMove + " " + name(j.To), Style: th.Text},
		{Text: l.String(), Style: l.style},
		across, note,
		{Text: text.Clock(elapsed(j, e.Now)), Style: th.Muted},
	}}
}

// elsewhere names the console that has a move.
func elsewhere(by string) string { return text.Or(name(by), "another console") + ", by its mark" }

// jobNote is the one thing worth saying of a job in a list.
func jobNote(e *Env, j model.Job) string {
	if j.Elsewhere {
		return "of " + elsewhere(j.By)
	}
	if j.State == model.JobRunning && j.Progress != nil {
		parts := []string{}
		if r := j.Progress.MemRate + j.Progress.DiskRate; r > 0 {
			parts = append(parts, text.Rate(float64(r)))
		}
		if t := timeToGo(j); t != "" {
			parts = append(parts, t)
		}
		if a := model.Age(j.Progress.At, e.Now); a >= e.ReadingStaleAfter() && !j.Switched {
			parts = append(parts, "last sample "+text.Clock(a)+" ago")
		}
		return strings.Join(parts, ", ")
	}
	if j.State == model.JobQueued {
		return fmt.Sprintf("place %d: %s", j.Place, name(j.Waits))
	}
	if j.State == model.JobInterrupted {
		return "enter, then s settles it"
	}
	if j.Result == nil {
		return ""
	}
	switch {
	case j.State == model.JobAwaiting:
		return "enter, then c confirms or r rolls back"
	case j.Result.Reason != "":
		return name(j.Result.Reason)
	case j.Result.Downtime > 0 && !movesMemory(j):
		return "off for " + text.Duration(j.Result.Downtime)
	case j.Result.Downtime > 0:
		return "paused for " + text.Duration(j.Result.Downtime)
	}
	return name(j.Result.Next)
}
