package cli

import (
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"horcrux/config"
	"horcrux/engine"
	"horcrux/engine/model"
)

// moveFlags are what plan and migrate share. What is not given has the value of
// the configuration.
type moveFlags struct {
	to, mode, bandwidth                 string
	policy, compress, tls, finish, path string
	downtime, shutdown                  time.Duration
	parallel                            int
	noConverge, forceOff, noCompare     bool
}

func (f *moveFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.to, "to", "", "the node to move to")
	fs.StringVar(&f.mode, "mode", "", "live, online, offline or block (default: the configuration's)")
	fs.StringVar(&f.bandwidth, "bandwidth", "", "limit in MiB/s, 0 for none")
	fs.DurationVar(&f.downtime, "max-downtime", 0, "longest pause to aim at, such as 300ms")
	fs.BoolVar(&f.noConverge, "no-auto-converge", false, "never throttle the guest")
	fs.StringVar(&f.policy, "policy", "", "a guest that will not converge: abort, suspend or post-copy")
	fs.IntVar(&f.parallel, "parallel", -1, "connections that carry memory, 0 for one plain stream")
	fs.StringVar(&f.compress, "compress", "", "memory: none, zstd (with --parallel) or xbzrle (without)")
	fs.StringVar(&f.tls, "tls", "", "QEMU's own encryption: auto, require or off")
	fs.DurationVar(&f.shutdown, "shutdown-timeout", 0, "offline: how long the agent, then ACPI, is given, such as 2m")
	fs.BoolVar(&f.forceOff, "force-off", false, "offline: end a guest that did not shut down in that time")
	fs.StringVar(&f.finish, "finish", "", "block: live or stop")
	fs.BoolVar(&f.noCompare, "no-compare", false, "live, online: do not read the disks on both nodes to compare them")
	fs.StringVar(&f.path, "path", "", "the way of the data: auto, direct, ssh or relay")
}

// check refuses what is wrong before any node is asked.
func (f *moveFlags) check() error {
	switch {
	case f.to == "":
		return usage("say where to: --to NODE")
	case f.mode != "" && !model.Mode(f.mode).Valid():
		return usage("--mode %q: want live, online, offline or block", f.mode)
	case f.downtime < 0:
		return usage("--max-downtime %s: want a time above zero", f.downtime)
	case f.shutdown < 0:
		return usage("--shutdown-timeout %s: want a time above zero", f.shutdown)
	case f.parallel < -1 || f.parallel > 16:
		return usage("--parallel %d: want 0 to 16", f.parallel)
	}
	for _, err := range []error{
		choice("--policy", f.policy, model.Policies), choice("--compress", f.compress, model.Compressions),
		choice("--tls", f.tls, model.TLSWishes), choice("--finish", f.finish, model.Finishes), choice("--path", f.path, model.DataPaths),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func choice[T ~string](flag, given string, want []T) error {
	if given == "" || slices.Contains(want, T(given)) {
		return nil
	}
	return usage("%s %q: want one of %v", flag, given, want)
}

// options are the configuration's, but for what the flags say.
func (f *moveFlags) options(m config.Migration) (model.Options, error) {
	o := engine.Defaults(m)
	set(&o.Policy, f.policy)
	set(&o.Compression, f.compress)
	set(&o.TLS, f.tls)
	set(&o.Finish, f.finish)
	set(&o.Path, f.path)
	o.AutoConverge = o.AutoConverge && !f.noConverge
	o.ForceOff = o.ForceOff || f.forceOff
	o.NoCompare = o.NoCompare || f.noCompare
	if f.downtime > 0 {
		o.MaxDowntime = f.downtime
	}
	if f.shutdown > 0 {
		o.ShutdownTimeout = f.shutdown
	}
	if f.parallel >= 0 {
		o.Parallel = f.parallel
	}
	if f.bandwidth != "" {
		b, err := strconv.ParseUint(f.bandwidth, 10, 40)
		if err != nil {
			return o, usage("--bandwidth %q: want a whole number of MiB/s", f.bandwidth)
		}
		o.Bandwidth = b
	}
	return o, nil
}

func set[T ~string](to *T, given string) {
	if given != "" {
		*to = T(given)
	}
}

// request turns arguments into a request for a VM that exists.
func (f *moveFlags) request(a *app, c model.Cluster, vmArg string) (model.Request, model.VM, error) {
	cfg, err := a.load()
	if err != nil {
		return model.Request{}, model.VM{}, err
	}
	vm, err := findVM(c, vmArg)
	if err != nil {
		return model.Request{}, vm, err
	}
	to, err := findNode(c, f.to)
	if err != nil {
		return model.Request{}, vm, err
	}
	r := model.Request{VM: vm.UUID, From: vm.Node, To: to, Mode: model.Mode(cfg.Migration.Mode)}
	set(&r.Mode, f.mode)
	r.Options, err = f.options(cfg.Migration)
	return r, vm, err
}
