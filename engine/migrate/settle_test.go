package migrate

import (
	"errors"
	"fmt"
	"testing"

	"horcrux/engine/model"
	"horcrux/engine/virt"
)

// The source's libvirt knows only that the copy broke off; why is with the target.
func TestReasonHasTheTargetsWords(t *testing.T) {
	cause := errors.New("the copy failed")
	said := fmt.Errorf("finish: %w", &virt.Error{Doing: "finish the move on the target", Host: "b", Err: errors.New("no TPM\nfor you")})
	for _, tt := range []struct {
		cause, says error
		want        string
	}{
		{cause, nil, "the copy failed"},
		{cause, said, "the copy failed; b says: " + virt.Clean("no TPM\nfor you")},
		{ErrAborted, said, ErrAborted.Error()},
		{cause, &virt.Error{Class: virt.ErrLost}, "the copy failed"},
	} {
		j := &Job{plan: model.Plan{Request: model.Request{To: "b"}}, targetSays: tt.says}
		if got := j.reason(tt.cause); got != tt.want {
			t.Errorf("%v, %v: %q, want %q", tt.cause, tt.says, got, tt.want)
		}
	}
}
