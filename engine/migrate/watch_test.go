package migrate

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"horcrux/engine/model"
)

// dying is a target whose libvirt notices after a moment that QEMU has ended.
type dying struct {
	Host
	notices time.Time
}

func (d dying) Status(context.Context) (model.DomainStatus, error) {
	if time.Now().Before(d.notices) {
		return model.DomainStatus{State: model.StatePaused, Reason: "migration"}, nil
	}
	return simGone, nil
}

// Why the target's QEMU ended is known for as long as nobody told its libvirt to
// drop what came in, so that a failed copy gives it a moment to notice.
func TestATargetIsGivenTheTimeToNotice(t *testing.T) {
	for name, tt := range map[string]struct {
		after time.Duration
		err   error
		gone  bool
		takes time.Duration
	}{
		"at once":                {0, errSaid, true, 0},
		"after a moment":         {300 * time.Millisecond, errSaid, true, 300 * time.Millisecond},
		"never":                  {time.Hour, errSaid, false, targetEndsWithin},
		"the source is silent":   {time.Hour, errLost, false, 0},
		"both, and it had ended": {0, errLost, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				w := &watch{job: &Job{Env: Env{Target: dying{notices: began.Add(tt.after)}}}}
				err := w.why(t.Context(), tt.err)
				if gone := strings.Contains(err.Error(), "is gone"); gone != tt.gone {
					t.Error(err)
				}
				if took := time.Since(began); took != tt.takes {
					t.Errorf("it took %s, not %s", took, tt.takes)
				}
			})
		})
	}
}
