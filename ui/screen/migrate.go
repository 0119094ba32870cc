package screen

import (
	"fmt"
	"strconv"
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/theme"
	"horcrux/ui/widget"
)

// planKey is one pre-flight: a VM to a target.
type planKey struct {
	vm model.UUID
	to model.NodeName
}

// planned is what is known of a pre-flight.
type planned struct {
	asked   model.Request
	pending bool
	plan    model.Plan
	err     error
}

// Migrate is the page on which a move is chosen: the targets with what the
// pre-flight of each says, the mode, the options, the plan.
type Migrate struct {
	env      *Env
	vms      []model.VM
	targets  []model.NodeName
	list     widget.List
	plans    map[planKey]planned
	options  model.Options
	mode     model.Mode
	starting bool
	scroll   int
}

// NewMigrate makes the page for VMs as they were when the key was pressed.
func NewMigrate(e *Env, vms []model.VM, to model.NodeName) *Migrate {
	s := &Migrate{env: e, vms: vms, plans: map[planKey]planned{}, options: e.Defaults, mode: defaultMode(e)}
	off := len(vms) > 0
	for i := range vms {
		off = off && isOff(&vms[i])
	}
	if off {
		s.mode = model.ModeOffline // nothing else is left to choose
	}
	for _, n := range e.Cluster.Nodes {
		for _, v := range vms {
			if v.Node != n.Name {
				s.targets = append(s.targets, n.Name)
				break
			}
		}
	}
	for i, n := range s.targets {
		if n == to {
			s.list.Cursor = i
		}
	}
	return s
}

// Title implements Screen.
func (s *Migrate) Title() string { return "migrate " + s.subject() }

func (s *Migrate) subject() string {
	if len(s.vms) == 1 {
		return name(s.vms[0].Name)
	}
	return text.Count(len(s.vms), "VM")
}

// Typing implements Screen.
func (s *Migrate) Typing() bool { return false }

// Update implements Screen.
func (s *Migrate) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.env = m
	case Opened:
		return s, s.ask()
	case PlanArrived:
		k := planKey{m.Request.VM, m.Request.To}
		if p, ok := s.plans[k]; ok && p.pending && p.asked == m.Request {
			s.plans[k] = planned{asked: m.Request, plan: m.Plan, err: m.Err}
		}
	case StartDone:
		s.starting = false
	case Answered:
		return s, s.answered(m)
	case Wheel:
		s.turn(m.Lines)
	case Click:
		if i := s.list.Hit(m.Y-2, len(s.targets), len(s.targets)+1); i >= 0 {
			s.list.Cursor, s.scroll = i, 0
		}
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

// ask wants a pre-flight for every VM and every target that can be reached.
func (s *Migrate) ask() []Intent {
	var out []Intent
	for _, to := range s.targets {
		n, _ := s.env.Node(to)
		if n.State != model.NodeUp && n.State != model.NodeBusy {
			continue
		}
		for _, v := range s.vms {
			if v.Node == to {
				continue
			}
			r := model.Request{VM: v.UUID, From: v.Node, To: to, Mode: s.modeOf(&v), Options: s.options}
			s.plans[planKey{v.UUID, to}] = planned{asked: r, pending: true}
			out = append(out, AskPlan{r})
		}
	}
	return out
}

// modeOf is how a VM goes: one that is off has no other way.
func (s *Migrate) modeOf(v *model.VM) model.Mode {
	if isOff(v) {
		return model.ModeOffline
	}
	return s.mode
}

// mixed names the VMs that are off, if others run.
func (s *Migrate) mixed() string {
	var off []model.VM
	for i := range s.vms {
		if isOff(&s.vms[i]) {
			off = append(off, s.vms[i])
		}
	}
	switch {
	case len(off) == 0 || len(off) == len(s.vms) || s.mode == model.ModeOffline:
		return ""
	case len(off) == 1:
		return name(off[0].Name) + " is off, goes by offline and stays off; the others by " + string(s.mode)
	}
	return namesOf(off) + " are off, go by offline and stay off; the others by " + string(s.mode)
}

// turn scrolls the details.
func (s *Migrate) turn(lines int) { s.scroll = max(0, min(s.scroll+lines, s.deepest())) }

func (s *Migrate) do(id string) []Intent {
	switch id {
	case "half-down":
		s.turn(max(1, s.env.H/3))
		return nil
	case "half-up":
		s.turn(-max(1, s.env.H/3))
		return nil
	}
	if l, ok := s.list.Move(id, len(s.targets), len(s.targets)); ok {
		s.list, s.scroll = l, 0
		return nil
	}
	switch id {
	case "esc":
		return []Intent{Back{}}
	case "auto-confirm":
		s.options.AutoConfirm = !s.options.AutoConfirm
	case "again":
		return s.ask()
	case "bandwidth":
		return s.choose("limit")
	case "mode":
		return []Intent{Choose{ID: "mode", Menu: s.modeMenu()}}
	case "options":
		return []Intent{Choose{ID: "options", Menu: s.optionMenu()}}
	case "matrix":
		return []Intent{OpenMatrix{VMs: s.vms}}
	case "start":
		return s.start()
	}
	return nil
}

// BandwidthPrompt asks for a limit in MiB/s.
func BandwidthPrompt(now uint64) widget.Prompt {
	return widget.Prompt{
		Title: "bandwidth limit", Hint: "MiB/s, 0 for no limit", Input: widget.Suggest(strconv.FormatUint(now, 10)),
		Check: func(v string) string {
			if _, err := strconv.ParseUint(v, 10, 32); err != nil {
				return "a whole number of MiB/s, please"
			}
			return ""
		},
	}
}

// start begins the moves; warnings are asked about first.
func (s *Migrate) start() []Intent {
	to := s.target()
	if s.blocked(to) != "" || s.starting {
		return nil
	}
	var plans []model.Plan
	var warnings []string
	for _, v := range s.vms {
		p, ok := s.plans[planKey{v.UUID, to}]
		if !ok {
			continue // it is there already
		}
		plan := p.plan
		plan.Options = s.options
		plans = append(plans, plan)
		for _, f := range plan.Findings {
			if f.Verdict == model.Warn {
				warnings = append(warnings, theme.SignWarn+" "+s.prefix(v)+name(f.Title)+": "+name(f.Detail))
			}
		}
	}
	then := StartMoves{plans}
	if len(warnings) == 0 {
		s.starting = true
		return []Intent{then}
	}
	return []Intent{Ask{
		Question: widget.Confirm{
			Title: "move " + s.subject() + " to " + name(to) + "?",
			Lines: append(warnings, "", "It may go well; the pre-flight would not promise it."),
			Yes:   "move", No: "not now",
		},
		Then: then,
		Gone: s.moved,
	}}
}

// moved says if a VM is not any more where it was when the page was opened.
func (s *Migrate) moved(e *Env) string {
	for _, v := range s.vms {
		if now, ok := e.VM(v.UUID, v.Node); !ok || now.Node != v.Node || now.Tombstone {
			return name(v.Name) + " is not on " + name(v.Node) + " any more"
		}
	}
	return ""
}

// prefix names the VM in a line where several are spoken of.
func (s *Migrate) prefix(v model.VM) string {
	if len(s.vms) == 1 {
		return ""
	}
	return name(v.Name) + ": "
}

func (s *Migrate) target() model.NodeName {
	if s.list.Cursor < len(s.targets) {
		return s.targets[s.list.Cursor]
	}
	return ""
}

// blocked says why a move to a target cannot be started; empty if it can.
func (s *Migrate) blocked(to model.NodeName) string {
	if s.starting {
		return "it is being started"
	}
	if why := s.moved(s.env); why != "" {
		return why
	}
	n, ok := s.env.Node(to)
	if !ok {
		return "there is no other node"
	}
	some := false
	for _, v := range s.vms {
		p, ok := s.plans[planKey{v.UUID, to}]
		switch f := p.plan.Blocking(); {
		case v.Node == to:
			continue
		case !ok:
			return name(to) + " is " + nodeLook(plainTheme, n.State).word + ": " + text.Or(name(n.Reason), "it does not answer")
		case p.pending:
			return "the pre-flight on " + name(to) + " is under way"
		case p.err != nil:
			return s.prefix(v) + name(p.err.Error())
		case f != nil:
			return s.prefix(v) + name(f.Title) + ": " + name(f.Detail)
		}
		some = true
	}
	if !some {
		return "they are all on " + name(to)
	}
	return ""
}

// verdict sums up the pre-flights of a target: the worst verdict, how many are
// still under way, and the first reason.
func (s *Migrate) verdict(to model.NodeName) (v model.Verdict, pending int, reason string) {
	v = model.Pass
	var there []string
	for _, vm := range s.vms {
		p, ok := s.plans[planKey{vm.UUID, to}]
		switch {
		case vm.Node == to:
			there = append(there, name(vm.Name))
			continue
		case !ok:
			return model.Fail, 0, s.blocked(to)
		case p.pending:
			pending++
			continue
		}
		pv, why := p.plan.Verdict(), ""
		if p.err != nil {
			pv, why = model.Fail, name(p.err.Error())
		}
		for _, f := range p.plan.Findings {
			if why == "" && f.Verdict == pv && pv != model.Pass {
				why = name(f.Title) + ": " + name(f.Detail)
			}
		}
		if v.Worse(pv) != v || reason == "" && why != "" {
			reason = s.prefix(vm) + why
		}
		v = v.Worse(pv)
	}
	if len(there) > 0 && reason == "" {
		verb := " is"
		if len(there) > 1 {
			verb = " are"
		}
		reason = strings.Join(there, ", ") + verb + " there already; nothing stands against the others"
	}
	return v, pending, reason
}

// Scope implements Screen.
func (s *Migrate) Scope() bind.Scope {
	to := s.target()
	return append(bind.Scope{
		{ID: "start", Keys: []string{"enter"}, Title: "start", Help: "start the move to the target under the cursor; asks first if the pre-flight warns", Group: "move", Class: bind.Asked, Rank: 1, Disabled: s.blocked(to)},
		{ID: "bandwidth", Keys: []string{"b"}, Title: "limit", Help: "limit the bandwidth", Group: "options", Rank: 5},
		{ID: "auto-confirm", Keys: []string{"a"}, Title: "auto-confirm", Help: "confirm by itself once all checks pass, or by hand", Group: "options", Rank: 4},
		{ID: "again", Keys: []string{"r"}, Title: "check again", Help: "make the pre-flight again", Group: "options", Rank: 6},
		{ID: "mode", Keys: []string{"M"}, Title: "mode", Help: "choose another mode", Group: "options", Rank: 2},
		{ID: "options", Keys: []string{"o"}, Title: "options", Help: "choose how it is done: downtime, policy, connections, compression, encryption, way …", Group: "options", Rank: 3},
		{ID: "matrix", Keys: []string{"x"}, Title: "where to", Help: "each node with all that stands against a move there", Group: "look"},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back; nothing is changed", Group: "look", Rank: 7},
	}, bind.Move()...)
}

// options in words.
func bandwidthWord(n uint64) string {
	if n == 0 {
		return "no limit"
	}
	return fmt.Sprintf("%d MiB/s", n)
}

func confirmWord(auto bool) string {
	if auto {
		return "by itself, once all checks pass"
	}
	return "by hand, after the checks"
}
