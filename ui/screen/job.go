package screen

import (
	"fmt"
	"strconv"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/model"
	"horcrux/ui/bind"
	"horcrux/ui/text"
	"horcrux/ui/widget"
)

// jobPane is a part of the job page that can have the focus.
type jobPane int

const (
	paneChecks jobPane = iota
	paneLog
	panePlan
	jobPanes
)

// maxHistory bounds the readings kept for the spark lines.
const maxHistory = 240

// far is more lines than any pane has.
const far = 1 << 20

// reading is one point of the spark lines, in bytes per second.
type reading struct{ sent, dirty float64 }

// Job is the page of one move: where the guest is, the rail of phases, what is
// across and what is left, the checks, the log, and how it ended.
type Job struct {
	env *Env
	id  model.JobID
	job model.Job // what is shown

	listed  model.Job // as the list of jobs has it
	folded  model.Job // as its events say
	seq     uint64
	ended   bool
	err     error
	history []reading

	// back is the job that moves the VM home again, or did; returning tells that
	// it is under way.
	back      model.JobID
	returning bool

	focus  jobPane
	scroll [jobPanes]int // lines above the end for the log, below the top for others
}

// NewJob makes the page of a job. Seed is what is known of it before the list
// of jobs or its events tell more.
func NewJob(e *Env, id model.JobID, seed model.Job) *Job {
	s := &Job{id: id, listed: seed}
	s.listed.ID = id
	s.folded.State = model.JobStarting
	s.setEnv(e)
	return s
}

func (s *Job) setEnv(e *Env) {
	s.env = e
	if j, ok := e.Job(s.id); ok {
		s.listed = j
	}
	s.back, s.returning = "", false
	for _, j := range e.Jobs { // the newest first
		if j.SendsBack == s.id && s.back == "" {
			s.back, s.returning = j.ID, !j.State.Ended()
		}
	}
	s.join()
}

// join makes what is shown: the head from the list, the course from the events
// once there are any. The list alone knows when a job's process is gone.
func (s *Job) join() {
	if s.seq == 0 {
		s.job = s.listed
		return
	}
	l, j := s.listed, s.folded
	j.ID, j.VM, j.VMName, j.From, j.To, j.Mode = s.id, l.VM, l.VMName, l.From, l.To, l.Mode
	j.Started, j.By, j.Plan, j.SendsBack = l.Started, l.By, l.Plan, l.SendsBack
	if l.State == model.JobInterrupted || l.State.Ended() && !j.State.Ended() {
		j.State, j.Interrupted = l.State, l.Interrupted
		if j.Result == nil {
			j.Result = l.Result
		}
		if j.Ended.IsZero() {
			j.Ended = l.Ended
		}
	}
	s.job = j
}

func (s *Job) fold(events []event.Event) {
	for _, e := range events {
		if e.Seq != 0 && e.Seq <= s.seq {
			continue // a replay tells again what is known
		}
		s.seq = max(s.seq+1, e.Seq)
		s.folded = event.Fold(s.folded, e)
		if p := e.Progress; p != nil {
			s.history = append(s.history, reading{float64(p.MemRate + p.DiskRate), float64(p.DirtyRate)})
			if len(s.history) > maxHistory {
				s.history = append([]reading(nil), s.history[len(s.history)-maxHistory:]...)
			}
		}
	}
	s.join()
}

// ID is the job the page shows.
func (s *Job) ID() model.JobID { return s.id }

// Title implements Screen.
func (s *Job) Title() string {
	if s.job.VMName == "" {
		return name(s.id)
	}
	return name(s.job.VMName) + " to " + name(s.job.To)
}

// Typing implements Screen.
func (s *Job) Typing() bool { return false }

// Update implements Screen.
func (s *Job) Update(msg any) (Screen, []Intent) {
	switch m := msg.(type) {
	case *Env:
		s.setEnv(m)
	case JobEvents:
		if m.ID == s.id {
			s.fold(m.Events)
		}
	case FollowEnded:
		if m.ID == s.id {
			s.ended, s.err = true, m.Err
		}
	case Wheel:
		s.turn(m.Lines)
	case Answered:
		if m.ID == "decide" {
			return s, s.askKeep(m.Value)
		}
		return s, s.answered(m)
	case Do:
		return s, s.do(m.ID)
	}
	return s, nil
}

// turn scrolls the pane that has the focus.
func (s *Job) turn(lines int) {
	if s.focus == paneLog {
		lines = -lines
	}
	s.scroll[s.focus] = max(0, min(s.scroll[s.focus]+lines, s.deepest(s.focus)))
}

func (s *Job) answered(m Answered) []Intent {
	c := model.Command{Kind: model.CommandTune}
	switch m.ID {
	case "bandwidth":
		n, err := strconv.ParseUint(m.Value, 10, 32)
		if err != nil {
			return nil
		}
		c.Bandwidth = &n
		return []Intent{Command{Job: s.id, Command: c, Done: name(s.job.VMName) + ": bandwidth " + bandwidthWord(n)}}
	case "downtime":
		d, wrong := pauseOf(m.Value)
		if wrong != "" {
			return nil
		}
		c.MaxDowntime = &d
		return []Intent{Command{Job: s.id, Command: c, Done: name(s.job.VMName) + ": pause of at most " + text.Duration(d)}}
	}
	return nil
}

// pausePrompt asks for the longest pause, as the page that began the move does.
func (s *Job) pausePrompt() widget.Prompt {
	begin := s.env.Defaults.MaxDowntime
	if p := s.job.Plan; p != nil && p.Options.MaxDowntime > 0 {
		begin = p.Options.MaxDowntime
	}
	return widget.Prompt{
		Title: "longest pause", Hint: "how long the guest may stand still at the switch, like 900ms or 2s", Input: widget.Suggest(begin.String()),
		Check: func(v string) string {
			_, wrong := pauseOf(v)
			return wrong
		},
	}
}

// pauseOf reads a pause; a bare number is of milliseconds.
func pauseOf(v string) (time.Duration, string) {
	if n, err := strconv.ParseUint(v, 10, 32); err == nil {
		v = fmt.Sprintf("%dms", n)
	}
	return span(v, time.Millisecond, 2000*time.Second)
}

func (s *Job) do(id string) []Intent {
	switch id {
	case "esc":
		return []Intent{Back{}}
	case "next-pane":
		s.focus = (s.focus + 1) % jobPanes
	case "previous-pane":
		s.focus = (s.focus + jobPanes - 1) % jobPanes
	case "down":
		s.turn(1)
	case "up":
		s.turn(-1)
	case "half-down":
		s.turn(max(1, s.env.H/4))
	case "half-up":
		s.turn(-max(1, s.env.H/4))
	case "top":
		s.turn(-far)
	case "bottom":
		s.turn(far)
	case "abort":
		return []Intent{s.askAbort()}
	case "confirm":
		return []Intent{s.askConfirm()}
	case "rollback":
		return []Intent{s.askRollback()}
	case "decide":
		return []Intent{s.choices()}
	case "settle":
		return []Intent{s.askSettle()}
	case "bandwidth":
		now := uint64(0)
		if p := s.job.Progress; p != nil {
			now = p.Bandwidth
		}
		return []Intent{Enter{ID: "bandwidth", Prompt: BandwidthPrompt(now)}}
	case "downtime":
		return []Intent{Enter{ID: "downtime", Prompt: s.pausePrompt()}}
	case "way-back":
		return []Intent{OpenJob{s.back}}
	case "vm":
		return []Intent{OpenVM{UUID: s.job.VM, Node: s.job.To}}
	case "copy":
		return []Intent{Copy{Name: "the report", Text: s.report()}}
	}
	return nil
}

// Scope implements Screen.
func (s *Job) Scope() bind.Scope {
	noBack := ""
	if s.back == "" {
		noBack = "the VM was not sent back"
	}
	return append(bind.Scope{
		{ID: "confirm", Keys: []string{"c"}, Title: "confirm", Help: "let go of what is left on the source", Group: "move", Class: bind.Asked, Rank: 1, Disabled: s.cannotConfirm()},
		{ID: "abort", Keys: []string{"a"}, Title: "abort", Help: "stop the move and undo it; possible before the switch", Group: "move", Class: bind.Asked, Rank: 2, Disabled: s.cannotAbort()},
		{ID: "rollback", Keys: []string{"r"}, Title: "roll back", Help: "take the VM back to where it was", Group: "move", Class: s.rollbackClass(), Rank: 3, Disabled: s.cannotRollback()},
		{ID: "decide", Keys: []string{"o"}, Title: "decide", Help: "choose the node that has the VM, where no rule can tell", Group: "move", Class: bind.Typed, Rank: 1, Disabled: s.cannotDecide()},
		{ID: "settle", Keys: []string{"s"}, Title: "settle", Help: "look at both nodes and settle a move whose process is gone", Group: "move", Class: bind.Asked, Rank: 1, Disabled: s.cannotSettle()},
		{ID: "bandwidth", Keys: []string{"b"}, Title: "limit", Help: "change the bandwidth limit while it runs", Group: "move", Rank: 4, Disabled: s.cannotTune()},
		{ID: "downtime", Keys: []string{"d"}, Title: "pause", Help: "change how long the guest may stand still at the switch", Group: "move", Rank: 6, Disabled: s.cannotPause()},
		{ID: "next-pane", Keys: []string{"tab"}, Title: "pane", Help: "go to the next pane: checks, log, plan", Group: "look", Rank: 5},
		{ID: "previous-pane", Keys: []string{"shift+tab"}, Show: "shift-tab", Title: "pane back", Help: "go to the pane before", Group: "look"},
		{ID: "way-back", Keys: []string{"enter"}, Title: "the way back", Help: "open the job that brings the VM back, or did", Group: "look", Rank: 1, Disabled: noBack},
		{ID: "vm", Keys: []string{"v"}, Title: "its VM", Help: "open the VM", Group: "look"},
		{ID: "copy", Keys: []string{"y"}, Title: "copy", Help: "copy a report in plain text to the terminal's clipboard", Group: "look"},
		{ID: "esc", Keys: []string{"esc"}, Title: "back", Help: "go back; the move goes on", Group: "look", Rank: 7},
	}, bind.Move()...)
}
