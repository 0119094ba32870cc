package ends

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// mirrorNode is how the names of the block nodes begin that libvirt makes for
// the mirrors of a migration. Others may be disks of the guest.
const mirrorNode = "migration-"

// BreakStreams has QEMU cut the connections by which a migration sends disks
// and memory. A peer that went away without a word would keep them, and the
// cancel of the migration, waiting for many minutes.
func (e *End) BreakStreams(ctx context.Context) (int, error) {
	answer, err := e.QMP(ctx, "query-yank", nil)
	if err != nil {
		return 0, err
	}
	var all []struct {
		Type string `json:"type"`
		Node string `json:"node-name,omitempty"`
	}
	if err := json.Unmarshal(answer, &all); err != nil {
		return 0, fmt.Errorf("cannot read what QEMU on %s could cut: %w", e.Name(), err)
	}
	var cut []map[string]string
	for _, y := range all {
		switch {
		case y.Type == "migration":
			cut = append(cut, map[string]string{"type": y.Type})
		case y.Type == "block-node" && strings.HasPrefix(y.Node, mirrorNode):
			cut = append(cut, map[string]string{"type": y.Type, "node-name": y.Node})
		}
	}
	if len(cut) == 0 {
		return 0, nil
	}
	_, err = e.QMP(ctx, "yank", map[string]any{"instances": cut})
	return len(cut), err
}
