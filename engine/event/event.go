// Package event is what a job says while it runs: phases, progress, checks,
// steps, log lines and results, each a value with a number and a time.
//
// The JSON form of an Event is the line that `-o json` prints, so its field
// names are a contract. Fold turns a stream of events into a model.Job; a
// stream that was written to disk and read again folds into the same job.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"horcrux/engine/model"
)

// Type says which payload an event has.
type Type string

// Types of events.
const (
	TypePhase    Type = "phase"
	TypeProgress Type = "progress"
	TypeCheck    Type = "check"
	TypeStep     Type = "step"
	TypeLog      Type = "log"
	TypeResult   Type = "result"
)

// Event is one thing that happened in a job. Exactly the payload that Type
// names is set.
type Event struct {
	Time time.Time
	Job  model.JobID
	// Seq counts the events of one job from 1; order by it, never by Time.
	Seq  uint64
	Type Type

	Phase    *model.Phase
	Progress *model.Progress
	Check    *model.CheckResult
	Step     *model.StepResult
	Log      *model.LogLine
	Result   *model.Result
}

// Notable tells whether an event must reach everyone; progress may be merged.
func (e Event) Notable() bool { return e.Type != TypeProgress }

type header struct {
	Time time.Time   `json:"time"`
	Job  model.JobID `json:"job"`
	Type Type        `json:"type"`
	Seq  uint64      `json:"seq"`
}

func (e *Event) payload() any {
	switch e.Type {
	case TypePhase:
		return &e.Phase
	case TypeProgress:
		return &e.Progress
	case TypeCheck:
		return &e.Check
	case TypeStep:
		return &e.Step
	case TypeLog:
		return &e.Log
	case TypeResult:
		return &e.Result
	}
	return nil
}

// MarshalJSON writes the header and the payload's fields as one flat object.
func (e Event) MarshalJSON() ([]byte, error) {
	head, err := json.Marshal(header{e.Time, e.Job, e.Type, e.Seq})
	if err != nil {
		return nil, err
	}
	p := e.payload()
	if p == nil {
		return nil, fmt.Errorf("cannot write event of unknown type %q", e.Type)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	if len(body) < 2 || body[0] != '{' {
		return nil, fmt.Errorf("cannot write %s event without its payload", e.Type)
	}
	if bytes.Equal(body, []byte("{}")) {
		return head, nil
	}
	head[len(head)-1] = ','
	return append(head, body[1:]...), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (e *Event) UnmarshalJSON(b []byte) error {
	var h header
	if err := json.Unmarshal(b, &h); err != nil {
		return err
	}
	*e = Event{Time: h.Time, Job: h.Job, Type: h.Type, Seq: h.Seq}
	p := e.payload()
	if p == nil {
		return fmt.Errorf("cannot read event: unknown type %q", h.Type)
	}
	return json.Unmarshal(b, p)
}
