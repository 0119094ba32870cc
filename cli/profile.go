package cli

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"
)

// profileFor is what one recording covers.
const profileFor = 20 * time.Second

// profile lets a developer see where the console's processor time and memory go:
// with HORCRUX_PROFILE=DIR each SIGUSR1 records what is used from then on, and
// the heap at the end of it, into files there.
func (a *app) profile() {
	dir := a.getenv("HORCRUX_PROFILE")
	if dir == "" {
		return
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGUSR1)
	go func() {
		for n := 1; ; n++ {
			<-asked
			cpu, err := os.Create(filepath.Join(dir, fmt.Sprintf("cpu-%d-%d.pprof", os.Getpid(), n)))
			if err != nil {
				continue
			}
			if pprof.StartCPUProfile(cpu) == nil {
				time.Sleep(profileFor)
				pprof.StopCPUProfile()
			}
			_ = cpu.Close()
			heap, err := os.Create(filepath.Join(dir, fmt.Sprintf("heap-%d-%d.pprof", os.Getpid(), n)))
			if err != nil {
				continue
			}
			runtime.GC()
			_ = pprof.Lookup("heap").WriteTo(heap, 0)
			_ = heap.Close()
		}
	}()
}
