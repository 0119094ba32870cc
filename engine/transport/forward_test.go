package transport

import (
	"context"
	"errors"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestJudgeWhatAServerReaches(t *testing.T) {
	failed := func(m string) error { return &ssh.OpenChannelError{Reason: ssh.ConnectionFailed, Message: m} }
	for _, tt := range []struct {
		err  error
		want Reach
	}{
		{failed("Connection refused"), ReachRefused},
		{failed("Connection timed out"), ReachNo},
		{failed("No route to host"), ReachNo},
		{failed("Network is unreachable"), ReachNo},
		{failed("open failed"), ReachUnknown},
		{failed(""), ReachUnknown},
		{&ssh.OpenChannelError{Reason: ssh.Prohibited, Message: "open failed"}, ReachUnknown},
		{context.DeadlineExceeded, ReachNo},
		{context.Canceled, ReachUnknown},
		{ErrLost, ReachUnknown},
		{errors.New("what\x1b[2J"), ReachUnknown},
	} {
		if got, words := judge(tt.err); got != tt.want || words == "" {
			t.Errorf("%v: %v, %q; want %v", tt.err, got, words, tt.want)
		}
	}
}
