//go:build crash

package worker

import (
	"os"
	"strconv"
	"strings"
	"syscall"

	"horcrux/engine/journal"
)

// These name the record after which a job's process ends itself, or stops until
// it is told to go on by SIGCONT, as "kind" or "kind:n" for the n-th of that
// kind that this process writes. Only a program built with the tag crash, for
// tests, looks at them.
const (
	crashEnv = "HORCRUX_CRASH_AT"
	stopEnv  = "HORCRUX_STOP_AT"
)

func init() {
	sig, at := syscall.SIGKILL, os.Getenv(crashEnv)
	if at == "" {
		sig, at = syscall.SIGSTOP, os.Getenv(stopEnv)
	}
	kind, nth, _ := strings.Cut(at, ":")
	if kind == "" {
		return
	}
	left := 1
	if n, err := strconv.Atoi(nth); err == nil && n > 1 {
		left = n
	}
	afterRecord = func(r journal.Record) {
		if string(r.Kind) != kind {
			return
		}
		if left--; left != 0 {
			return
		}
		_ = syscall.Kill(os.Getpid(), sig)
		if sig == syscall.SIGKILL {
			select {} // the signal may take a moment; nothing may be done in it
		}
	}
}
