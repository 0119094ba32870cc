package health

import (
	"testing"
	"time"

	"horcrux/engine/model"
)

func TestVCPUMoved(t *testing.T) {
	at := func(process, vcpu time.Duration) model.DomainStats {
		return model.DomainStats{CPUTime: process, VCPUs: []model.VCPUStat{{Time: vcpu}}}
	}
	for name, tt := range map[string]struct {
		before, now model.DomainStats
		want        time.Duration
	}{
		"both vCPUs":            {at(5, 2), at(9, 3), 1},
		"just switched":         {at(500, 0), at(520, 20), 20},
		"hangs, QEMU works":     {at(500, 7), at(900, 7), 0},
		"vCPUs are not counted": {at(500, 0), at(520, 0), 20},
	} {
		if got := vcpuMoved(tt.before, tt.now); got != tt.want {
			t.Errorf("%s: %d, want %d", name, got, tt.want)
		}
	}
}
