package screen

import (
	"fmt"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// Matrix shows for each of some VMs what stands against a move to each node.
type Matrix struct {
	env   *Env
	vms   []model.VM
	nodes []model.NodeName
	list  widget.List
	col   int
	left  int // the first node shown
	plans map[planKey]planned
	deep  int // scroll of the detail
}

// NewMatrix makes the page for VMs as they were when the key was pressed.
func NewMatrix(e *Env, vms []model.VM) *Matrix {
	s := &Matrix{env: e, vms: vms, plans: map[planKey]planned{}}
	for _, n := range e.Cluster.Nodes {
		s.nodes = append(s.nodes, n.Name)
	}
	if len(vms) > 0 {
		for i, n := range s.nodes { // begin on a node where it is not
			if n != vms[0].Node {
				s.col = i
				break
			}
		}
	}
	return s
}

// Title implements Screen.
func (s *Matrix) Title() string { return "where to" }

// Typing implements Screen.
func (s *Matrix) Typing() bool { return false }

// Update implements Screen.
func (s *Matrix) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.env = m
		return s, s.want()
	case Opened:
		return s, s.want()
	case PlanArrived:
		k := planKey{m.Request.VM, m.Request.To}
		if p, ok := s.plans[k]; ok && p.pending && p.asked == m.Request {
			s.plans[k] = planned{asked: m.Request, plan: m.Plan, err: m.Err}
		}
		return s, s.want()
	case Wheel:
		s.list = s.list.Scroll(m.Lines, len(s.vms), s.rows(s.env.W, s.env.H))
		return s, s.want()
	case Click:
		if i := s.list.Hit(m.Y, len(s.vms), s.rows(s.env.W, s.env.H)+1); i >= 0 {
			s.list.Cursor, s.deep = i, 0
		}
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

// maxPending is how many pre-flights are under way at once: each asks two hosts.
const maxPending = 8

// want asks for the pre-flights of the rows that are seen, the one under the
// cursor first. Rows nobody has scrolled to cost no host anything.
func (s *Matrix) want() []Intent {
	pending := 0
	for _, p := range s.plans {
		if p.pending {
			pending++
		}
	}
	page := s.rows(s.env.W, s.env.H)
	s.list = s.list.Clamp(len(s.vms), page)
	var out []Intent
	rows := []int{s.list.Cursor}
	for i := s.list.Offset; i < min(len(s.vms), s.list.Offset+page); i++ {
		rows = append(rows, i)
	}
	for _, i := range rows {
		if i >= len(s.vms) {
			continue
		}
		v := s.vms[i]
		for _, to := range s.nodes {
			k := planKey{v.UUID, to}
			n, _ := s.env.Node(to)
			if _, asked := s.plans[k]; asked || to == v.Node || n.State != model.NodeUp && n.State != model.NodeBusy {
				continue
			}
			if pending >= maxPending {
				return out
			}
			pending++
			r := model.Request{VM: v.UUID, From: v.Node, To: to, Mode: modeFor(s.env, &v), Options: s.env.Defaults}
			s.plans[k] = planned{asked: r, pending: true}
			out = append(out, AskPlan{r})
		}
	}
	return out
}

// modeFor is the mode that the page of a move would begin with for this VM: one
// that is off has no other than offline.
func modeFor(e *Env, v *model.VM) model.Mode {
	if isOff(v) {
		return model.ModeOffline
	}
	return defaultMode(e)
}

func defaultMode(e *Env) model.Mode {
	if e.DefaultMode.Valid() {
		return e.DefaultMode
	}
	return model.ModeLive
}

func (s *Matrix) do(id string) []Intent {
	switch id {
	case "half-down", "half-up":
		if s.deepest() > 0 && len(s.vms) <= s.rows(s.env.W, s.env.H) {
			step := max(1, s.env.H/4)
			if id == "half-up" {
				step = -step
			}
			s.deep = max(0, min(s.deep+step, s.deepest()))
			return nil
		}
	}
	if l, ok := s.list.Move(id, len(s.vms), s.rows(s.env.W, s.env.H)); ok {
		s.list, s.deep = l, 0
		return s.want()
	}
	v, to := s.under()
	switch id {
	case "esc":
		return []Intent{Back{}}
	case "next-node":
		s.col, s.deep = min(s.col+1, len(s.nodes)-1), 0
	case "previous-node":
		s.col, s.deep = max(s.col-1, 0), 0
	case "again":
		s.plans = map[planKey]planned{}
		return s.want()
	case "open":
		return []Intent{OpenMigrate{VMs: []model.VM{v}, To: to}}
	case "all":
		return []Intent{OpenMigrate{VMs: s.vms, To: to}}
	case "remedy":
		return s.remedy()
	case "copy":
		return []Intent{Copy{Name: "reason", Text: strings.Join(s.reasons(v, to), "\n")}}
	}
	return nil
}

// under is the VM and the node that the cursor is on.
func (s *Matrix) under() (model.VM, model.NodeName) {
	if s.list.Cursor >= len(s.vms) || s.col >= len(s.nodes) {
		return model.VM{}, ""
	}
	return s.vms[s.list.Cursor], s.nodes[s.col]
}

// mend is what a key can do against what stands against a move: in words, and
// the wish. Without one there is no key for it.
func (s *Matrix) mend() (words string, do Intent) {
	v, to := s.under()
	n, ok := s.env.Node(to)
	switch {
	case !ok || to == v.Node:
		return "", nil
	case n.Maintenance != nil:
		return "end the maintenance of " + name(to), Maintain{Node: to}
	case n.State != model.NodeUp && n.State != model.NodeBusy:
		return "try to reach " + name(to) + " now", Reconnect{to}
	}
	p, ok := s.plans[planKey{v.UUID, to}]
	if !ok || p.pending {
		return "", nil
	}
	if p.err != nil {
		return "check again", Do{ID: "again"}
	}
	if f := p.plan.Blocking(); f != nil && f.ID == "snapshots" {
		return "show its snapshots", OpenVM{UUID: v.UUID, Node: v.Node, Page: int(vmSnapshots)}
	}
	if f := p.plan.Blocking(); f != nil && f.Remedy != "" {
		return "copy the remedy", Copy{Name: "remedy", Text: f.Remedy}
	}
	return "", nil
}

func (s *Matrix) remedy() []Intent {
	_, do := s.mend()
	switch m := do.(type) {
	case nil:
		return nil
	case Do:
		return s.do(m.ID)
	case Maintain:
		to := m.Node
		return []Intent{Ask{Question: widget.Confirm{
			Title: "end the maintenance of " + name(to) + "?", Yes: "end it", No: "leave it",
			Lines: []string{"VMs may be sent to it again."},
		}, Then: m}}
	}
	return []Intent{do}
}

// Scope implements Screen.
func (s *Matrix) Scope() bind.Scope {
	v, to := s.under()
	here := ""
	if to == "" {
		here = "there is no VM here"
	} else if to == v.Node {
		here = name(v.Name) + " is there already"
	}
	words, do := s.mend()
	none := ""
	if do == nil {
		none = "nothing here has a remedy that a key could do"
	}
	return append(bind.Scope{
		{ID: "open", Keys: []string{"enter"}, Title: "migrate", Help: "choose the move of this VM to this node", Group: "move", Rank: 1, Disabled: here},
		{ID: "all", Keys: []string{"m"}, Title: "all of them", Help: "choose the moves of all these VMs to this node", Group: "move", Rank: 2, Disabled: here},
		{ID: "remedy", Keys: []string{"f"}, Title: text.Or(words, "remedy"), Help: "do what would mend it, where a key can: " + text.Or(words, "nothing here"), Group: "move", Rank: 3, Disabled: none},
		{ID: "again", Keys: []string{"r"}, Title: "check again", Help: "make all pre-flights again", Group: "look", Rank: 5},
		{ID: "copy", Keys: []string{"y"}, Title: "copy", Help: "copy the reasons to the terminal's clipboard", Group: "look"},
		{ID: "next-node", Keys: []string{"l", "right", "tab"}, Show: "l →", Title: "node", Help: "next node", Group: "move", Rank: 4},
		{ID: "previous-node", Keys: []string{"h", "left", "shift+tab"}, Show: "h ←", Title: "node before", Help: "node before", Group: "move"},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back; nothing is changed", Group: "look", Rank: 6},
	}, bind.Move()...)
}

// rows is how many VMs are seen.
func (s *Matrix) rows(_, h int) int { return max(1, min(len(s.vms), h-10)) }

// cell is the verdict on one VM and one node.
func (s *Matrix) cell(v model.VM, to model.NodeName) look {
	th := s.env.Theme
	n, _ := s.env.Node(to)
	p, ok := s.plans[planKey{v.UUID, to}]
	switch {
	case v.Node == to:
		return look{sign: theme.SignSkip, word: "is here", style: th.Muted}
	case n.Maintenance != nil:
		return look{sign: theme.SignFail, word: "maintenance", style: th.Warn}
	case n.State != model.NodeUp && n.State != model.NodeBusy:
		return look{sign: theme.SignUnknown, word: nodeLook(th, n.State).word, style: th.Muted}
	case !ok:
		return look{sign: theme.SignNone, word: "", style: th.Faint}
	case p.pending:
		return look{sign: theme.SignHalf, word: "checking", style: th.Muted}
	case p.err != nil:
		return look{sign: theme.SignFail, word: "no plan", style: th.Bad}
	}
	l := verdictLook(th, p.plan.Verdict())
	switch p.plan.Verdict() {
	case model.Fail:
		l.word = "no"
		if f := p.plan.Blocking(); f != nil {
			l.word = name(f.Title)
		}
	case model.Warn:
		l.word = "yes, but"
	default:
		l.word = "yes"
	}
	return l
}

// reasons is all that is to be said of one VM and one node.
func (s *Matrix) reasons(v model.VM, to model.NodeName) []string {
	p, ok := s.plans[planKey{v.UUID, to}]
	n, _ := s.env.Node(to)
	switch {
	case v.Node == to:
		return []string{name(v.Name) + " is on " + name(to)}
	case n.State != model.NodeUp && n.State != model.NodeBusy:
		return []string{name(to) + " is " + nodeLook(plainTheme, n.State).word + ": " + text.Or(name(n.Reason), "it does not answer")}
	case n.Maintenance != nil && (!ok || p.pending):
		return []string{name(to) + " is in maintenance: " + text.Or(name(n.Maintenance.Why), "no reason given")}
	case !ok || p.pending:
		return []string{"the pre-flight is under way"}
	case p.err != nil:
		return []string{name(p.err.Error())}
	}
	var out []string
	for _, verdict := range []model.Verdict{model.Fail, model.Warn} {
		for _, f := range p.plan.Findings {
			if f.Verdict != verdict {
				continue
			}
			l := verdictLook(plainTheme, verdict)
			out = append(out, l.sign+" "+name(f.Title)+": "+name(f.Detail))
			if f.Remedy != "" {
				out = append(out, "  remedy: "+name(f.Remedy))
			}
		}
	}
	if len(out) == 0 {
		forecast := ""
		if p.plan.Forecast > 0 {
			forecast = ", about " + text.Clock(p.plan.Forecast)
		}
		out = append(out, theme.SignPass+fmt.Sprintf(" nothing stands against it; %s to copy%s", text.Bytes(p.plan.CopyBytes), forecast))
	}
	return out
}

func (s *Matrix) detailLines(w int) []string {
	v, to := s.under()
	if to == "" {
		return nil
	}
	th := s.env.Theme
	lines := []string{" " + th.Strong.Render(name(v.Name)) + th.Muted.Render(" "+theme.SignMove+" ") + th.Strong.Render(name(to)) + th.Muted.Render("  "+string(modeFor(s.env, &v)))}
	for _, r := range s.reasons(v, to) {
		look := th.Text
		switch {
		case strings.HasPrefix(r, theme.SignFail):
			look = th.Bad
		case strings.HasPrefix(r, theme.SignWarn):
			look = th.Warn
		case strings.HasPrefix(r, "  remedy"):
			look = th.OK
		}
		for i, l := range text.Wrap(r, max(10, w-6)) {
			lead := "   "
			if i > 0 {
				lead = "     "
			}
			lines = append(lines, lead+look.Render(l))
		}
	}
	if words, do := s.mend(); do != nil {
		lines = append(lines, "   "+th.Accent.Render("f")+th.Muted.Render(" "+words))
	}
	return lines
}

func (s *Matrix) deepest() int {
	return max(0, len(s.detailLines(s.env.W))-(s.env.H-s.rows(s.env.W, s.env.H)-2))
}

// View implements Screen.
func (s *Matrix) View(w, h int) string {
	if w <= 0 || h <= 0 {
		return ""
	}
	th := s.env.Theme
	const cellW = 16
	room := max(1, (w-24)/(cellW+2))
	left := max(0, min(s.left, len(s.nodes)-room))
	if s.col < left {
		left = s.col
	}
	if s.col >= left+room {
		left = s.col - room + 1
	}
	shown := s.nodes[left:min(len(s.nodes), left+room)]
	t := widget.Table{Heading: true, Focus: true, Empty: "there is no VM here", Columns: []widget.Column{{Title: "VMS", Width: 14, Min: 10, Grow: 1}}}
	for i, n := range shown {
		title := name(n)
		if left+i == s.col {
			title = theme.SignDown + " " + title
		}
		t.Columns = append(t.Columns, widget.Column{Title: title, Width: cellW, Min: min(cellW, max(8, (w-20)/max(1, len(shown))-2))})
	}
	rows := s.rows(w, h)
	table := t.View(th, w, rows+1, s.list, len(s.vms), func(i int) widget.Row {
		v := s.vms[i]
		r := widget.Row{Cells: []widget.Cell{{Text: name(v.Name), Style: th.Strong}}}
		for k, n := range shown {
			l := s.cell(v, n)
			c := widget.Cell{Text: strings.TrimSpace(l.String()), Style: l.style}
			if i == s.list.Cursor && left+k == s.col {
				word := c.Text
				c = widget.Cell{Draw: func(w int, _ theme.Style) string { return theme.Reverse.Render(text.Fit(word, w)) }}
			}
			r.Cells = append(r.Cells, c)
		}
		return r
	})
	note := ""
	if len(shown) < len(s.nodes) {
		note = th.Faint.Render(fmt.Sprintf("   nodes %d to %d of %d", left+1, left+len(shown), len(s.nodes)))
	}
	detail := widget.Scrolled(th, s.detailLines(w), s.deep, max(1, h-rows-2))
	return text.Block(table+"\n"+note+"\n"+strings.Join(detail, "\n"), w, h)
}
