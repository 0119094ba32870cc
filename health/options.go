package health

import (
	"context"
	"net"
	"net/http"
	"time"

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

	// Dial opens the connections of application checks.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// HTTP makes their requests; it is built on Dial if nil.
	HTTP  *http.Client
	Clock Clock
}

// Clock is the time as checks use it.
type Clock interface {
	Now() time.Time
	// Sleep waits, and returns early with the error of a ctx that ends.
	Sleep(ctx context.Context, d time.Duration) error
}
