package screen

import (
	"horcrux/engine/event"
	"horcrux/engine/model"
	"horcrux/ui/widget"
)

// Messages that a screen may get, besides *Env.
type (
	// Do asks for the action of that ID out of the screen's scope.
	Do struct{ ID string }
	// Opened is the first message of a page, once it is shown.
	Opened struct{}
	// Focus asks the first page to turn to one of its lists.
	Focus int
	// Typed is a key while Typing: its name, and its text if it has any.
	Typed struct{ Key, Text string }
	// Pasted is text pasted while Typing.
	Pasted struct{ Text string }
	// Click is a click on a cell of the page, Wheel a turn over the page.
	Click struct{ X, Y int }
	// Wheel is a turn of the wheel by so many lines, negative for up.
	Wheel struct{ Lines int }
	// Answered is what was picked from a menu or typed into a prompt that the
	// screen had asked for under that ID.
	Answered struct{ ID, Value string }
	// PlanArrived answers an AskPlan with that very request.
	PlanArrived struct {
		Request model.Request
		Plan    model.Plan
		Err     error
	}
	// StartDone answers StartMoves.
	StartDone struct{ Err error }
	// JobEvents are new events of a job, in their order.
	JobEvents struct {
		ID     model.JobID
		Events []event.Event
	}
	// FollowEnded says that no more events of a job will come.
	FollowEnded struct {
		ID  model.JobID
		Err error
	}
)

// Intent is something the person wants that the screen cannot do itself.
type Intent any

// Intents.
type (
	// OpenVM, OpenNode, OpenJob, OpenJobs, OpenMigrate and OpenLog show a page.
	OpenVM struct {
		UUID model.UUID
		Node model.NodeName
		Page int // the page to begin with, 0 for the first
	}
	// OpenNode shows the page of a node.
	OpenNode struct{ Name model.NodeName }
	// OpenJob shows the page of a job.
	OpenJob struct{ ID model.JobID }
	// OpenJobs shows the page of all jobs.
	OpenJobs struct{}
	// OpenLog shows what the console did and was told.
	OpenLog struct{}
	// OpenMigrate shows the page on which a move is chosen.
	OpenMigrate struct {
		VMs []model.VM
		To  model.NodeName // the target to begin with, if any
	}
	// Back leaves the page.
	Back struct{}

	// AskPlan wants a pre-flight; PlanArrived answers.
	AskPlan struct{ Request model.Request }
	// StartMoves starts moves, one after the other; StartDone answers.
	StartMoves struct{ Plans []model.Plan }
	// Command passes a wish to a job; Done is said when it was taken.
	Command struct {
		Job     model.JobID
		Command model.Command
		Done    string
	}

	// Ask puts a question; Then is what yes means. Gone, if set, is asked again
	// with every new Env: what it says takes the yes away.
	Ask struct {
		Question widget.Confirm
		Then     Intent
		Gone     func(*Env) string
	}
	// Choose shows a menu or a list, Enter a prompt; Answered comes back with the ID.
	Choose struct {
		ID   string
		Menu widget.Modal
	}
	// Enter shows a prompt.
	Enter struct {
		ID     string
		Prompt widget.Prompt
	}
	// Say shows a line for a while and keeps it in the log.
	Say struct {
		Kind Kind
		Text string
	}
	// Copy puts text on the clipboard of the terminal.
	Copy struct{ Name, Text string }
)

// Kind is the weight of a notice.
type Kind int

// Kinds of notices.
const (
	Note Kind = iota
	Good
	Caution
	Problem
)
