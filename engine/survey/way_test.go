package survey

import (
	"testing"

	"horcrux/engine/plan"
)

func TestReadForward(t *testing.T) {
	for text, want := range map[string]plan.ForwardFact{
		"allowtcpforwarding yes\ndisableforwarding no\nallowstreamlocalforwarding local\n": {TCP: "yes", Stream: "local"},
		"AllowTcpForwarding No\r\nDisableForwarding yes\r\n":                               {TCP: "no", Disabled: true},
		"nocommands yes\nallowtcpforwarding no\n":                                          {TCP: "no", NoCommands: true},
		"allowtcpforwarding \x1b[2J\nsubsystem sftp\n":                                     {},
		"": {},
	} {
		if got := readForward(text); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
