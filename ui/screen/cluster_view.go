package screen

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"

	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// clusterBox is how the cluster page is shared out: the lines of each pane,
// with its headings, and the columns of the detail at the side, 0 for none.
type clusterBox struct {
	nodes, vms, jobs int
	main, side       int
}

// sideFrom is the width from which there is room for details at the side.
const sideFrom = 160

func (c *Cluster) layout(w, h int) clusterBox {
	return clusterLayout(w, h, len(c.env.Cluster.Nodes), len(c.running))
}

// clusterLayout shares w by h cells: nodes and jobs get what they need within
// a part of the height, the VMs all that is left.
func clusterLayout(w, h, nodes, jobs int) clusterBox {
	b := clusterBox{main: w}
	if w >= sideFrom {
		b.side = min(60, w/4)
		b.main = w - b.side - 3
	}
	b.nodes = 1 + max(1, min(nodes, max(3, (h-8)/3)))
	if jobs > 0 {
		b.jobs = 1 + min(jobs, max(2, (h-8)/6))
	}
	b.vms = h - b.nodes - 1
	if b.jobs > 0 {
		b.vms -= b.jobs + 1
	}
	b.vms = max(0, b.vms)
	return b
}

// View implements Screen.
func (c *Cluster) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	box := c.layout(w, h)
	parts := []string{c.nodesView(box), "", c.vmsView(box)}
	if box.jobs > 0 {
		parts = append(parts, "", c.jobsView(box))
	}
	page := text.Block(strings.Join(parts, "\n"), box.main, h)
	if box.side > 0 {
		page = text.Beside(page, box.main, 3, c.sideView(box.side, h))
	}
	return page
}

func (c *Cluster) nodesView(box clusterBox) string {
	t := nodeTable(c.env)
	t.Focus = c.focus == paneNodes
	nodes := c.env.Cluster.Nodes
	list := c.nodes
	if !t.Focus {
		list.Cursor = max(0, min(list.Cursor, len(nodes)-1))
	}
	return t.View(c.env.Theme, box.main, box.nodes, list, len(nodes), func(i int) widget.Row {
		return nodeRow(c.env, nodes[i], box.main)
	})
}

func (c *Cluster) jobsView(box clusterBox) string {
	t := jobTable("MOVES")
	t.Focus = c.focus == paneJobs
	return t.View(c.env.Theme, box.main, box.jobs, c.jobs, len(c.running), func(i int) widget.Row {
		return jobRow(c.env, c.running[i])
	})
}

func (c *Cluster) vmsView(box clusterBox) string {
	vms := c.env.Cluster.VMs
	t := vmTable(c.env, anyMove(vms))
	t.Focus, t.Sorted, t.Reverse = c.focus == paneVMs, c.sort, c.reverse
	t.Empty = "no VM is defined on the nodes that answer"
	if !c.input.Empty() {
		t.Empty = "no VM matches; esc shows all again"
	}
	if c.fuzzy {
		t.Sorted = ""
	}
	head := c.vmsHeading(box.main, t.Sorted != "" && !t.Shows(t.Sorted, box.main))
	if c.grouped { // the node leads, and is named once
		t.Columns[0], t.Columns[1] = t.Columns[1], t.Columns[0]
		t.Columns[0].Hidden, t.Columns[0].Width, t.Columns[0].Min, t.Columns[0].Grow = false, 12, 8, 0
	}
	first := c.vms.Clamp(len(c.order), box.vms-2).Offset
	rows := t.View(c.env.Theme, box.main, box.vms-1, c.vms, len(c.order), func(i int) widget.Row {
		v := vms[c.order[i]]
		r := vmRow(c.env, *v, c.marks[v.UUID])
		if c.grouped {
			r.Cells[0], r.Cells[1] = widget.Cell{Text: name(v.Node), Style: c.env.Theme.Lead}, r.Cells[0]
			if i > first && vms[c.order[i-1]].Node == v.Node {
				r.Cells[0].Text = ""
			}
		}
		return r
	})
	return head + "\n" + rows
}

func (c *Cluster) vmsHeading(w int, unseen bool) string {
	th := c.env.Theme
	all := len(c.env.Cluster.VMs)
	note := humanize.Comma(int64(all))
	if !c.input.Empty() {
		note = fmt.Sprintf("%s of %s", humanize.Comma(int64(len(c.order))), humanize.Comma(int64(all)))
	}
	if c.grouped {
		note += ", by node"
	}
	if c.fuzzy {
		note += ", names like it"
	}
	if unseen { // the column that would say so is not there
		sign := theme.SignUp
		if c.reverse {
			sign = theme.SignDown
		}
		note += ", by " + sortTitle(c.sort) + " " + sign
	}
	if n := len(c.marks); n > 0 {
		note += fmt.Sprintf(", %s %d marked", theme.SignMark, n)
	}
	head := widget.Heading(th, min(w, 5+2+text.Width(note)+1), "VMs", note, c.focus == paneVMs)
	switch {
	case c.typing:
		room := max(1, w-text.Width(head)-4)
		return text.Fit(head+"  "+th.Accent.Render("/")+c.input.View(th, room), w)
	case !c.input.Empty():
		return text.Fit(head+"  "+th.Accent.Render("/"+name(c.input.Value()))+th.Faint.Render("  esc shows all"), w)
	}
	return text.Fit(head, w)
}

// sideView is the detail of what is under the cursor.
func (c *Cluster) sideView(w, h int) string {
	th := c.env.Theme
	var lines []string
	switch c.focus {
	case paneNodes:
		if n, ok := c.env.Node(c.node); ok {
			lines = append(lines, " "+th.Strong.Render(name(n.Name)), "")
			lines = append(lines, nodeSide(c.env, n, w-2, h-2)...)
		}
	case paneVMs:
		if v := c.current(); v != nil {
			lines = append(lines, " "+th.Strong.Render(name(v.Name)), "")
			lines = append(lines, vmSide(c.env, v, w-2, h-2)...)
		}
	case paneJobs:
		if j, ok := c.env.Anyones(c.job); ok {
			lines = append(lines, " "+th.Strong.Render(name(j.VMName)), "")
			lines = append(lines, jobFacts(c.env, j, w-2)...)
		}
	}
	out := make([]string, 0, h)
	for i := range h {
		l := ""
		if i < len(lines) {
			l = lines[i]
		}
		out = append(out, th.Line.Render("│")+text.Fit(l, w-1))
	}
	return strings.Join(out, "\n")
}

// click puts the cursor where it was clicked.
func (c *Cluster) click(x, y int) {
	box := c.layout(c.env.W, c.env.H)
	if x >= box.main {
		return
	}
	vmsAt := box.nodes + 1
	jobsAt := vmsAt + box.vms + 1
	switch {
	case y < box.nodes:
		if i := c.nodes.Hit(y, len(c.env.Cluster.Nodes), box.nodes); i >= 0 {
			c.focus, c.nodes.Cursor = paneNodes, i
		}
	case y >= vmsAt && y < vmsAt+box.vms:
		if i := c.vms.Hit(y-vmsAt-1, len(c.order), box.vms-1); i >= 0 {
			c.focus, c.vms.Cursor = paneVMs, i
		}
	case box.jobs > 0 && y >= jobsAt:
		if i := c.jobs.Hit(y-jobsAt, len(c.running), box.jobs); i >= 0 {
			c.focus, c.jobs.Cursor = paneJobs, i
		}
	}
	c.settle()
}
