package survey

import (
	"strings"
	"testing"
	"time"

	"horcrux/engine/model"
)

func TestShellFinding(t *testing.T) {
	for _, tt := range []struct {
		took time.Duration
		said string
		want model.Verdict
		word string
	}{
		{12 * time.Millisecond, "", model.Pass, "12ms"},
		{650 * time.Millisecond, "", model.Warn, "650ms"},
		{12 * time.Millisecond, "Welcome!\x1b[2J\n", model.Fail, "Welcome!"},
	} {
		v, detail, remedy := shellFinding(tt.took, tt.said)
		if v != tt.want || !strings.Contains(detail, tt.word) || (remedy == "") != (v == model.Pass) || strings.ContainsRune(detail, 0x1b) {
			t.Errorf("%s %q: %s %s %s", tt.took, tt.said, v, detail, remedy)
		}
	}
}
