package health

import (
	"context"
	"net"
	"net/http"

	"horcrux/config"
	"horcrux/engine/model"
)

// Options are what a run needs besides the VM. Empty fields have a use: no
// applications, no baseline, this machine's network and clock.
type Options struct {
	// Applications are all that are configured; those whose pattern matches
	// VMName are made.
	Applications []config.Application
	VMName       string
	// Baseline is what Run returned before the move; the gate and the checks
	// after it compare with it.
	Baseline []model.CheckResult

	// Booted tells that the move itself made the guest start anew: the checks
	// after it give the guest time to come up, and want another boot.
	Booted bool

	// Dial opens the connections of application checks.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// HTTP makes their requests; it is built on Dial if nil.
	HTTP *http.Client
	// Clock paces the samples and retries.
	Clock Clock
}

func (o Options) filled() Options {
	if o.Clock == nil {
		o.Clock = wallClock{}
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	return o
}

// baseline finds the result of a check before the move, or nil.
func (o Options) baseline(id model.CheckID) *model.CheckResult {
	for i := range o.Baseline {
		if o.Baseline[i].Check == id {
			return &o.Baseline[i]
		}
	}
	return nil
}
