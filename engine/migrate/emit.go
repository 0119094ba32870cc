package migrate

import (
	"fmt"
	"time"

	"horcrux/engine/event"
	"horcrux/engine/model"
)

func (j *Job) phase(id model.PhaseID, s model.PhaseStatus, detail string) {
	j.phaseAt(id, s, detail, j.Now())
}

// phaseAt tells of a phase that went on beside another one, at its own times.
func (j *Job) phaseAt(id model.PhaseID, s model.PhaseStatus, detail string, at time.Time) {
	j.Emit(event.Event{Type: event.TypePhase, Phase: &model.Phase{ID: id, Status: s, Detail: detail, At: at.UTC()}})
}

func (j *Job) log(level string, node model.NodeName, format string, args ...any) {
	j.Emit(event.Event{Type: event.TypeLog, Log: &model.LogLine{Level: level, Node: node, Text: fmt.Sprintf(format, args...)}})
}

func (j *Job) check(r model.CheckResult) {
	j.Emit(event.Event{Type: event.TypeCheck, Check: &r})
}

func (j *Job) step(r model.StepResult) {
	j.Emit(event.Event{Type: event.TypeStep, Step: &r})
}
