package engine

import (
	"context"
	"fmt"
	"time"

	"horcrux/engine/audit"
	"horcrux/engine/model"
)

// Maintain sets or takes away the mark of a node.
func (e *Engine) Maintain(_ context.Context, node model.NodeName, on bool, why string) error {
	if _, ok := e.fleet.Node(node); !ok {
		return fmt.Errorf("node %s is not in the configuration", node)
	}
	act := "maintenance-off"
	if on {
		act = "maintenance-on"
	}
	began := time.Now()
	err := e.Act(audit.Entry{Act: act, Node: string(node), Detail: why}, func() error {
		return e.maintenance.Set(node, on, model.Maintenance{Since: time.Now(), By: Who(e.opt.Env), Why: why})
	})
	word := "end its maintenance"
	if on {
		word = "put it into maintenance"
	}
	e.record(word, node, "", began, err)
	return err
}
